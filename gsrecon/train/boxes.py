"""Which lidar points lie in which annotated box."""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Bool, Float64

from gsrecon.data.log import Track
from gsrecon.data.trajectory import poses_at

BOTTOM_M = 0.1
"""Points this near the bottom of a box are taken for the ground the object stands on."""
_MARGIN_M = 0.1
"""Boxes are annotated tightly; points this far outside still belong to them."""


def pose_near(track: Track, timestamp_us: int, padding_us: int) -> Float64[np.ndarray, "4 4"] | None:
    """`world_from_actor` at a time, the last motion going on for a while beyond the ends; None after that."""
    first, last = int(track.timestamps_us[0]), int(track.timestamps_us[-1])
    if not first - padding_us <= timestamp_us <= last + padding_us:
        return None
    return poses_at(track.timestamps_us, track.world_from_actor, np.array([timestamp_us]))[0]


class Boxes:
    """Boxes of some tracks at any time."""

    def __init__(self, tracks: Sequence[Track], padding_us: int, parked: Sequence[bool]) -> None:
        """Takes them together.

        Args:
            tracks: The objects.
            padding_us: They are there for this much longer than they are annotated, on both sides [us].
            parked: Of each whether it stands where it is before and after that, too.
        """
        self.tracks = tracks
        self._padding_us = padding_us
        self._parked = parked

    def pose(self, number: int, timestamp_us: int) -> Float64[np.ndarray, "4 4"] | None:
        """`world_from_actor` of a track, None where it is not there."""
        track = self.tracks[number]
        if self._parked[number]:
            first, last = track.timestamps_us[0], track.timestamps_us[-1]
            timestamp_us = int(np.clip(timestamp_us, first, last))
        return pose_near(track, timestamp_us, self._padding_us)

    def contents(
        self, points_in_world: Float64[np.ndarray, "N 3"], timestamp_us: int
    ) -> Iterator[tuple[int, np.ndarray, Float64[np.ndarray, "M 3"]]]:
        """Of each box with points in it: number of the track, rows of the points, the points in its frame."""
        for number, track in enumerate(self.tracks):
            world_from_actor = self.pose(number, timestamp_us)
            if world_from_actor is None:
                continue
            half = 0.5 * track.size_lwh + _MARGIN_M
            away = points_in_world - world_from_actor[:3, 3]
            rows = (np.abs(away) <= np.linalg.norm(half)).all(axis=1).nonzero()[0]
            in_actor = away[rows] @ world_from_actor[:3, :3]
            inside = (np.abs(in_actor) <= half).all(axis=1)
            inside &= in_actor[:, 2] >= -0.5 * track.size_lwh[2] + BOTTOM_M
            if inside.any():
                yield number, rows[inside], in_actor[inside]

    def holds(self, points_in_world: Float64[np.ndarray, "N 3"], timestamp_us: int) -> Bool[np.ndarray, " N"]:
        """Points that lie in any box."""
        held = np.zeros(len(points_in_world), dtype=bool)
        for _, rows, _ in self.contents(points_in_world, timestamp_us):
            held[rows] = True
        return held
