"""A scene that may be cut into groups, as rendering and judging use it: one graph for each pose."""

from collections import OrderedDict
from collections.abc import Collection, Iterator
from functools import cached_property
from pathlib import Path

import safetensors
import torch
from jaxtyping import Float
from torch import Tensor

from gsrecon.errors import CheckpointError
from gsrecon.gaussians.gaussians import Gaussians
from gsrecon.memory import give_back_memory
from gsrecon.ops.settings import RasterizeSettings
from gsrecon.scene.actors import RigidActors
from gsrecon.scene.appearance import Appearance
from gsrecon.scene.bundle import load_scene
from gsrecon.scene.camera_refinement import CameraRefinement
from gsrecon.scene.graph import SceneGraph
from gsrecon.scene.groups import GroupPlan
from gsrecon.scene.groups_store import GroupStore, latest_scene, owned_parts
from gsrecon.scene.halo import Halo
from gsrecon.scene.node import Node
from gsrecon.scene.objects import ObjectTable
from gsrecon.scene.recording import RecordedFrame, Recording
from gsrecon.scene.static import StaticGroup


class GroupedScene:
    """The groups of a scene, read when a pose needs them; the latest stay in memory."""

    def __init__(self, folder: Path, device: torch.device | str = "cpu") -> None:
        """Opens the folder of groups; no Gaussian is read yet.

        Args:
            folder: Of the groups.
            device: Where groups go when they are read.

        Raises:
            CheckpointError: The folder is incomplete, damaged, or of another version of gsrecon.
        """
        self._store = GroupStore(folder)
        self._device = device
        self.plan: GroupPlan
        self.settings: RasterizeSettings
        self.plan, self.settings = self._store.read_plan()
        corrections = self._store.corrections(self.plan)
        self.appearance = next((node for node in corrections if isinstance(node, Appearance)), None)
        """Exposure of the recorded pictures, if it was fitted."""
        self.camera_refinement = next(
            (node for node in corrections if isinstance(node, CameraRefinement)), None
        )
        """Corrections of the recorded camera poses, if they were fitted."""
        self._resident: OrderedDict[int, SceneGraph] = OrderedDict()
        self._objects: dict[int, tuple[frozenset[str], list[RigidActors]]] = {}

    @property
    def recording(self) -> Recording:
        """Cameras, poses and times the scene was fitted to."""
        return self.plan.recording

    @property
    def resident(self) -> list[int]:
        """Groups that are in memory, the latest last."""
        return list(self._resident)

    def __len__(self) -> int:
        """Number of Gaussians of all groups and the far field."""
        folders = [self._store.shared, *(self._store.group(k) for k in range(len(self.plan)))]
        return sum(_gaussians(latest_scene(folder), folder == self._store.shared) for folder in folders)

    def group(self, number: int) -> SceneGraph:
        """All that pictures of a group draw.

        Raises:
            CheckpointError: The group or one that lends to it is missing or damaged.
        """
        if number in self._resident:
            self._resident.move_to_end(number)
            return self._resident[number]
        while len(self._resident) >= self.plan.groups.resident:
            self._resident.popitem(last=False)
            give_back_memory()
        graph = self._store.own(number, self._device)
        graph.recording, graph.settings = self.recording, self.settings
        self._store.surround(graph, number, self.plan)
        _join_static(graph)
        give_back_memory()
        self._resident[number] = graph
        return graph

    def for_frame(self, frame: RecordedFrame) -> SceneGraph:
        """What a recorded picture shows."""
        return self.group(self.plan.of_time(frame.timestamp_us))

    def for_pose(self, world_from_cam: Float[Tensor, "4 4"]) -> SceneGraph:
        """What is seen from any pose: that of the group with the nearest recorded one."""
        return self.group(self.plan.of_pose(world_from_cam))

    def objects(self, ids: Collection[str] = ()) -> SceneGraph:
        """All objects of all groups: where they are and how large, and of some of them the Gaussians too.

        What was read is kept until Gaussians of its group are asked for that are not among it.

        Args:
            ids: Objects whose Gaussians are wanted; others may have theirs or none.

        Raises:
            CheckpointError: A group is missing or damaged.
        """
        nodes: list[Node] = []
        for number in range(len(self.plan)):
            kept, of_group = self._objects.get(number, (None, []))
            wanted = frozenset(id for node in of_group for id in node.object_ids if id in ids)
            if kept is None or not wanted <= kept:
                of_group = self._store.objects(number, ids, self._device)
                wanted = frozenset(id for node in of_group for id in node.object_ids if id in ids)
                self._objects[number] = wanted, of_group
            nodes += of_group
        return SceneGraph(nodes, ObjectTable(self._object_ids), self.recording, self.settings)

    @cached_property
    def _object_ids(self) -> list[str]:
        return self._store.object_ids()

    def parts(self) -> Iterator[SceneGraph]:
        """Every Gaussian once: the far field, then what each group owns."""
        return owned_parts(self._store, self.plan)


Scene = SceneGraph | GroupedScene
"""A scene in one piece, which is the graph for every pose, or cut into groups."""


def open_scene(folder: Path, device: torch.device | str = "cpu") -> Scene:
    """A scene that a run, checkpoint or scene folder holds, whole or in groups, on a device.

    Raises:
        CheckpointError: There is none, or it is damaged or of another format version.
    """
    for inner in (Path(folder), Path(folder) / "groups"):
        if GroupStore(inner).planned:
            return GroupedScene(inner, device)
    return load_scene(folder, device)


def for_frame(scene: Scene, frame: RecordedFrame) -> SceneGraph:
    """The graph that a recorded picture shows."""
    return scene if isinstance(scene, SceneGraph) else scene.for_frame(frame)


def for_pose(scene: Scene, world_from_cam: Float[Tensor, "4 4"]) -> SceneGraph:
    """The graph that is seen from a pose."""
    return scene if isinstance(scene, SceneGraph) else scene.for_pose(world_from_cam)


def parts(scene: Scene) -> Iterator[SceneGraph]:
    """Every Gaussian of a scene once, in graphs that fit in memory."""
    return iter([scene]) if isinstance(scene, SceneGraph) else scene.parts()


def _join_static(graph: SceneGraph) -> None:
    """What stands still and is drawn in full in one node: one copy less for each picture."""
    still = [
        node for node in graph.gaussian_nodes if isinstance(node, StaticGroup) and not isinstance(node, Halo)
    ]
    if len(still) < 2:
        return
    for node in still:
        graph.remove(node.id)
    joined = Gaussians.concatenate([node.gaussians.detached() for node in still])
    graph.add(StaticGroup(still[0].id, joined))


def _gaussians(folder: Path, shared: bool) -> int:
    """Number of Gaussians of a stored scene, from the heads of its files."""
    count = 0
    for path in sorted((folder / "nodes").glob("*.safetensors")):
        if shared and path.stem != "far":
            continue
        try:
            with safetensors.safe_open(path, "pt") as file:
                if "means" in file.keys():  # noqa: SIM118
                    count += file.get_slice("means").get_shape()[0]
        except (OSError, safetensors.SafetensorError) as error:
            raise CheckpointError(
                f"{path}: the file is missing or damaged ({error}); copy the folder again from its source"
            ) from error
    return count
