"""Sides of an object: eight sectors about its upright axis."""

import math
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float64

SIDES = ("front", "front-left", "left", "rear-left", "rear", "rear-right", "right", "front-right")
"""Each 45 degrees wide, counter-clockwise seen from above; `front` is centred on the object's x axis."""


def side_of(offset: Float64[np.ndarray, " 3"]) -> str:
    """The side from which something is seen.

    Args:
        offset: Where the camera is, in the object's frame [m].
    """
    turn = math.atan2(float(offset[1]), float(offset[0]))
    return SIDES[round(turn / (math.pi / 4)) % len(SIDES)]


def azimuth(side: str) -> float:
    """The direction of the middle of a side, counter-clockwise from the object's x axis [rad]."""
    return SIDES.index(side) * math.pi / 4


def mean_azimuth(weights: Mapping[str, int]) -> float:
    """The direction about which weighted sides lie; that of the front where there are none [rad]."""
    x = sum(weight * math.cos(azimuth(side)) for side, weight in weights.items())
    y = sum(weight * math.sin(azimuth(side)) for side, weight in weights.items())
    return math.atan2(y, x)
