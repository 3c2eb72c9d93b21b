"""What classic densification asks of pictures: how hard they pull at each Gaussian, and how large it is."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int32
from torch import Tensor

from gsrecon.ops import _native_training
from gsrecon.ops._native import is_compiled


@dataclass(frozen=True)
class ScreenStatistics:
    """Sums over the pictures so far that a Gaussian was in."""

    gradient_sum: Float[Tensor, " N"]
    """Lengths of its screen gradients, in half picture sizes."""
    times_seen: Float[Tensor, " N"]
    """How many pictures."""
    largest_radius: Float[Tensor, " N"]
    """Its largest extent on the screen [px]."""

    @staticmethod
    def zeros(count: int, device: torch.device) -> "ScreenStatistics":
        """Of Gaussians that were in no picture yet."""
        return ScreenStatistics(*(torch.zeros(count, device=device) for _ in range(3)))


def add_screen_statistics(
    gradients: Float[Tensor, "C N 2"],
    radii: Int32[Tensor, "C N 2"],
    width: int,
    height: int,
    statistics: ScreenStatistics,
) -> None:
    """Adds one backward pass, in place. A Gaussian counts for each camera in which its radius is above 0.

    float32 goes through one compiled pass for all cameras, everything else through plain torch, the
    reference. Gradients and radii may be rows of larger tensors, and are read where they are.

    Args:
        gradients: Absolute screen gradients (`RasterInfo.absgrad_probe.grad`) [1 / px].
        radii: Extents on the screen [px], 0 where a Gaussian is not in the picture.
        width: Of the pictures [px].
        height: Of the pictures [px].
        statistics: Updated in place.

    Raises:
        ValueError: when shapes differ or the statistics are not contiguous.
    """
    sums = (statistics.gradient_sum, statistics.times_seen, statistics.largest_radius)
    if gradients.shape != radii.shape or gradients.ndim != 3 or gradients.shape[2] != 2:
        raise ValueError(
            f"gradients, radii: expected [C, N, 2] both, got {list(gradients.shape)} and {list(radii.shape)}"
        )
    if not all(t.shape == gradients.shape[1:2] and t.is_contiguous() for t in sums):
        raise ValueError(
            f"statistics: expected contiguous tensors [{gradients.shape[1]}], one entry a Gaussian, got "
            f"{[list(t.shape) for t in sums]}"
        )
    half_size = (0.5 * width, 0.5 * height)
    if radii.dtype == torch.int32 and radii.device == gradients.device and is_compiled(gradients, *sums):
        _native_training.add_screen_statistics(gradients, radii, half_size, sums)
    else:
        _add_screen_statistics_reference(gradients, radii, half_size, statistics)


@torch.no_grad()
def _add_screen_statistics_reference(
    gradients: Tensor, radii: Tensor, half_size: tuple[float, float], statistics: ScreenStatistics
) -> None:
    """The same in plain torch, any float precision and device."""
    for gradient, radius in zip(gradients, radii, strict=True):
        largest = radius.amax(dim=1)
        pull = torch.hypot(gradient[:, 0] * half_size[0], gradient[:, 1] * half_size[1])
        statistics.gradient_sum.add_(torch.where(largest > 0, pull, 0))
        statistics.times_seen.add_(largest > 0)
        statistics.largest_radius.copy_(torch.maximum(statistics.largest_radius, largest))
