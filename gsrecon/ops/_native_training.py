"""The compiled kernels of a training step that change tensors in place: Adam."""

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
