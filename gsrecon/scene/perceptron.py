"""Small fully connected networks, held as tensors by name."""

import math
from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor


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


def hidden(name: str, parameters: Mapping[str, Tensor], inputs: Float[Tensor, "N I"]) -> Float[Tensor, "N W"]:
    """Hidden layers with ReLU, as many as there are of the name."""
    values, k = inputs, 0
    while f"{name}.{k}.weight" in parameters:
        linear = torch.nn.functional.linear(
            values, parameters[f"{name}.{k}.weight"], parameters[f"{name}.{k}.bias"]
        )
        values, k = linear.relu_(), k + 1
    return values


def heads(
    names: Sequence[str], parameters: Mapping[str, Tensor], inputs: Float[Tensor, "N W"]
) -> tuple[Float[Tensor, "N O"], ...]:
    """Linear layers on the same inputs, in one product: many thin ones take much longer."""
    weights = [parameters[f"{name}.weight"] for name in names]
    weight, bias = torch.cat(weights), torch.cat([parameters[f"{name}.bias"] for name in names])
    return torch.nn.functional.linear(inputs, weight, bias).split([len(w) for w in weights], dim=1)
