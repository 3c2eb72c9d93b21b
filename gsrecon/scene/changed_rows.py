"""Changes of a few rows of a large tensor."""

import torch
from jaxtyping import Int64
from torch import Tensor


def add_rows(base: Tensor, rows: Int64[Tensor, " M"], change: Tensor) -> Tensor:
    """A copy of the base in which `change` is added to some rows, each named once."""
    added = _AddRows.apply(base, rows, change)
    assert isinstance(added, Tensor)
    return added


def scale_rows(base: Tensor, rows: Int64[Tensor, " M"], factor: Tensor) -> Tensor:
    """A copy of the base in which some rows, each named once, are multiplied by `factor`."""
    scaled = _ScaleRows.apply(base, rows, factor)
    assert isinstance(scaled, Tensor)
    return scaled


class _AddRows(torch.autograd.Function):
    """index_add without its loop over rows, and without a copy on the way back."""

    @staticmethod
    def forward(ctx, base: Tensor, rows: Tensor, change: Tensor) -> Tensor:
        ctx.save_for_backward(rows)
        added = base.clone()
        added[rows] += change
        return added

    @staticmethod
    def backward(ctx, v_added: Tensor) -> tuple[Tensor, None, Tensor]:  # pyright: ignore
        (rows,) = ctx.saved_tensors
        return v_added, None, v_added[rows]


class _ScaleRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx, base: Tensor, rows: Tensor, factor: Tensor) -> Tensor:
        old = base[rows]
        ctx.save_for_backward(rows, old, factor)
        scaled = base.clone()
        scaled[rows] = old * factor
        return scaled

    @staticmethod
    def backward(ctx, v_scaled: Tensor) -> tuple[Tensor, None, Tensor]:  # pyright: ignore
        rows, old, factor = ctx.saved_tensors
        v_rows, v_base = v_scaled[rows], v_scaled.clone()
        v_base[rows] = v_rows * factor
        return v_base, None, v_rows * old
