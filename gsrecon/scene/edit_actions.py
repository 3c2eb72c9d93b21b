"""What can be done to a scene's objects: one frozen dataclass for each action, which an edit list names.

Fields are the keys of an entry and the options of `gsrecon edit`; see docs/edits.md.
"""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from gsrecon.errors import SpecError
from gsrecon.scene.edit_cast import AS_RECORDED, Cast, Figure, Shape, Way, recoloured
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
from gsrecon.scene.edit_sources import asset_of, asset_shape, scene_figure
from gsrecon.scene.ground import Ground, Surroundings
from gsrecon.scene.sky import Sky

_LARGEST_GAIN = 20.0
_FARTHEST_ABOVE_M = 0.5
"""Boxes that are farther from the ground than this were not standing on it."""


@dataclass(frozen=True)
class Stage:
    """What an edit works on."""

    cast: Cast
    """The objects."""
    surroundings: Surroundings
    """Ground and road."""
    device: torch.device

    @property
    def ground(self) -> Ground:
        """The scene's ground.

        Raises:
            SpecError: It shows none.
        """
        if self.surroundings.ground is None:
            raise SpecError("the scene shows no ground around the car's way, so nothing can stand on it")
        return self.surroundings.ground


@dataclass(frozen=True)
class Remove:
    """Takes an object out; what other pictures saw behind it is shown."""

    do: ClassVar[str] = "remove"
    object: str
    """Id of the object."""

    @property
    def placed(self) -> str | None:
        """Id of the object that now is elsewhere, at another time or of another size."""
        return None

    def apply(self, stage: Stage) -> None:
        """Takes it out."""
        stage.cast.remove(self.object)

    def classes(self, classes: dict[str, str]) -> None:
        """Brings the annotated class of each id up to date."""
        classes.pop(self.object, None)


@dataclass(frozen=True)
class Hide:
    """Makes an object disappear for a while, or altogether; it stays in the list of objects."""

    do: ClassVar[str] = "hide"
    object: str
    """Id of the object."""
    from_s: float | None = None
    """From this moment of the drive on; from the start when left out [s]."""
    to_s: float | None = None
    """Until this moment; to the end when left out [s]."""

    def __post_init__(self) -> None:
        if self.from_s is not None and self.to_s is not None and not self.from_s < self.to_s:
            raise ValueError(
                f"from_s and to_s: expected the later one second, got {self.from_s:g}, {self.to_s:g}"
            )

    @property
    def placed(self) -> str | None:
        """None: it is where it was."""
        return None

    def apply(self, stage: Stage) -> None:
        """Hides it."""
        figure = stage.cast[self.object]
        start = -math.inf if self.from_s is None else self.from_s
        stop = math.inf if self.to_s is None else self.to_s
        hidden = torch.cat([figure.way.hidden_s, figure.way.hidden_s.new_tensor([[start, stop]])])
        stage.cast.change(replace(figure, way=replace(figure.way, hidden_s=hidden)))

    def classes(self, classes: dict[str, str]) -> None:
        """As they were."""


@dataclass(frozen=True)
class Move:
    """Moves an object all along its way."""

    do: ClassVar[str] = "move"
    object: str
    """Id of the object."""
    by: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Along its own axes: forward, left, up [m]."""
    turn_deg: float = 0.0
    """About its own upright axis, counter-clockwise seen from above [deg]."""
    allow_collisions: bool = False
    """It may stand in another object."""

    @property
    def placed(self) -> str | None:
        """The object."""
        return self.object

    def apply(self, stage: Stage) -> None:
        """Moves it."""
        figure = stage.cast[self.object]
        stage.cast.change(replace(figure, way=figure.way.moved(_motion(self.by, self.turn_deg))))

    def classes(self, classes: dict[str, str]) -> None:
        """As they were."""


@dataclass(frozen=True)
class Retime:
    """Lets an object do what it does at another time, or faster."""

    do: ClassVar[str] = "retime"
    object: str
    """Id of the object."""
    shift_s: float = 0.0
    """Later by this; negative is earlier [s]."""
    rate: float = 1.0
    """So many times as fast, from its first moment on."""
    allow_collisions: bool = False
    """It may drive into another object."""

    def __post_init__(self) -> None:
        if not 0.01 <= self.rate <= 100:
            raise ValueError(f"rate: expected 0.01 to 100, got {self.rate:g}")

    @property
    def placed(self) -> str | None:
        """The object."""
        return self.object

    def apply(self, stage: Stage) -> None:
        """Changes its times."""
        figure = stage.cast[self.object]
        stage.cast.change(replace(figure, way=figure.way.retimed(self.rate, self.shift_s)))

    def classes(self, classes: dict[str, str]) -> None:
        """As they were."""


@dataclass(frozen=True)
class Duplicate:
    """Puts a second one beside an object."""

    do: ClassVar[str] = "duplicate"
    object: str
    """Id of the object."""
    name: str
    """Id of the copy."""
    by: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """The copy lies this far from the object, along its axes: forward, left, up [m]."""
    turn_deg: float = 0.0
    """And is turned, counter-clockwise seen from above [deg]."""
    allow_collisions: bool = False
    """It may stand in another object."""

    @property
    def placed(self) -> str | None:
        """The copy."""
        return self.name

    def apply(self, stage: Stage) -> None:
        """Adds the copy."""
        figure = stage.cast[self.object]
        moved = figure.way.moved(_motion(self.by, self.turn_deg))
        stage.cast.add(Figure(self.name, figure.shape, moved))

    def classes(self, classes: dict[str, str]) -> None:
        """The copy has the object's class."""
        if self.object in classes:
            classes[self.name] = classes[self.object]


@dataclass(frozen=True, kw_only=True)
class Course:
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
            _require_road(stage, timed, size)
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

    def classes(self, classes: dict[str, str]) -> None:
        """As they were."""


@dataclass(frozen=True)
class Insert(Course):
    """Puts an object of another scene, or an asset, onto the ground: at one place or along waypoints."""

    do: ClassVar[str] = "insert"
    name: str
    """Id of the new object."""
    asset: Path | None = None
    """Folder of an asset."""
    scene: Path | None = None
    """Or another run's folder,"""
    object: str = ""
    """and the id of the object in it."""
    class_name: str = ""
    """Class of its labels; an asset brings its own."""
    at: tuple[float, float] | None = None
    """Place [x, y] in world; leave it out with waypoints [m]."""
    heading_deg: float = 0.0
    """With `at`: where its front points, counter-clockwise from world x [deg]."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_source(self.asset, self.scene, self.object, "object")
        if (self.at is None) != bool(self.waypoints):
            raise ValueError("at, waypoints: expected one of them, a place [x, y] or a way [m]")
        if self.scene is not None and not self.class_name:
            raise ValueError("class: expected one, for its labels, as objects of scenes have none")

    @property
    def placed(self) -> str | None:
        """The new object."""
        return self.name

    def apply(self, stage: Stage) -> None:
        """Adds it."""
        shape, clock = _look(self.asset, self.scene, self.object, stage)
        if self.waypoints:
            way = self.way(stage, shape.size_lwh, AS_RECORDED)
        else:
            way = self._standing(stage, shape)
        if clock is not None:
            # Its own time begins when it appears, or with the drive.
            first = float(way.span_s[0])
            way = replace(way, clock=(1.0, clock - (first if math.isfinite(first) else 0.0)))
        stage.cast.add(Figure(self.name, shape, way))

    def _standing(self, stage: Stage, shape: Shape) -> Way:
        angle = math.radians(self.heading_deg)
        places = np.array([self.at], dtype=np.float64)
        tangents = np.array([[math.cos(angle), math.sin(angle)]])
        size = shape.size_lwh.tolist()
        if not self.off_road:
            _require_road(stage, Timed(np.zeros(1), places, tangents), size)
        pose = torch.from_numpy(on_ground(places, tangents, size, stage.ground))
        times = torch.zeros(1, dtype=torch.float64)
        return Way.along(times, pose, (-math.inf, math.inf), stage.device)

    def classes(self, classes: dict[str, str]) -> None:
        """The new object's is told, or comes with the asset."""
        classes[self.name] = self.class_name or _class_of(self.asset)


@dataclass(frozen=True)
class Swap:
    """Puts another object's Gaussians on an object's way, standing where it stood."""

    do: ClassVar[str] = "swap"
    object: str
    """Id of the object whose way is kept."""
    with_object: str = ""
    """Id of the one that is shown instead, of this scene or of `scene`."""
    asset: Path | None = None
    """Or the folder of an asset."""
    scene: Path | None = None
    """Another run's folder."""
    class_name: str = ""
    """Class of its labels; needed with `scene`."""
    fit: bool = False
    """Scale it to the length of the box that it replaces."""
    allow_collisions: bool = False
    """It may stand in another object."""

    def __post_init__(self) -> None:
        if self.scene is None and self.asset is None:
            if not self.with_object:
                raise ValueError("with, asset: expected one of them, the object that is shown instead")
        else:
            _check_source(self.asset, self.scene, self.with_object, "with")
        if self.scene is not None and not self.class_name:
            raise ValueError("class: expected one, for its labels, as objects of scenes have none")

    @property
    def placed(self) -> str | None:
        """The object."""
        return self.object

    def apply(self, stage: Stage) -> None:
        """Changes its look, its box and how high its middle is."""
        figure = stage.cast[self.object]
        if self.asset is None and self.scene is None:
            other = stage.cast[self.with_object]
            shape, clock = other.shape, other.way.clock
        else:
            shape, start = _look(self.asset, self.scene, self.with_object, stage)
            clock = AS_RECORDED if start is None else (1.0, start)
        if self.fit:
            if shape.deforming is not None and shape.deforming.deforms:
                raise SpecError("fit: what deforms in its box cannot be scaled; leave it out")
            shape = shape.scaled(float(figure.shape.size_lwh[0] / shape.size_lwh[0]))
        higher = 0.5 * float(shape.size_lwh[2] - figure.shape.size_lwh[2])
        way = replace(figure.way.moved(_motion((0.0, 0.0, higher), 0.0)), clock=clock)
        stage.cast.change(Figure(figure.id, shape, way))

    def classes(self, classes: dict[str, str]) -> None:
        """That of what is shown."""
        found = self.class_name or (
            classes.get(self.with_object, "") if self.asset is None else _class_of(self.asset)
        )
        if found:
            classes[self.object] = found


@dataclass(frozen=True)
class Recolour:
    """Gives an object other colours."""

    do: ClassVar[str] = "recolour"
    object: str
    """Id of the object."""
    tint: tuple[float, float, float]
    """Its red, green and blue are multiplied by these."""

    def __post_init__(self) -> None:
        if not all(0 <= gain <= _LARGEST_GAIN for gain in self.tint):
            raise ValueError(f"tint: expected three numbers from 0 to {_LARGEST_GAIN:g}, got {self.tint}")

    @property
    def placed(self) -> str | None:
        """None: it is where it was."""
        return None

    def apply(self, stage: Stage) -> None:
        """Changes its colours."""
        figure = stage.cast[self.object]
        stage.cast.change(replace(figure, shape=figure.shape.recoloured(self.tint)))

    def classes(self, classes: dict[str, str]) -> None:
        """As they were."""


@dataclass(frozen=True)
class Exposure:
    """Makes one object, or all that is there with the background and the sky, brighter or darker."""

    do: ClassVar[str] = "exposure"
    gain: float
    """Every colour is multiplied by this."""
    object: str = ""
    """Id of the object; everything when left out."""

    def __post_init__(self) -> None:
        if not 0 <= self.gain <= _LARGEST_GAIN:
            raise ValueError(f"gain: expected 0 to {_LARGEST_GAIN:g}, got {self.gain:g}")

    @property
    def placed(self) -> str | None:
        """None: everything is where it was."""
        return None

    def apply(self, stage: Stage) -> None:
        """Changes the colours."""
        gain = (self.gain,) * 3
        for id in [self.object] if self.object else stage.cast.ids:
            figure = stage.cast[id]
            stage.cast.change(replace(figure, shape=figure.shape.recoloured(gain)))
        if not self.object:
            stage.cast.change_rest(lambda gaussians: recoloured(gaussians, gain), self._sky)

    def _sky(self, sky: Sky) -> Sky:
        return Sky(sky.texels.detach() * self.gain, sky.id)

    def classes(self, classes: dict[str, str]) -> None:
        """As they were."""


Edit = Remove | Hide | Move | Retime | Duplicate | Insert | Swap | Recolour | Exposure | Drive
"""One entry of an edit list."""


def _above_ground(figure: Figure, ground: Ground) -> float:
    """How far the bottom of a box was above the ground so far: annotated ones float or sink [m]."""
    poses = figure.way.key_poses.cpu().numpy()
    bottom = poses[:, :3, 3] - 0.5 * float(figure.shape.size_lwh[2]) * poses[:, :3, 2]
    above = bottom[:, 2] - ground.height(bottom[:, :2])
    above = above[np.isfinite(above)]
    median = float(np.median(above)) if len(above) else 0.0
    return median if abs(median) < _FARTHEST_ABOVE_M else 0.0


def _motion(by: tuple[float, float, float], turn_deg: float) -> Float64[Tensor, "4 4"]:
    """`actor_from_moved_actor`."""
    a = np.radians(turn_deg)
    moved = np.eye(4)
    moved[:2, :2] = [[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]]
    moved[:3, 3] = by
    return torch.from_numpy(moved)


def _check_source(asset: Path | None, scene: Path | None, object: str, key: str) -> None:
    if (asset is None) == (scene is None) or (scene is None) == bool(object):
        raise ValueError(f"asset, scene: expected an asset's folder, or another run's and the {key} in it")


def _look(asset: Path | None, scene: Path | None, object: str, stage: Stage) -> tuple[Shape, float | None]:
    """Look of a source, and the first moment of its own time where it deforms [s]."""
    if asset is not None:
        return asset_shape(asset, stage.device), None
    assert scene is not None
    figure = scene_figure(scene, object, stage.device)
    first = float(figure.way.span_s[0])
    deforming = figure.shape.deforming
    if deforming is None:
        return figure.shape, None
    return figure.shape, first if math.isfinite(first) else deforming.whole.extent.start_s


def _class_of(asset: Path | None) -> str:
    assert asset is not None
    return asset_of(asset).class_name


def _require_road(stage: Stage, timed: Timed, size_lwh: list[float]) -> None:
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
