"""Backward passes that have no gradient themselves."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch import Tensor


class _Refusal(torch.autograd.Function):
    """Hands gradients through; whoever differentiates them is told that this cannot be done."""

    @staticmethod
    def forward(ctx: Any, anchor: Tensor, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        return tuple(None if g is None else g.view_as(g) for g in gradients)

    @staticmethod
    def backward(ctx: Any, *_: Any) -> Any:
        raise RuntimeError("gsrecon's operations have gradients, but no gradients of these gradients")


def once_differentiable(backward: Callable[..., Any]) -> Any:
    """A backward pass whose results, under `create_graph=True`, cannot be differentiated again.

    torch's own decorator of that name takes them for constants where the upstream gradient is one, and a
    penalty on gradients would be silently wrong.
    """

    @wraps(backward)
    def once(ctx: Any, *gradients: Tensor | None) -> Any:
        with torch.no_grad():
            own = backward(ctx, *gradients)
        if not torch.is_grad_enabled():
            return own
        return _Refusal.apply(torch.ones((), requires_grad=True), *own)

    return once
