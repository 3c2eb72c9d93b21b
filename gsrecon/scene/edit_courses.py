"""New ways for objects: along waypoints on the ground, with a time or a speed at each."""

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from gsrecon.errors import SpecError
from gsrecon.scene.edit_paths import (
    Curve,
    Timed,
    at_speeds,
    at_times,
    curve_through,
    in_lane,
    on_ground,
    wheels,
)
from gsrecon.scene.edit_stage import Action, Stage
from gsrecon.scene.figures import Figure, Way
from gsrecon.scene.ground import Ground

_FARTHEST_ABOVE_M = 0.5
"""Boxes that are farther from the ground than this were not standing on it."""


@dataclass(frozen=True, kw_only=True)
class Course(Action):
    """A way along waypoints on the ground, with a time or a speed at each."""

    waypoints: tuple[tuple[float, float], ...] = ()
    """Places [x, y] in world that the way goes through, smoothly [m]."""
    speeds_mps: tuple[float, ...] = ()
    """Speed at each waypoint, or one for all [m/s]."""
    times_s: tuple[float, ...] = ()
    """Instead of speeds: moment of the drive at each waypoint [s]."""
    start_s: float = 0.0
    """With speeds: moment at the first waypoint [s]."""
    follow_lane: bool = False
    """Keep to the middle of the lane that each part of the way is in."""
    stays: bool = False
    """Stand at the first waypoint before and at the last one after; otherwise it is not there then."""
    off_road: bool = False
    """The way may leave the road."""
    allow_collisions: bool = False
    """It may go through other objects."""

    def __post_init__(self) -> None:
        if not self.waypoints:
            return
        if bool(self.speeds_mps) == bool(self.times_s):
            raise ValueError("speeds_mps, times_s: expected one of them, for the waypoints")
        self._timed(curve_through(self.waypoints))

    def _timed(self, curve: Curve) -> Timed:
        if self.times_s:
            return at_times(curve, self.times_s)
        return at_speeds(curve, self.speeds_mps, self.start_s)

    def way(self, stage: Stage, size_lwh: Tensor, clock: tuple[float, float], above_m: float = 0.0) -> Way:
        """The way of a box of a size, whose bottom is so far above the ground [m].

        Raises:
            SpecError: It leaves the road, or there is no lane to follow.
        """
        curve = curve_through(self.waypoints)
        if self.follow_lane:
            curve = in_lane(curve, stage.surroundings.lanes)
            if curve is None:
                raise SpecError(
                    "follow_lane: there are no lane lines on both sides of the way; the drive has to be "
                    "there and have lanes, or leave it out"
                )
        timed = self._timed(curve)
        size = size_lwh.tolist()
        if not self.off_road:
            require_road(stage, timed, size)
        poses = on_ground(timed.places, timed.tangents, size, stage.ground, above_m)
        span = (-math.inf, math.inf) if self.stays else (float(timed.times_s[0]), float(timed.times_s[-1]))
        times = torch.from_numpy(timed.times_s)
        return Way.along(times, torch.from_numpy(poses), span, stage.device, clock)


@dataclass(frozen=True)
class Drive(Course):
    """Gives an object a new way."""

    do: ClassVar[str] = "drive"
    object: str
    """Id of the object."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.waypoints:
            raise ValueError("waypoints: expected at least two places [x, y] [m], got none")

    @property
    def placed(self) -> str | None:
        """The object."""
        return self.object

    def apply(self, stage: Stage) -> None:
        """Puts it on the way."""
        figure = stage.cast[self.object]
        above = _above_ground(figure, stage.ground)
        way = self.way(stage, figure.shape.size_lwh, figure.way.clock, above)
        stage.cast.change(replace(figure, way=way))


def require_road(stage: Stage, timed: Timed, size_lwh: list[float]) -> None:
    """Refuses a way of a box of a size [m] on which a wheel leaves the road.

    Raises:
        SpecError: One does; the first time and place are told.
    """
    stands = wheels(timed.places, timed.tangents, size_lwh)
    there = stage.surroundings.on_road(stands.reshape(-1, 2)).reshape(-1, 4).all(axis=1)
    if not there.all():
        first = int(np.flatnonzero(~there)[0])
        x, y = timed.places[first]
        known = "" if stage.surroundings.lanes else " (no lane lines are known)"
        raise SpecError(
            f"its way leaves the road at {timed.times_s[first]:.1f} s, x {x:.1f} m, y {y:.1f} m{known}; "
            "move its waypoints, or set off_road = true"
        )


def _above_ground(figure: Figure, ground: Ground) -> float:
    """How far the bottom of a box, as corrected, was above the ground: annotated ones float or sink [m]."""
    poses = figure.way.at(figure.way.key_times_s).cpu().numpy()
    bottom = poses[:, :3, 3] - 0.5 * float(figure.shape.size_lwh[2]) * poses[:, :3, 2]
    above = bottom[:, 2] - ground.height(bottom[:, :2])
    above = above[np.isfinite(above)]
    median = float(np.median(above)) if len(above) else 0.0
    return median if abs(median) < _FARTHEST_ABOVE_M else 0.0
