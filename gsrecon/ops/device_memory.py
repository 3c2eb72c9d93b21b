"""What fits into a GPU's memory, for the error that says it did not."""

import torch

from gsrecon.errors import DeviceMemoryError
from gsrecon.geometry.camera import Cameras

BYTES_PER_GAUSSIAN = 944
"""Parameters with third-degree harmonics (236 B), their gradients, and Adam's two moments."""
BYTES_PER_VIEW_OF_A_GAUSSIAN = 320
"""Projection and its gradient, record and its sums (48 B each), and sorting, for about five tiles each."""
BYTES_PER_PIXEL = 112
"""Colours, depth and alpha, the same again as gradients, the truth, and the terms of the losses."""


def fitting_gaussians(memory: int, cameras: int, pixels: int) -> int:
    """About how many Gaussians a training step can have beside `pixels` of each camera, in `memory` bytes."""
    left = memory - cameras * pixels * BYTES_PER_PIXEL
    return max(0, left // (BYTES_PER_GAUSSIAN + cameras * BYTES_PER_VIEW_OF_A_GAUSSIAN))


def fitting_pixels(memory: int, cameras: int, gaussians: int) -> int:
    """About how many pixels each camera can have beside so many Gaussians."""
    left = memory - gaussians * (BYTES_PER_GAUSSIAN + cameras * BYTES_PER_VIEW_OF_A_GAUSSIAN)
    return max(0, left // (cameras * BYTES_PER_PIXEL))


def out_of_memory(gaussians: int, cameras: Cameras, device: torch.device) -> DeviceMemoryError:
    """The error to raise when torch could not get memory for drawing."""
    memory = torch.cuda.get_device_properties(device).total_memory
    return _error(memory, gaussians, len(cameras), cameras.width, cameras.height)


def _error(memory: int, gaussians: int, cameras: int, width: int, height: int) -> DeviceMemoryError:
    pictures = "a picture" if cameras == 1 else f"{cameras} pictures"
    return DeviceMemoryError(
        f"the GPU's {memory / 2**30:.0f} GiB are not enough to draw {gaussians:,} Gaussians into {pictures} "
        f"of {width}x{height}: alone on it, training fits about "
        f"{fitting_gaussians(memory, cameras, width * height):,} Gaussians at this size, or pictures of "
        f"{fitting_pixels(memory, cameras, gaussians):,} pixels with so many; what helps: a lower "
        "density.cap, a lower image_scale in the scene spec, or groups (docs/groups.md)"
    )
