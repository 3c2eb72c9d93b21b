"""Edit lists: what is done to a scene's objects, as entries that replay to the same scene.

    [[edit]]
    do = "move"
    object = "car-3"
    by = [2.0, 0.0, 0.0]
    turn_deg = 5

The format is described in docs/edits.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gsrecon.errors import SpecError
from gsrecon.scene.edit_actions import (
    Course,
    Drive,
    Duplicate,
    Edit,
    Exposure,
    Hide,
    Insert,
    Move,
    Recolour,
    Remove,
    Retime,
    Swap,
)
from gsrecon.scene.edit_cast import Cast
from gsrecon.scene.edit_checks import collisions, meeting_camera
from gsrecon.scene.edit_file import (
    ACTIONS,
    EditHistory,
    edit_from_table,
    read_edits,
    to_json,
    told_in_one_line,
    write_edits,
)
from gsrecon.scene.edit_sides import looked_at_unseen
from gsrecon.scene.edit_sources import source_checksum
from gsrecon.scene.edit_stage import Stage
from gsrecon.scene.graph import SceneGraph
from gsrecon.scene.ground import Surroundings
from gsrecon.scene.objects import ObjectTable

__all__ = [
    "ACTIONS",
    "Checked",
    "Course",
    "Drive",
    "Duplicate",
    "Edit",
    "EditHistory",
    "Exposure",
    "Hide",
    "Insert",
    "Move",
    "Recolour",
    "Remove",
    "Retime",
    "Surroundings",
    "Swap",
    "act",
    "apply_edits",
    "check_edits",
    "edit_from_table",
    "fresh_copy",
    "named_objects",
    "needs_lanes",
    "read_edits",
    "sources_checksum",
    "to_json",
    "told_in_one_line",
    "write_edits",
]


@dataclass(frozen=True)
class Checked:
    """An entry of a list and what is wrong with it."""

    edit: Edit
    problem: str = ""
    """One sentence; empty where nothing is."""
    stops: bool = False
    """The list cannot be applied for it."""
    beware: str = ""
    """One sentence about what will not look right; empty where nothing is known of it."""


def apply_edits(graph: SceneGraph, edits: Sequence[Edit], surroundings: Surroundings | None = None) -> None:
    """Changes a scene's objects, one entry after the other; all of the list is done, or nothing.

    The graph gets new nodes in the places of those that change; its nodes and tensors stay as they are. So
    `fresh_copy(graph)` before each application is all that undoing takes.

    Args:
        graph: A scene of one piece; `gsrecon.scene.edited.with_edits` takes those in groups too.
        edits: What to do.
        surroundings: Ground and road, found out once where lists are applied often, with the drive's lane
            lines where it has any. None: those of the graph, without lane lines.

    Raises:
        SpecError: The scene has no such object, an id is taken, a way leaves the road, two objects are in
            each other, or what is to be inserted cannot be read.
    """
    cast = Cast(graph)
    for checked in _applied(cast, edits, surroundings or Surroundings(graph)):
        if checked.stops:
            raise SpecError(checked.problem)
    cast.assemble()


def check_edits(
    graph: SceneGraph, edits: Sequence[Edit], surroundings: Surroundings | None = None
) -> list[Checked]:
    """Tries every entry of a list; the scene stays as it is.

    Besides what keeps a list from being applied, collisions of objects that were moved or doubled are told,
    objects through which the recorded camera goes, and objects that it would see from sides of which there
    are no pictures.
    """
    cast = Cast(graph)
    found = _applied(cast, edits, surroundings or Surroundings(graph))
    last = _last_placed(found)
    there = [id for id in last if id in cast]
    meeting, unseen = meeting_camera(cast, there), looked_at_unseen(cast, there, Cast(graph))
    for id in there:
        told = "; ".join(each[id] for each in (meeting, unseen) if id in each)
        if told:
            number = last[id]
            found[number] = replace(found[number], beware=f"{_place(number, edits[number])}: {told}")
    return found


def named_objects(edits: Sequence[Edit]) -> frozenset[str]:
    """Ids of all objects of the scene that a list names."""
    keys = ("object", "with_object")
    return frozenset(id for edit in edits for key in keys if (id := getattr(edit, key, "")))


def fresh_copy(graph: SceneGraph) -> SceneGraph:
    """The same nodes in a graph of its own: editing it leaves the first one as it is. Nothing is copied."""
    copied = SceneGraph(list(graph), ObjectTable(graph.objects.ids), graph.recording, graph.settings)
    copied.frozen = set(graph.frozen)
    return copied


def sources_checksum(edits: Sequence[Edit]) -> str:
    """Of the assets and other scenes that a list takes objects from; empty where there are none.

    Raises:
        SpecError: One of them is not there.
    """
    used = [edit for edit in edits if isinstance(edit, Insert | Swap) and (edit.asset or edit.scene)]
    return " ".join(source_checksum(edit.asset, edit.scene) for edit in used)


def needs_lanes(edits: Sequence[Edit]) -> bool:
    """Whether an entry asks where the road is."""
    return any(isinstance(edit, Course) and (edit.follow_lane or not edit.off_road) for edit in edits)


def act(cast: Cast, edits: Sequence[Edit], surroundings: Surroundings) -> list[Checked]:
    """Does every entry of a list that can be done to the objects of a cast; nobody looks for collisions."""
    stage = Stage(cast, surroundings, cast.graph.device)
    found = []
    for number, edit in enumerate(edits):
        try:
            edit.apply(stage)
        except SpecError as error:
            found.append(Checked(edit, f"{_place(number, edit)}: {error}", True))
        else:
            found.append(Checked(edit))
    return found


def _applied(cast: Cast, edits: Sequence[Edit], surroundings: Surroundings) -> list[Checked]:
    found = act(cast, edits, surroundings)
    last = _last_placed(found)
    # Who is where is known at the end: an object may be put where one is that is removed later.
    asked = {id for id, number in last.items() if id in cast and not _free(edits[number])}
    for id, collision in collisions(cast, asked, Cast(cast.graph)).items():
        edit = edits[last[id]]
        told = f"{_place(last[id], edit)}: {collision}; choose another place, or set allow_collisions = true"
        found[last[id]] = Checked(edit, told, not isinstance(edit, Move | Duplicate))
    return found


def _last_placed(found: Sequence[Checked]) -> dict[str, int]:
    """The last entry that says where each object is, of those that could be done."""
    return {
        each.edit.placed: number
        for number, each in enumerate(found)
        if each.edit.placed is not None and not each.stops
    }


def _free(edit: Edit) -> bool:
    return getattr(edit, "allow_collisions", True)


def _place(number: int, edit: Edit) -> str:
    named = edit.name if isinstance(edit, Insert) else edit.object
    return f"edit {number + 1} ({edit.do} {named})".replace(" )", ")")
