"""The compiled small networks as a torch operation."""

from collections.abc import Sequence

import torch
from torch import Tensor

from gsrecon.ops._native import arguments, kernels, pooled_like


@torch.library.custom_op("gsrecon::perceptron", mutates_args=(), device_types="cpu")
def _perceptron(inputs: Tensor, parameters: Tensor, widths: Sequence[int]) -> Tensor:
    outputs = inputs.new_empty(len(inputs), widths[-1])
    kernels().perceptron(*arguments(inputs, parameters), list(widths), outputs)
    return outputs


@torch.library.custom_op("gsrecon::perceptron_vjp", mutates_args=(), device_types="cpu")
def _perceptron_vjp(
    inputs: Tensor, parameters: Tensor, widths: Sequence[int], v_outputs: Tensor, with_inputs: bool
) -> tuple[Tensor, Tensor]:
    v_parameters = torch.empty_like(parameters, memory_format=torch.contiguous_format)
    v_inputs = pooled_like(inputs if with_inputs else None, inputs)
    kernels().perceptron_vjp(
        *arguments(inputs, parameters),
        list(widths),
        *arguments(v_outputs),
        v_parameters,
        v_inputs if with_inputs else None,
    )
    return v_parameters, v_inputs


def _setup(ctx, inputs, output) -> None:
    values, parameters, ctx.widths = inputs
    ctx.save_for_backward(values, parameters)


def _backward(ctx, v_outputs):
    with_inputs = ctx.needs_input_grad[0]
    v_parameters, v_inputs = _perceptron_vjp(*ctx.saved_tensors, ctx.widths, v_outputs, with_inputs)
    return v_inputs if with_inputs else None, v_parameters, None


_perceptron.register_autograd(_backward, setup_context=_setup)


def perceptron(inputs: Tensor, parameters: Tensor, widths: Sequence[int]) -> Tensor:
    """Results [N, widths[-1]] of a network for inputs [N, widths[0]], both float32.

    Differentiable in inputs and parameters (layer after layer: weights, then biases, in one row).
    """
    return _perceptron(inputs, parameters, widths)
