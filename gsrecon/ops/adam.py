"""One optimiser step, in place, over the rows that have a gradient."""

import torch
from torch import Tensor

from gsrecon.ops import _native_pictures


@torch.no_grad()
def adam_rows(
    gradient: Tensor,
    value: Tensor,
    first_moment: Tensor,
    second_moment: Tensor,
    *,
    betas: tuple[float, float],
    rate: float,
    second_moment_scale: float,
    epsilon: float,
) -> None:
    """Adam (Kingma & Ba, 2015, algorithm 1) on the rows whose gradient is not zero.

    All other rows stay as they are, moments too. float32 on the CPU goes through one compiled pass,
    everything else through plain torch, the reference.

    Args:
        gradient: Of the parameter [N, ...].
        value: The parameter, updated in place.
        first_moment: Running mean of the gradient, updated in place.
        second_moment: Running mean of its square, updated in place.
        betas: Decay of the two moments.
        rate: Learning rate / (1 - beta1^t).
        second_moment_scale: 1 / sqrt(1 - beta2^t).
        epsilon: Added to the root of the second moment.
    """
    if value.numel() == 0:
        return
    rows = len(value) if value.ndim > 0 else 1
    tensors = [tensor.detach().reshape(rows, -1) for tensor in (gradient, value, first_moment, second_moment)]
    step = {
        "betas": betas,
        "rate": rate,
        "second_moment_scale": second_moment_scale,
        "epsilon": epsilon,
    }
    float32_on_cpu = all(t.dtype == torch.float32 and t.device.type == "cpu" for t in tensors)
    if float32_on_cpu and all(t.is_contiguous() for t in (value, first_moment, second_moment)):
        _native_pictures.adam_rows(*tensors, **step)
    else:
        adam_rows_reference(*tensors, **step)


def adam_rows_reference(
    gradient: Tensor,
    value: Tensor,
    first_moment: Tensor,
    second_moment: Tensor,
    *,
    betas: tuple[float, float],
    rate: float,
    second_moment_scale: float,
    epsilon: float,
) -> None:
    """The same on [N, W] in plain torch, any float precision and device."""
    rows = (gradient != 0).any(dim=1)
    g = gradient[rows]
    first = first_moment[rows].lerp(g, 1 - betas[0])
    second = betas[1] * second_moment[rows] + (1 - betas[1]) * g * g
    first_moment[rows], second_moment[rows] = first, second
    value[rows] -= rate * first / (second.sqrt() * second_moment_scale + epsilon)
