"""The compiled kernels of a training step that change tensors in place: Adam, statistics of densification."""

from collections.abc import Sequence

from torch import Tensor

from gsrecon.ops import _native
from gsrecon.ops._native import dense


def adam_rows(
    settings: Sequence[tuple[float | Tensor | None, ...]],
    gradients: Sequence[Tensor],
    values: Sequence[Tensor],
    first_moments: Sequence[Tensor],
    second_moments: Sequence[Tensor],
) -> None:
    """A step of Adam of float32 tensors; `settings` of each as in `AdamSettings` of `cuda/ops.h`."""
    _native.kernels_for(values[0]).adam_rows(
        settings, [dense(gradient) for gradient in gradients], values, first_moments, second_moments
    )


def add_screen_statistics(
    gradients: Tensor, radii: Tensor, half_size: tuple[float, float], statistics: Sequence[Tensor]
) -> None:
    """Adds gradients [C, N, 2] float32 of Gaussians with radii [C, N, 2] int32 to three `statistics` [N]."""
    _native.kernels_for(gradients).add_screen_statistics(
        _dense_rows(gradients), _dense_rows(radii), *half_size, *statistics
    )


def _dense_rows(tensor: Tensor) -> Tensor:
    """[C, N, 2] of which every camera's rows are dense: rows of a larger tensor are taken as they are."""
    return tensor if tensor.stride()[1:] == (2, 1) else tensor.contiguous()
