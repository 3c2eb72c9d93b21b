"""Depths of the lidar in a picture, without what lies behind something that the camera sees."""

import numpy as np
from jaxtyping import Float32, Int32, Int64

from gsrecon.data.log import CameraFrame, DrivingLog

_OCCLUDED_RATIO = 1.15
"""A lidar point is behind something when a point in the neighbouring pixels is nearer by this factor."""
_NEIGHBOUR_PX = 2


def seen_depths(
    log: DrivingLog, frame: CameraFrame, max_gap_us: int
) -> tuple[Int32[np.ndarray, " K"], Float32[np.ndarray, " K"]]:
    """Pixels of a frame, as flat indices into [H, W], each once, and the lidar's depth along z there [m].

    Args:
        log: The drive.
        frame: One of its pictures.
        max_gap_us: A sweep further away in time than this tells nothing.
    """
    camera = log.cameras[frame.camera]
    places, depths = log.depth_points(frame, max_gap_us)
    column, row = np.floor(places[:, 0]).astype(np.int64), np.floor(places[:, 1]).astype(np.int64)
    inside = (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height) & (depths > 0)
    pixels = row[inside] * camera.width + column[inside]
    return seen_from_here(pixels, depths[inside], camera.width, camera.height)


def seen_from_here(
    pixels: Int64[np.ndarray, " M"], depths: Float32[np.ndarray, " M"], width: int, height: int
) -> tuple[Int32[np.ndarray, " K"], Float32[np.ndarray, " K"]]:
    """One lidar point a pixel, the nearest, without those that lie behind their neighbours.

    The lidar sits elsewhere than the camera and sees behind things that hide its points from the camera.
    """
    nearest = np.full(height * width, np.inf, dtype=np.float32)
    np.minimum.at(nearest, pixels, depths)
    around = _nearest_around(_nearest_around(nearest.reshape(height, width), 0), 1).reshape(-1)
    kept = np.flatnonzero(np.isfinite(nearest) & (nearest <= np.float32(_OCCLUDED_RATIO) * around))
    return kept.astype(np.int32), nearest[kept]


def _nearest_around(depths: Float32[np.ndarray, "H W"], axis: int) -> Float32[np.ndarray, "H W"]:
    """The least depth among a pixel and its neighbours along one axis."""
    least = depths.copy()
    of_least, of_depths = (np.moveaxis(values, axis, 0) for values in (least, depths))
    for shift in range(1, min(_NEIGHBOUR_PX, len(of_depths) - 1) + 1):
        np.minimum(of_least[shift:], of_depths[:-shift], out=of_least[shift:])
        np.minimum(of_least[:-shift], of_depths[shift:], out=of_least[:-shift])
    return least
