"""Choosing values by a mask so that gradients stop where they are not chosen."""

from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor


def where(condition: Bool[Tensor, "..."], value: Any, otherwise: float) -> Tensor:
    """`value` where the condition holds, aligned at the leading dimensions; its gradient stops elsewhere."""
    if isinstance(value, Tensor):
        condition = condition.reshape(condition.shape + (1,) * (value.ndim - condition.ndim))
    return torch.where(condition, value, otherwise)
