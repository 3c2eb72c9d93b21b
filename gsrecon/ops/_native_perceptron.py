"""The compiled small networks as a torch operation."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from gsrecon.ops._native import all_dense, dense, fresh, kernels_for, pooled_like
from gsrecon.ops._once_differentiable import once_differentiable


class _Perceptron(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, parameters: Tensor, widths: list[int]) -> Tensor:
        tensors = all_dense(inputs, parameters)
        outputs = fresh(inputs, (len(inputs), widths[-1]))
        kernels_for(inputs).perceptron(*tensors, widths, outputs)
        ctx.widths = widths
        ctx.save_for_backward(*tensors)
        return outputs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor, None]:
        inputs, parameters = ctx.saved_tensors
        v_parameters = fresh(parameters, parameters.shape)
        v_inputs = pooled_like(inputs) if ctx.needs_input_grad[0] else None
        kernels_for(inputs).perceptron_vjp(
            inputs, parameters, ctx.widths, dense(gradients[0]), v_parameters, v_inputs
        )
        return v_inputs, v_parameters, None


def perceptron(inputs: Tensor, parameters: Tensor, widths: Sequence[int]) -> Tensor:
    """Results [N, widths[-1]] of a network for inputs [N, widths[0]], both float32 on the CPU.

    Differentiable once in inputs and parameters (layer after layer: weights, then biases, in one row).
    """
    outputs = _Perceptron.apply(inputs, parameters, list(widths))
    return outputs  # pyright: ignore[reportReturnType] - one tensor
