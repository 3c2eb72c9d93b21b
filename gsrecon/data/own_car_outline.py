"""The outline of the own car: one row in every column, chosen together by dynamic programming."""

import numpy as np
from jaxtyping import Bool, Float64

_EDGE_WORTH = 5.0  # an edge that stays is worth as much as so many pixels that stay
_STEP_COST = 0.6  # of a row between neighbouring columns, up to
_LARGEST_STEP_COST = 12.0


def best_outline(
    own: Float64[np.ndarray, "H W"], edge: Float64[np.ndarray, "H W"]
) -> Bool[np.ndarray, "H W"]:
    """The pixels below the best outline, which may lie below the picture.

    It gathers what the pixels below it say, and the edges that it lies on.

    Args:
        own: Evidence of each pixel: positive for the own car, negative against it.
        edge: 0 to 1, an edge that the outline may lie on.
    """
    height, width = own.shape
    below = np.concatenate([np.cumsum(own[::-1], axis=0)[::-1], np.zeros((1, width))])
    # An outline above row b lies between b - 1 and b, where a central gradient is felt in both.
    touching = np.maximum(edge[:-1], edge[1:])
    worth = below.copy()
    worth[1:height] += _EDGE_WORTH * touching
    rows = np.arange(height + 1)
    steps = np.minimum(_STEP_COST * np.abs(rows[:, None] - rows[None, :]), _LARGEST_STEP_COST)
    best = worth[:, 0]
    came_from = np.zeros((width, height + 1), dtype=np.int64)
    for column in range(1, width):
        ways = best[None, :] - steps
        came_from[column] = ways.argmax(axis=1)
        best = ways.max(axis=1) + worth[:, column]
    outline = np.zeros(width, dtype=np.int64)
    outline[-1] = best.argmax()
    for column in range(width - 1, 0, -1):
        outline[column - 1] = came_from[column, outline[column]]
    return rows[:height, None] >= outline[None, :]
