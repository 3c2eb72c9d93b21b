"""Actions on objects that a scene has: one frozen dataclass for each.

Fields are the keys of an entry and the options of `gsrecon edit`; see docs/edits.md.
"""

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from gsrecon.scene.edit_stage import Action, Stage
from gsrecon.scene.figures import Figure, recoloured, shifted
from gsrecon.scene.sky import Sky

_LARGEST_GAIN = 20.0


@dataclass(frozen=True)
class Remove(Action):
    """Takes an object out; what other pictures saw behind it is shown."""

    do: ClassVar[str] = "remove"
    object: str
    """Id of the object."""

    def apply(self, stage: Stage) -> None:
        """Takes it out."""
        stage.cast.remove(self.object)

    def classes(self, classes: dict[str, str]) -> None:
        """Brings the annotated class of each id up to date."""
        classes.pop(self.object, None)


@dataclass(frozen=True)
class Hide(Action):
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

    def apply(self, stage: Stage) -> None:
        """Hides it."""
        figure = stage.cast[self.object]
        start = -math.inf if self.from_s is None else self.from_s
        stop = math.inf if self.to_s is None else self.to_s
        hidden = torch.cat([figure.way.hidden_s, figure.way.hidden_s.new_tensor([[start, stop]])])
        stage.cast.change(replace(figure, way=replace(figure.way, hidden_s=hidden)))


@dataclass(frozen=True)
class Move(Action):
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
        stage.cast.change(replace(figure, way=figure.way.moved(shifted(self.by, self.turn_deg))))


@dataclass(frozen=True)
class Retime(Action):
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


@dataclass(frozen=True)
class Duplicate(Action):
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
        moved = figure.way.moved(shifted(self.by, self.turn_deg))
        stage.cast.add(Figure(self.name, figure.shape, moved))

    def classes(self, classes: dict[str, str]) -> None:
        """The copy has the object's class."""
        if self.object in classes:
            classes[self.name] = classes[self.object]


@dataclass(frozen=True)
class Recolour(Action):
    """Gives an object other colours."""

    do: ClassVar[str] = "recolour"
    object: str
    """Id of the object."""
    tint: tuple[float, float, float]
    """Its red, green and blue are multiplied by these."""

    def __post_init__(self) -> None:
        if not all(0 <= gain <= _LARGEST_GAIN for gain in self.tint):
            raise ValueError(f"tint: expected three numbers from 0 to {_LARGEST_GAIN:g}, got {self.tint}")

    def apply(self, stage: Stage) -> None:
        """Changes its colours."""
        figure = stage.cast[self.object]
        stage.cast.change(replace(figure, shape=figure.shape.recoloured(self.tint)))


@dataclass(frozen=True)
class Exposure(Action):
    """Makes one object, or all that is there with the background and the sky, brighter or darker."""

    do: ClassVar[str] = "exposure"
    gain: float
    """Every colour is multiplied by this."""
    object: str = ""
    """Id of the object; everything when left out."""

    def __post_init__(self) -> None:
        if not 0 <= self.gain <= _LARGEST_GAIN:
            raise ValueError(f"gain: expected 0 to {_LARGEST_GAIN:g}, got {self.gain:g}")

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
