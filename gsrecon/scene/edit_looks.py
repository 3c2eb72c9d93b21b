"""Actions that bring another look: an asset, or an object of this or another scene, put in or put on."""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from gsrecon.errors import SpecError
from gsrecon.scene.edit_courses import Course, require_road
from gsrecon.scene.edit_paths import Timed, on_ground
from gsrecon.scene.edit_sources import asset_of, asset_shape, scene_figure
from gsrecon.scene.edit_stage import Action, Stage
from gsrecon.scene.figures import AS_RECORDED, Figure, Shape, Way, shifted


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
            require_road(stage, Timed(np.zeros(1), places, tangents), size)
        pose = torch.from_numpy(on_ground(places, tangents, size, stage.ground))
        times = torch.zeros(1, dtype=torch.float64)
        return Way.along(times, pose, (-math.inf, math.inf), stage.device)

    def classes(self, classes: dict[str, str]) -> None:
        """The new object's is told, or comes with the asset."""
        classes[self.name] = self.class_name or _class_of(self.asset)


@dataclass(frozen=True)
class Swap(Action):
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
        way = replace(figure.way.moved(shifted((0.0, 0.0, higher), 0.0)), clock=clock)
        stage.cast.change(Figure(figure.id, shape, way))

    def classes(self, classes: dict[str, str]) -> None:
        """That of what is shown."""
        found = self.class_name or (
            classes.get(self.with_object, "") if self.asset is None else _class_of(self.asset)
        )
        if found:
            classes[self.object] = found


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
