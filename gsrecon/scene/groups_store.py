"""Groups on disk: one sealed folder for each, read when a group is needed.

groups/plan/plan.json            the cut, the recording, how the scene is drawn, which group sees which object
groups/shared/latest/scene/      far field, sky, constants of the cameras
groups/000/latest/scene/         what group 0 owns: its Gaussians, and the corrections of its own pictures
groups/001/latest/scene/         ...
"""

import json
from collections.abc import Collection, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int64
from torch import Tensor

from gsrecon.gaussians.resample import Resample
from gsrecon.ops.settings import RasterizeSettings
from gsrecon.scene.actors import RigidActors
from gsrecon.scene.appearance import Appearance
from gsrecon.scene.bundle import (
    load_nodes,
    load_object_ids,
    load_scene,
    misfits_explained,
    settings_to_json,
)
from gsrecon.scene.camera_refinement import CameraRefinement
from gsrecon.scene.figures import some_of
from gsrecon.scene.graph import SceneGraph
from gsrecon.scene.groups import GroupPlan, Groups, ObjectGroups
from gsrecon.scene.halo import Halo
from gsrecon.scene.node import GaussianNode, Node, node_on
from gsrecon.scene.recording import Recording
from gsrecon.scene.sealed import read_sealed, write_sealed
from gsrecon.scene.static import StaticGroup

FAR, BACKGROUND = "far", "background"
"""Ids of the shared far field and of each group's own background."""

SHARED_PARAMETERS = (
    "appearance/camera_values",
    "camera_refinement/camera_translations",
    "camera_refinement/camera_rotations",
)
"""Constants of the cameras: fitted once for all groups."""

_OF_PICTURES = {
    "appearance": ("picture_values",),
    "camera_refinement": ("rig_translations", "rig_rotations"),
}
"""Tables with a row for each picture or moment, by node."""


class GroupStore:
    """The folder of a scene that is cut into groups."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)

    @property
    def planned(self) -> bool:
        """Whether there is a plan in the folder."""
        return (self.folder / "plan" / "plan.json").is_file()

    @property
    def shared(self) -> Path:
        """Checkpoints of what all groups share."""
        return self.folder / "shared"

    def group(self, number: int) -> Path:
        """Checkpoints of a group."""
        return self.folder / f"{number:03d}"

    def write_plan(self, plan: GroupPlan, settings: RasterizeSettings) -> None:
        """Stores the cut, and of each object which groups see it.

        Raises:
            TrainingError: The disk is full or cannot be written.
        """
        stored = {
            "starts_us": plan.starts_us,
            "groups": asdict(plan.groups),
            "recording": plan.recording.to_json(),
            "settings": settings_to_json(settings),
        }
        if plan.objects:
            stored["objects"] = {id: asdict(of_object) for id, of_object in plan.objects.items()}
        write_sealed(self.folder / "plan", {"plan.json": json.dumps(stored, indent=1).encode()})

    def read_plan(self) -> tuple[GroupPlan, RasterizeSettings]:
        """The cut, and how the scene is drawn.

        Raises:
            CheckpointError: The plan is missing, damaged, or of another version of gsrecon.
        """
        files = read_sealed(self.folder / "plan")
        with misfits_explained(self.folder / "plan" / "plan.json", "plan"):
            stored = json.loads(files["plan.json"])
            recording = Recording.from_json(stored["recording"])
            objects = {
                id: ObjectGroups(of_object["home"], tuple(of_object["seen_by"]))
                for id, of_object in stored.get("objects", {}).items()
            }
            plan = GroupPlan(recording, tuple(stored["starts_us"]), Groups(**stored["groups"]), objects)
            return plan, RasterizeSettings(**stored["settings"])

    def own(self, number: int, device: torch.device | str = "cpu") -> SceneGraph:
        """What a group owns, as stored last, on a device.

        Raises:
            CheckpointError: The group is not there or damaged.
        """
        return load_scene(latest_scene(self.group(number)), device)

    def surround(self, graph: SceneGraph, number: int, plan: GroupPlan) -> None:
        """Adds all that a group draws and does not own, frozen: halo, far field, sky, cameras' constants.

        Corrections of the other groups' pictures are brought up to date.
        """
        device = graph.device
        shared = {
            node.id: node_on(node, device) for node in load_nodes(latest_scene(self.shared), _is_shared)
        }
        for node in shared.values():
            if node.id in graph:
                continue
            graph.add(node)
            graph.frozen.add(node.id)
        focal = max(float(camera.K[0, 0]) for camera in plan.recording.cameras.values())
        neighbours = plan.neighbours(number)
        for other in neighbours:
            for node in load_nodes(latest_scene(self.group(other)), _is_drawn, of_rows=True):
                if not isinstance(node, GaussianNode):
                    continue
                if not node.object_ids:
                    node.resample(Resample.keep(plan.listed(number, other, node.gaussians)))
                    if len(node.gaussians) == 0:
                        continue
                node.id = lent_id(node.id, other)
                lent = node_on(node, device)
                graph.add(Halo(lent.id, lent.gaussians, focal) if isinstance(lent, StaticGroup) else lent)
                graph.frozen.add(node.id)
        for other, ids in plan.objects_from_afar(number, neighbours).items():
            for node in self._of_objects(other):
                if not any(id in ids for id in node.object_ids):
                    continue
                lent = node_on(some_of(node, ids), device)
                graph.add(lent)
                graph.frozen.add(lent.id)
        graph.frozen |= {name for name in SHARED_PARAMETERS if name.partition("/")[0] in graph}
        self._correct(graph, number, plan, shared)

    def objects(self, number: int, ids: Collection[str], device: torch.device | str) -> list[RigidActors]:
        """The nodes of a group's objects, called as other groups that borrow them call them.

        Args:
            number: The group.
            ids: Objects whose Gaussians are kept; of the others, only boxes and ways are.
            device: Where they go.

        Raises:
            CheckpointError: The group is not there or damaged.
        """
        found = []
        for node in self._of_objects(number):
            kept = [node.rows_of(id) for id in node.object_ids if id in ids]
            rows = torch.cat(kept) if kept else torch.zeros(0, dtype=torch.int64)
            node.resample(Resample.keep(rows))
            there = node_on(node, device)
            assert isinstance(there, RigidActors)
            found.append(there)
        return found

    def _of_objects(self, number: int) -> Iterator[RigidActors]:
        """The nodes of a group's objects under the names they are lent by; nothing else of it is read."""
        for node in load_nodes(latest_scene(self.group(number)), _has_objects):
            assert isinstance(node, RigidActors)
            node.id = lent_id(node.id, number)
            yield node

    def object_ids(self) -> list[str]:
        """All objects of the scene in the order of their numbers, which is the same in every group.

        Raises:
            CheckpointError: The first group is not there or damaged.
        """
        return load_object_ids(latest_scene(self.group(0)))

    def corrections(self, plan: GroupPlan) -> list[Node]:
        """Appearance and camera refinement with each picture's rows from the group that owns it."""
        graph = SceneGraph(list(load_nodes(latest_scene(self.shared), _is_correction)))
        self._correct(graph, None, plan, {})
        return list(graph)

    def _correct(
        self, graph: SceneGraph, number: int | None, plan: GroupPlan, shared: dict[str, Node]
    ) -> None:
        owners = {id: picture_groups(plan, graph[id]) for id in _OF_PICTURES if id in graph}
        for name in SHARED_PARAMETERS:
            id, _, parameter = name.partition("/")
            if id in owners and id in shared:
                setattr(graph[id], parameter, shared[id].parameters()[parameter])
        for other in range(len(plan)):
            if other == number or not (self.group(other) / "latest").exists():
                continue
            for node in load_nodes(latest_scene(self.group(other)), _is_correction):
                rows = owners[node.id] == other
                for parameter in _OF_PICTURES[node.id]:
                    table, known = graph[node.id].parameters()[parameter], node.parameters()[parameter]
                    with torch.no_grad():
                        table[rows] = known[rows].to(table.device)


def latest_scene(checkpoints: Path) -> Path:
    """The scene bundle that was stored last."""
    return checkpoints / "latest" / "scene"


def lent_id(id: str, number: int) -> str:
    """What a group's node is called in the graphs of others."""
    return f"{id}-{number:03d}"


def picture_groups(plan: GroupPlan, node: Node) -> Int64[Tensor, " P"]:
    """The group that owns each row of a correction's tables."""
    settings = node.settings()
    if isinstance(node, Appearance):
        times = [time for of_camera in settings["times_s"].values() for time in of_camera]
    else:
        assert isinstance(node, CameraRefinement)
        times = settings["rig_times_s"]
    start_us = plan.recording.start_us
    return torch.tensor([plan.of_time(round(start_us + 1e6 * time)) for time in times], dtype=torch.int64)


def only_own_pictures(graph: SceneGraph, number: int, plan: GroupPlan) -> None:
    """Lets gradients reach only those rows of the corrections that a group owns."""
    for id, parameters in _OF_PICTURES.items():
        if id not in graph:
            continue
        owned = (picture_groups(plan, graph[id]) == number).float()[:, None].to(graph.device)
        for parameter in parameters:
            graph[id].parameters()[parameter].register_hook(lambda gradient, owned=owned: gradient * owned)


def _is_correction(entry: dict[str, Any]) -> bool:
    return entry["id"] in _OF_PICTURES


def _is_shared(entry: dict[str, Any]) -> bool:
    """The coarse background that the far field was fitted with is of no more use."""
    return entry["id"] != BACKGROUND


def _is_drawn(entry: dict[str, Any]) -> bool:
    return entry["id"] not in _OF_PICTURES


def _has_objects(entry: dict[str, Any]) -> bool:
    return entry["kind"] == RigidActors.kind


def owned_parts(store: GroupStore, plan: GroupPlan) -> Iterator[SceneGraph]:
    """Every Gaussian of the scene once: the far field, then group after group."""
    far = list(load_nodes(latest_scene(store.shared), lambda entry: entry["id"] == FAR))
    if far:
        yield SceneGraph(far, recording=plan.recording)
    for number in range(len(plan)):
        graph = store.own(number)
        graph.recording = plan.recording
        yield graph
