"""What the scene is in front of is hidden: depths as browsers take them, behind boxes, lines and points."""

import numpy as np
from jaxtyping import Float32

FARTHEST_M = 167.0
"""Browsers are told depths up to here; a little more is what viser's 24 bits hold [m]."""
SLACK_M, SLACK = 0.1, 0.02
"""Lines that lie on a surface are seen: depths are told so much larger, metres and a share."""
_STEPS = 64
"""Steps from a depth to its double: coarse ones make small PNG files, and are finer than the slack."""
COARSE = 4
"""While something moves, every so many-th row and column is sent."""


def depth_to_send(depth: Float32[np.ndarray, "H W"], coarse: bool) -> Float32[np.ndarray, "h w"]:
    """Depths with a little slack, rounded up.

    Args:
        depth: Along the view [m]; infinite where nothing hides what is behind it.
        coarse: Less of it, for pictures that are soon followed by the next.
    """
    if coarse:
        depth = depth[COARSE // 2 :: COARSE, COARSE // 2 :: COARSE]
    near = np.clip(depth * (1 + SLACK) + SLACK_M, SLACK_M, FARTHEST_M)
    step = np.exp2(np.floor(np.log2(near))) / _STEPS
    return np.minimum(np.ceil(near / step) * step, FARTHEST_M).astype(np.float32)
