"""Lane lines in a view: polylines in pixels with the visibility of each point."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64

from gsrecon.data.log import Lane
from gsrecon.data.projection import project
from gsrecon.labels.adaptor import Adaptor
from gsrecon.labels.project import NEAREST_M, in_cam
from gsrecon.scene.recording import RecordedCamera

FARTHEST_M = 100.0
"""Lines are followed up to this distance along z [m]."""
STEP_M = 0.5
"""Points lie at most this far apart on a line [m]."""
_NEARER = 1.02
_NEARER_M = 0.2
"""A point is hidden where all depths about its pixel are nearer than it by more than 2 % and 0.2 m."""


@dataclass(frozen=True)
class LaneInView:
    """The part of a line that lies in the picture, without gaps."""

    id: str
    kind: str
    pixels: Float64[np.ndarray, "P 2"]
    """x, y; pixel centres at +0.5."""
    points_in_cam: Float64[np.ndarray, "P 3"]
    """The same points [m]."""
    visible: Bool[np.ndarray, " P"]
    """Nothing that the scene shows lies before the point."""


def lanes_in_view(
    lanes: Sequence[Lane],
    adaptor: Adaptor,
    lens: RecordedCamera,
    world_from_cam: Float64[np.ndarray, "4 4"],
    depth: Float32[np.ndarray, "H W"],
) -> list[LaneInView]:
    """Every part of every line that lies in the picture, up to 100 m away.

    Args:
        lanes: Lines in the data set's world.
        adaptor: From there into the scene.
        lens: The camera.
        world_from_cam: Its pose in the scene.
        depth: Median depth along z [m], 0 where there is none.
    """
    found = []
    for lane in lanes:
        points = in_cam(world_from_cam, adaptor.points(dense(lane.points_in_world)))
        inside = (points[:, 2] > NEAREST_M) & (points[:, 2] < FARTHEST_M)
        pixels = np.zeros((len(points), 2))
        pixels[inside] = project(points[inside], lens.K, lens.model, lens.distortion)
        inside &= ((pixels >= 0) & (pixels < [lens.width, lens.height])).all(axis=1)
        for part in _runs(inside):
            if part.stop - part.start < 2:
                continue
            visible = is_visible(pixels[part], points[part, 2], depth)
            found.append(LaneInView(lane.id, lane.kind, pixels[part], points[part], visible))
    return found


def is_visible(
    pixels: Float64[np.ndarray, "P 2"], z: Float64[np.ndarray, " P"], depth: Float32[np.ndarray, "H W"]
) -> Bool[np.ndarray, " P"]:
    """Whether points in the picture are not hidden by what it shows.

    The farthest depth of a pixel and its eight neighbours counts: a road seen at a flat angle changes its
    depth by metres from one row to the next.
    """
    height, width = depth.shape
    x, y = np.floor(pixels).astype(int).T
    farthest = np.zeros(len(pixels))
    for down in (-1, 0, 1):
        for across in (-1, 0, 1):
            rows, columns = (y + down).clip(0, height - 1), (x + across).clip(0, width - 1)
            farthest = np.maximum(farthest, depth[rows, columns])
    return z <= farthest * _NEARER + _NEARER_M


def dense(points: Float64[np.ndarray, "P 3"]) -> Float64[np.ndarray, "Q 3"]:
    """A polyline with points added so that neighbours lie at most half a metre apart."""
    lengths = np.linalg.norm(np.diff(points, axis=0), axis=1)
    counts = np.maximum(1, np.ceil(lengths / STEP_M)).astype(int)
    parts = [
        start + (stop - start) * (np.arange(count) / count)[:, None]
        for start, stop, count in zip(points[:-1], points[1:], counts, strict=True)
    ]
    return np.concatenate([*parts, points[-1:]])


def _runs(mask: Bool[np.ndarray, " P"]) -> list[slice]:
    change = np.diff(np.concatenate([[0], mask.astype(np.int8), [0]]))
    starts, stops = np.nonzero(change == 1)[0], np.nonzero(change == -1)[0]
    return [slice(int(start), int(stop)) for start, stop in zip(starts, stops, strict=True)]
