"""What a GPU does not manage, and what to do then: memory that is too small, a device that fails."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from gsrecon.errors import (
    BackendUnavailableError,
    DeviceFailedError,
    DeviceMemoryError,
    GsreconError,
)

BYTES_PER_GAUSSIAN = 944
"""Parameters with third-degree harmonics (236 B), their gradients, and Adam's two moments."""
BYTES_PER_VIEW_OF_A_GAUSSIAN = 210
"""Projection (57 B), record and sorting (68 B), five tiles of 16 B; a gradient takes less (docs/cuda.md)."""
BYTES_PER_PIXEL = 112
"""Colours, depth and alpha, the same again as gradients, the truth, and the terms of the losses."""
_WHAT_HELPS = "a lower density.cap, a lower image_scale in the scene spec, or groups (docs/groups.md)"
_OUT_OF_MEMORY = ("out of memory", "ALLOC_FAILED")
"""What CUDA and its libraries say where memory is all used."""
_MADE_FOR_OTHERS = ("no kernel image", "invalid device function", "unsupported toolchain")
"""What CUDA says of kernels that are not for a device, or newer than its driver."""


def fitting_gaussians(memory: int, cameras: int, pixels: int) -> int:
    """About how many Gaussians a training step can have beside `pixels` of each camera, in `memory` bytes."""
    left = memory - cameras * pixels * BYTES_PER_PIXEL
    return max(0, left // (BYTES_PER_GAUSSIAN + cameras * BYTES_PER_VIEW_OF_A_GAUSSIAN))


def fitting_pixels(memory: int, cameras: int, gaussians: int) -> int:
    """About how many pixels each camera can have beside so many Gaussians."""
    left = memory - gaussians * (BYTES_PER_GAUSSIAN + cameras * BYTES_PER_VIEW_OF_A_GAUSSIAN)
    return max(0, left // (cameras * BYTES_PER_PIXEL))


@contextmanager
def device_errors(
    gaussians: int, cameras: int, width: int, height: int, device: torch.device
) -> Iterator[None]:
    """Turns what a GPU does not manage within it into errors that say what to do.

    Args:
        gaussians: How many are drawn.
        cameras: Into how many pictures.
        width: Picture width [px].
        height: Picture height [px].
        device: Where.

    Raises:
        DeviceMemoryError: There is not enough memory; about what would fit is told.
        BackendUnavailableError: The kernels are not made for this GPU, or its driver is too old for them.
        DeviceFailedError: A kernel failed, or the device is lost.
    """
    try:
        yield
    except RuntimeError as error:
        told = told_of_device(error)
        if isinstance(told, DeviceMemoryError):
            memory = torch.cuda.get_device_properties(device).total_memory
            told = _too_small(memory, gaussians, cameras, width, height)
        if told is None:
            raise
        raise told from error


def told_of_device(error: RuntimeError) -> GsreconError | None:
    """What CUDA did not manage, in a sentence for the user; None where it is something else that failed."""
    said = " ".join(str(error).split())
    cudas = _is_cudas(error)
    if isinstance(error, torch.OutOfMemoryError) or (
        cudas and any(words in said for words in _OUT_OF_MEMORY)
    ):
        return DeviceMemoryError(f"the GPU's memory is not enough; what helps: {_WHAT_HELPS}")
    if not cudas:
        return None
    if any(words in said for words in _MADE_FOR_OTHERS):
        return BackendUnavailableError(
            f"the kernels were not built for this GPU, or its driver is too old for them ({said}); `gsrecon "
            "doctor` tells both: update the driver, or install gsrecon again on this machine (docs/cuda.md)"
        )
    return DeviceFailedError(
        f"the GPU failed ({said}) and this process cannot use it any more; what was written to disk is "
        "intact, run the command again (a run goes on with --resume); if it fails again, "
        "CUDA_LAUNCH_BLOCKING=1 and --debug show where"
    )


def _is_cudas(error: RuntimeError) -> bool:
    """Whether it is CUDA that failed: as our kernels tell it, or as torch does."""
    by_type = type(error).__name__ in ("CudaError", "AcceleratorError")
    return by_type or str(error).startswith("CUDA error")


def _too_small(memory: int, gaussians: int, cameras: int, width: int, height: int) -> DeviceMemoryError:
    pictures = "a picture" if cameras == 1 else f"{cameras} pictures"
    return DeviceMemoryError(
        f"the GPU's {memory / 2**30:.0f} GiB are not enough to draw {gaussians:,} Gaussians into {pictures} "
        f"of {width}x{height}: alone on it, training fits about "
        f"{fitting_gaussians(memory, cameras, width * height):,} Gaussians at this size, or pictures of "
        f"{fitting_pixels(memory, cameras, gaussians):,} pixels with so many; what helps: "
        f"{_WHAT_HELPS}"
    )
