"""One optimiser step, in place, over the rows that have a gradient."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from gsrecon.ops import _native_pictures
from gsrecon.ops._native import is_compiled


@dataclass(frozen=True)
class AdamStep:
    """What is the same for all rows of a step (Kingma & Ba, 2015, algorithm 1)."""

    number: int
    """t, from 1."""
    rate: float
    """Learning rate."""
    beta1: float = 0.9
    """Decay of the first moment."""
    beta2: float = 0.999
    """Decay of the second moment."""
    epsilon: float = 1e-15
    """Added to the root of the second moment."""

    schedule: Tensor | None = None
    """Corrected rate and second moment scale [2] on the parameter's device, in place of those of the numbers.

    A CUDA graph that has captured a step reads them anew each time it is replayed.
    """

    @property
    def corrected_rate(self) -> float:
        """Learning rate / (1 - beta1^t)."""
        return self.rate / (1 - self.beta1**self.number)

    @property
    def second_moment_scale(self) -> float:
        """1 / sqrt(1 - beta2^t)."""
        return 1 / math.sqrt(1 - self.beta2**self.number)


@torch.no_grad()
def adam_rows(
    step: AdamStep, gradient: Tensor, value: Tensor, first_moment: Tensor, second_moment: Tensor
) -> None:
    """Adam on the rows whose gradient is not zero; all others stay as they are, moments too.

    float32 goes through one compiled pass, everything else through plain torch, the reference.

    Args:
        step: Settings of the step.
        gradient: Of the parameter [N, ...].
        value: The parameter, updated in place.
        first_moment: Running mean of the gradient, updated in place.
        second_moment: Running mean of its square, updated in place.

    Raises:
        ValueError: when one that is updated is not contiguous.
    """
    if value.numel() == 0:
        return
    if not all(t.is_contiguous() for t in (value, first_moment, second_moment)):
        raise ValueError("value, first_moment, second_moment: expected contiguous tensors, updated in place")
    rows = len(value) if value.ndim > 0 else 1
    g = gradient.detach().reshape(rows, -1)
    v, first, second = (t.detach().view(rows, -1) for t in (value, first_moment, second_moment))
    if is_compiled(g, v, first, second):
        _native_pictures.adam_rows(
            g,
            v,
            first,
            second,
            step.beta1,
            step.beta2,
            step.corrected_rate,
            step.second_moment_scale,
            step.epsilon,
            step.schedule,
        )
    else:
        _adam_rows_reference(step, g, v, first, second)


def _adam_rows_reference(
    step: AdamStep, gradient: Tensor, value: Tensor, first_moment: Tensor, second_moment: Tensor
) -> None:
    """The same on [N, W] in plain torch, any float precision and device."""
    rows = (gradient != 0).any(dim=1)
    g = gradient[rows]
    first = first_moment[rows].lerp(g, 1 - step.beta1)
    second = step.beta2 * second_moment[rows] + (1 - step.beta2) * g * g
    first_moment[rows], second_moment[rows] = first, second
    rate, scale = (step.corrected_rate, step.second_moment_scale) if step.schedule is None else step.schedule
    value[rows] -= rate * first / (second.sqrt() * scale + step.epsilon)
