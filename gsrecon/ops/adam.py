"""One optimiser step of many tensors, in place, over the rows that have a gradient."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gsrecon.ops import _native_training
from gsrecon.ops._native import is_compiled


@dataclass(frozen=True)
class AdamStep:
    """What is the same for all rows of a tensor (Kingma & Ba, 2015, algorithm 1)."""

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


def adam_rows(
    steps: Sequence[AdamStep],
    gradients: Sequence[Tensor],
    values: Sequence[Tensor],
    first_moments: Sequence[Tensor],
    second_moments: Sequence[Tensor],
) -> None:
    """Adam on the rows whose gradient is not zero; all others stay as they are, moments too.

    Where all tensors are float32 and on one device, they go through one compiled pass together; everything
    else goes through plain torch, the reference.

    Args:
        steps: Settings of each tensor's step.
        gradients: Of the parameters, each [N, ...] with an N of its own; one of no dimension is a row.
        values: The parameters, updated in place.
        first_moments: Running means of the gradients, updated in place.
        second_moments: Running means of their squares, updated in place.

    Raises:
        ValueError: when there are not as many of one as of the others, shapes differ, or one that is updated
            is not contiguous.
    """
    tensors = (gradients, values, first_moments, second_moments)
    if any(len(of_each) != len(steps) for of_each in tensors):
        raise ValueError(
            "steps, gradients, values, first_moments, second_moments: expected as many of each, "
            f"got {len(steps)}, {', '.join(str(len(of_each)) for of_each in tensors)}"
        )
    if not all(t.is_contiguous() for updated in tensors[1:] for t in updated):
        raise ValueError(
            "values, first_moments, second_moments: expected contiguous tensors, updated in place"
        )
    if not steps:
        return
    schedules = [step.schedule for step in steps if step.schedule is not None]
    if is_compiled(*gradients, *values, *first_moments, *second_moments, *schedules):
        settings = [
            (s.beta1, s.beta2, s.corrected_rate, s.second_moment_scale, s.epsilon, s.schedule) for s in steps
        ]
        _native_training.adam_rows(settings, *tensors)
        return
    with torch.no_grad():
        for step, *own in zip(steps, *tensors, strict=True):
            _adam_rows_reference(step, *own)


def _adam_rows_reference(
    step: AdamStep, gradient: Tensor, value: Tensor, first_moment: Tensor, second_moment: Tensor
) -> None:
    """The same for one tensor in plain torch, any float precision and device."""
    if not gradient.shape == value.shape == first_moment.shape == second_moment.shape:
        raise ValueError(
            "values, first_moments, second_moments: expected the gradients' shapes, got "
            f"{[list(t.shape) for t in (value, first_moment, second_moment)]} for {list(gradient.shape)}"
        )
    if value.numel() == 0:
        return
    count = len(value) if value.ndim > 0 else 1
    gradient = gradient.reshape(count, -1)
    value, first_moment, second_moment = (t.view(count, -1) for t in (value, first_moment, second_moment))
    rows = (gradient != 0).any(dim=1)
    g = gradient[rows]
    first = first_moment[rows].lerp(g, 1 - step.beta1)
    second = step.beta2 * second_moment[rows] + (1 - step.beta2) * g * g
    first_moment[rows], second_moment[rows] = first, second
    rate, scale = (step.corrected_rate, step.second_moment_scale) if step.schedule is None else step.schedule
    value[rows] -= rate * first / (second.sqrt() * scale + step.epsilon)
