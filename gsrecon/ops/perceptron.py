"""Small fully connected networks over many rows: ReLU behind every layer but the last."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from gsrecon.ops._native_perceptron import perceptron as native_perceptron

Layer = tuple[Float[Tensor, "_ _"], Float[Tensor, " _"]]
"""Weights [results, inputs] and biases [results]."""


def perceptron(inputs: Float[Tensor, "N I"], layers: Sequence[Layer]) -> Float[Tensor, "N O"]:
    """What a network makes of each row; differentiable in inputs, weights and biases.

    float32 on the CPU goes through one compiled pass for values and gradients, which keeps nothing but the
    inputs for the way back; everything else goes through plain torch, the reference.

    Args:
        inputs: A row for each question.
        layers: At least one.
    """
    tensors = [inputs, *(tensor for layer in layers for tensor in layer)]
    if not all(t.dtype == torch.float32 and t.device.type == "cpu" for t in tensors):
        return perceptron_reference(inputs, layers)
    widths = [inputs.shape[1], *(len(bias) for _, bias in layers)]
    return native_perceptron(inputs, torch.cat([t.flatten() for t in tensors[1:]]), widths)


def perceptron_reference(inputs: Float[Tensor, "N I"], layers: Sequence[Layer]) -> Float[Tensor, "N O"]:
    """The same in plain torch, any float precision and device."""
    values = inputs
    for weight, bias in layers[:-1]:
        values = torch.nn.functional.linear(values, weight, bias).relu()
    return torch.nn.functional.linear(values, *layers[-1])
