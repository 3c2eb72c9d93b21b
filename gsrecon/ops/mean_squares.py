"""Penalties on small tables."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from gsrecon.ops import _native_corrections
from gsrecon.ops._native import is_compiled

Penalty = tuple[float, Float[Tensor, "_ _"]]
"""A weight and the table whose mean square it weighs."""


def weighted_mean_squares(penalties: Sequence[Penalty]) -> Float[Tensor, ""]:
    """The sum of weight * mean(table^2) over up to eight tables, none of them empty; differentiable in them.

    float32 goes through one compiled pass for the value and one for gradients, everything else through plain
    torch, the reference.
    """
    weights, tables = zip(*penalties, strict=True)
    if not is_compiled(*tables):
        return weighted_mean_squares_reference(penalties)
    return _native_corrections.mean_squares(tables, weights)


def weighted_mean_squares_reference(penalties: Sequence[Penalty]) -> Float[Tensor, ""]:
    """The same in plain torch, any float precision and device."""
    return torch.stack([weight * table.square().mean() for weight, table in penalties]).sum()
