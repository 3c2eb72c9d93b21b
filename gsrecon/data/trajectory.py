"""Poses between recorded poses."""

import numpy as np
import torch
from jaxtyping import Float64, Int64

from gsrecon.geometry.rigid import interpolate


def poses_at(
    timestamps_us: Int64[np.ndarray, " T"],
    poses: Float64[np.ndarray, "T 4 4"],
    wanted_us: Int64[np.ndarray, " Q"],
) -> Float64[np.ndarray, "Q 4 4"]:
    """Poses interpolated (slerp, straight line) to other times; beyond the ends the last motion goes on.

    Args:
        timestamps_us: Times of the poses, strictly ascending.
        poses: `target_from_source` at those times.
        wanted_us: Times to interpolate to.
    """
    if len(timestamps_us) == 1:
        return np.repeat(poses, len(wanted_us), axis=0)
    after = np.clip(np.searchsorted(timestamps_us, wanted_us, side="right"), 1, len(timestamps_us) - 1)
    start, end = timestamps_us[after - 1], timestamps_us[after]
    fraction = (wanted_us - start) / (end - start)
    moved = interpolate(
        torch.from_numpy(np.ascontiguousarray(poses[after - 1], dtype=np.float64)),
        torch.from_numpy(np.ascontiguousarray(poses[after], dtype=np.float64)),
        torch.from_numpy(fraction),
    )
    return moved.numpy()
