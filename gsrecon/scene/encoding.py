"""Frequency encodings: positions and times as sines and cosines, which small networks can work with.

Mildenhall et al., "NeRF" (ECCV 2020), Equation 4, with the value itself in front.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

MOST_OCTAVES = 10
"""Frequencies of an encoding end here, however long the drive."""


def encode(values: Float[Tensor, "N D"], octaves: int) -> Float[Tensor, "N E"]:
    """Values, then sin(2^k pi v) of every octave k and coordinate, then cos; E = D (1 + 2 octaves).

    Args:
        values: About -1 to 1.
        octaves: Number of frequencies; 0 leaves the values alone.
    """
    if octaves == 0:
        return values
    factors = math.pi * 2.0 ** torch.arange(octaves, dtype=values.dtype, device=values.device)
    angles = (values[:, None, :] * factors[:, None]).flatten(1)
    return torch.cat([values, angles.sin(), angles.cos()], dim=1)


def octaves_down_to(shortest_period: float, half_extent: float) -> int:
    """How many octaves until the period is as short as wanted; the first one spans the whole extent.

    Args:
        shortest_period: Wanted period of the highest frequency, in the unit of the extent.
        half_extent: What is scaled to 1.
    """
    if not shortest_period > 0:
        raise ValueError(f"shortest_period: expected above 0, got {shortest_period}")
    return min(MOST_OCTAVES, max(1, math.ceil(math.log2(2 * half_extent / shortest_period) - 1e-9) + 1))
