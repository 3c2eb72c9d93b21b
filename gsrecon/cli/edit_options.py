"""Entries of an edit list as options of the command line, called as a list calls them.

Most actions are options as they are. These have keys that Python cannot call by their names, or values that
may be left out.
"""

from dataclasses import dataclass, fields
from typing import Annotated

import tyro

from gsrecon.cli.options import OptionalNumber, OptionalPath
from gsrecon.scene.edit_actions import Edit, Hide, Insert, Swap
from gsrecon.scene.edit_file import ACTIONS

_ClassName = Annotated[str, tyro.conf.arg(name="class", metavar="NAME")]
_Place = Annotated[tuple[float, float] | None, tyro.conf.arg(metavar="X Y")]


@dataclass(frozen=True)
class HideOptions(Hide):
    """Makes an object disappear for a while, or altogether; it stays in the list of objects."""

    from_s: OptionalNumber = None
    """From this moment of the drive on; from the start when left out [s]."""
    to_s: OptionalNumber = None
    """Until this moment; to the end when left out [s]."""


@dataclass(frozen=True)
class InsertOptions(Insert):
    """Puts an object of another scene, or an asset, onto the ground: at one place or along waypoints."""

    asset: OptionalPath = None
    """Folder of an asset."""
    scene: OptionalPath = None
    """Or another run's folder,"""
    object: Annotated[str, tyro.conf.arg(metavar="ID")] = ""
    """and the id of the object in it."""
    class_name: _ClassName = ""
    """Class of its labels, needed with --scene; an asset brings its own."""
    at: _Place = None
    """Place x, y in world; leave it out with --waypoints [m]."""


@dataclass(frozen=True)
class SwapOptions(Swap):
    """Puts another object's Gaussians on an object's way, standing where it stood."""

    with_object: Annotated[str, tyro.conf.arg(name="with", metavar="ID")] = ""
    """Id of the one that is shown instead, of this scene or of --scene."""
    asset: OptionalPath = None
    """Or the folder of an asset."""
    scene: OptionalPath = None
    """Another run's folder."""
    class_name: _ClassName = ""
    """Class of its labels, needed with --scene."""


def entry_of(options: Edit) -> Edit:
    """The entry that options say, with paths as they are from any folder."""
    kind = ACTIONS[options.do]
    values = {field.name: getattr(options, field.name) for field in fields(kind)}
    for name in ("asset", "scene"):
        if values.get(name) is not None:
            values[name] = values[name].absolute()
    return kind(**values)
