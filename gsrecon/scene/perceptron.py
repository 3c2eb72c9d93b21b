"""Small fully connected networks, held as tensors by name."""

import math
from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from gsrecon.ops.perceptron import perceptron


def new_layer(inputs: int, outputs: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Weights [outputs, inputs] for a ReLU behind them, and biases of zero.

    Source: He et al., "Delving deep into rectifiers" (ICCV 2015), Equation 10.
    """
    weight = torch.randn(outputs, inputs, generator=generator) * math.sqrt(2.0 / inputs)
    return weight, torch.zeros(outputs)


def new_hidden(
    name: str, inputs: int, layers: int, width: int, generator: torch.Generator
) -> dict[str, Tensor]:
    """Parameters of some hidden layers, `NAME.0.weight` and so on."""
    parameters: dict[str, Tensor] = {}
    for k in range(layers):
        weight, bias = new_layer(inputs if k == 0 else width, width, generator)
        parameters |= {f"{name}.{k}.weight": weight, f"{name}.{k}.bias": bias}
    return parameters


def new_head(name: str, inputs: int, outputs: int) -> dict[str, Tensor]:
    """Parameters of a linear layer that gives zero at first."""
    return {f"{name}.weight": torch.zeros(outputs, inputs), f"{name}.bias": torch.zeros(outputs)}


def run(
    trunk: str, heads: Sequence[str], parameters: Mapping[str, Tensor], inputs: Float[Tensor, "N I"]
) -> tuple[Float[Tensor, "N O"], ...]:
    """What each head, a linear layer, gives behind the hidden layers of a trunk."""
    layers, k = [], 0
    while f"{trunk}.{k}.weight" in parameters:
        layers.append((parameters[f"{trunk}.{k}.weight"], parameters[f"{trunk}.{k}.bias"]))
        k += 1
    weights = [parameters[f"{name}.weight"] for name in heads]
    layers.append((torch.cat(weights), torch.cat([parameters[f"{name}.bias"] for name in heads])))
    return perceptron(inputs, layers).split([len(weight) for weight in weights], dim=1)
