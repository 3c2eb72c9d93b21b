"""Edit lists: objects of a scene removed, moved or doubled, as entries that replay to the same scene.

    [[edit]]
    do = "move"
    object = "car-3"
    by = [2.0, 0.0, 0.0]
    turn_deg = 5

The format is described in docs/edits.md.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from jaxtyping import Float64

from gsrecon.errors import SpecError
from gsrecon.gaussians.gaussians import Gaussians
from gsrecon.scene.actors import RigidActors
from gsrecon.scene.graph import SceneGraph
from gsrecon.scene.trajectories import Trajectories

Action = Literal["remove", "move", "duplicate"]
_ACTIONS: dict[str, Action] = {action: action for action in get_args(Action)}


@dataclass(frozen=True)
class Edit:
    """One entry."""

    do: Action
    object: str
    """Id of the object."""
    by: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Along the object's own axes: forward, left, up [m]."""
    turn_deg: float = 0.0
    """About its own upright axis, counter-clockwise seen from above [deg]."""
    name: str = ""
    """Id of the copy that `duplicate` makes."""

    @property
    def motion(self) -> Float64[np.ndarray, "4 4"]:
        """`actor_from_moved_actor`."""
        a = np.radians(self.turn_deg)
        moved = np.eye(4)
        moved[:2, :2] = [[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]]
        moved[:3, 3] = self.by
        return moved

    def to_json(self) -> dict[str, Any]:
        """As it stands in a list."""
        told: dict[str, Any] = {"do": self.do, "object": self.object}
        if self.do != "remove":
            told |= {"by": list(self.by), "turn_deg": self.turn_deg}
        return told | ({"as": self.name} if self.do == "duplicate" else {})


def read_edits(path: Path | str) -> tuple[Edit, ...]:
    """Reads an edit list.

    Raises:
        SpecError: The file is missing or no TOML, or an entry has an unknown key, action or value.
    """
    try:
        content = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SpecError(f"{path}: the edit list cannot be read: {error}") from error
    entries = content.pop("edit", [])
    if content or not isinstance(entries, list):
        raise SpecError(f"{path}: expected entries [[edit]] only, got {', '.join(content) or 'no list'}")
    return tuple(_edit(entry, f"{path}: edit {number}") for number, entry in enumerate(entries))


def apply_edits(graph: SceneGraph, edits: Sequence[Edit]) -> None:
    """Changes a scene's objects, one entry after the other.

    Raises:
        SpecError: The scene has no such object, or a copy's id is taken.
    """
    for edit in edits:
        node = _node_of(graph, edit.object)
        number = node.object_ids.index(edit.object)
        if edit.do == "remove":
            _replace(graph, node, _chosen(node, [k for k in range(len(node.object_ids)) if k != number]))
        elif edit.do == "move":
            _moved(node.trajectories, number, edit.motion)
        else:
            taken = [id for other in _actors(graph) for id in other.object_ids]
            if edit.name in taken or edit.name in graph.objects.ids:
                raise SpecError(
                    f"edit list: the id {edit.name!r} is taken; name the copy of {edit.object!r} otherwise"
                )
            graph.objects.append(edit.name)
            everything = list(range(len(node.object_ids)))
            doubled = _chosen(node, [*everything, number], (*node.object_ids, edit.name))
            _moved(doubled.trajectories, len(everything), edit.motion)
            _replace(graph, node, doubled)


def _edit(entry: Any, place: str) -> Edit:
    if not isinstance(entry, Mapping):
        raise SpecError(f"{place}: expected a table of keys, got {entry!r}")
    unknown = set(entry) - {"do", "object", "by", "turn_deg", "as"}
    if unknown:
        raise SpecError(
            f"{place}: unknown key {sorted(unknown)[0]!r}; there are do, object, by, turn_deg, as"
        )
    do, id = str(entry.get("do")), entry.get("object")
    if do not in _ACTIONS:
        raise SpecError(f"{place}: do: expected one of {', '.join(_ACTIONS)}, got {do!r}")
    if not isinstance(id, str) or not id:
        raise SpecError(f"{place}: object: expected the id of an object, got {id!r}")
    by, turn = entry.get("by", [0.0, 0.0, 0.0]), entry.get("turn_deg", 0.0)
    numbers = [*by, turn] if isinstance(by, list) else [by]
    if len(numbers) != 4 or not all(
        isinstance(value, int | float) and np.isfinite(value) for value in numbers
    ):
        raise SpecError(
            f"{place}: by and turn_deg: expected three numbers [m] and one [deg], got {by!r}, {turn!r}"
        )
    name = entry.get("as", "")
    if (do == "duplicate") != bool(name) or not isinstance(name, str):
        raise SpecError(f'{place}: as: the id of the copy, for do = "duplicate" and only there, got {name!r}')
    return Edit(_ACTIONS[do], id, (float(by[0]), float(by[1]), float(by[2])), float(turn), name)


def _actors(graph: SceneGraph) -> list[RigidActors]:
    return [node for node in graph.gaussian_nodes if isinstance(node, RigidActors)]


def _node_of(graph: SceneGraph, id: str) -> RigidActors:
    known = [name for node in _actors(graph) for name in node.object_ids]
    for node in _actors(graph):
        if id in node.object_ids:
            return node
    told = ", ".join(known) if known else "none: train with dynamics:actor-dynamics"
    raise SpecError(f"edit list: the scene has no object {id!r}; it has {told}")


def _replace(graph: SceneGraph, old: RigidActors, new: RigidActors) -> None:
    graph.remove(old.id)
    if new.object_ids:
        graph.add(new)


def _chosen(node: RigidActors, numbers: Sequence[int], ids: Sequence[str] | None = None) -> RigidActors:
    """Some objects of a node, in a new one; one that is named twice is there twice."""
    rows = [(node.object_of_row == number).nonzero()[:, 0] for number in numbers]
    device = node.object_of_row.device
    kept = torch.cat([*rows, torch.zeros(0, dtype=torch.int64, device=device)])
    if node.deformation is not None:
        raise SpecError(
            "edit list: where some objects deform in their boxes, none can be removed or doubled yet"
        )
    labels = [torch.full((len(of),), k, dtype=torch.int32, device=device) for k, of in enumerate(rows)]
    chosen = torch.tensor(list(numbers), dtype=torch.int64, device=device)
    return RigidActors(
        [node.object_ids[number] for number in numbers] if ids is None else ids,
        Gaussians(**{name: tensor.detach()[kept] for name, tensor in node.gaussians.named().items()}),
        torch.cat([*labels, torch.zeros(0, dtype=torch.int32, device=device)]),
        node.sizes_lwh[chosen],
        _chosen_ways(node.trajectories, numbers),
        None,
        node.deforms[chosen],
        node.id,
    )


def _chosen_ways(ways: Trajectories, numbers: Sequence[int]) -> Trajectories:
    def part(counts: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        ends = counts.cumsum(0).tolist()
        spans = [slice(end - int(count), end) for end, count in zip(ends, counts.tolist(), strict=True)]
        return torch.cat([values[spans[number]] for number in numbers] or [values[:0]]).clone()

    chosen = torch.tensor(list(numbers), dtype=torch.int64, device=ways.key_counts.device)
    found = Trajectories(
        ways.key_counts[chosen],
        part(ways.key_counts, ways.key_times_s),
        part(ways.key_counts, ways.key_poses),
        ways.knot_counts[chosen],
        part(ways.knot_counts, ways.knot_times_s),
        ways.spans_s[chosen],
    )
    found.translations = part(ways.knot_counts, ways.translations.detach())
    found.rotations = part(ways.knot_counts, ways.rotations.detach())
    return found


def _moved(ways: Trajectories, number: int, motion: Float64[np.ndarray, "4 4"]) -> None:
    """Moves an object all along its way; its corrections stay in its own axes."""
    stop = int(ways.key_counts[: number + 1].sum())
    start = stop - int(ways.key_counts[number])
    ways.key_poses[start:stop] = ways.key_poses[start:stop] @ torch.from_numpy(motion).to(ways.key_poses)
