"""What can be done to a scene's objects: one frozen dataclass for each action, which an edit list names."""

from gsrecon.scene.edit_courses import Course, Drive
from gsrecon.scene.edit_looks import Insert, Swap
from gsrecon.scene.edit_objects import Duplicate, Exposure, Hide, Move, Recolour, Remove, Retime

__all__ = [
    "Course",
    "Drive",
    "Duplicate",
    "Edit",
    "Exposure",
    "Hide",
    "Insert",
    "Move",
    "Recolour",
    "Remove",
    "Retime",
    "Swap",
]

Edit = Remove | Hide | Move | Retime | Duplicate | Insert | Swap | Recolour | Exposure | Drive
"""One entry of an edit list."""
