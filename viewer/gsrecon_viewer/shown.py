"""What is shown: one scene for everybody, at one time, with its edits and what is switched off."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from threading import RLock

import numpy as np
import torch
from jaxtyping import Float64

from gsrecon.data.log import DrivingLog, Track
from gsrecon.scene.actors import RigidActors
from gsrecon.scene.graph import SceneGraph
from gsrecon.scene.groups_scene import Scene, for_pose, parts
from gsrecon.scene.recording import RecordedFrame, Recording
from gsrecon.scene.sky import Sky


@dataclass(frozen=True)
class ShownObject:
    """An object in a box at one time."""

    id: str
    category: str
    size_lwh: Float64[np.ndarray, " 3"]
    world_from_actor: Float64[np.ndarray, "4 4"]


def modelled_objects(scene: Scene, ids: Collection[str] = ()) -> dict[str, tuple[RigidActors, int]]:
    """Objects that have Gaussians of their own, by id: their node, and their number in it.

    Args:
        scene: The scene; of one in groups, the Gaussians of all objects are not read.
        ids: Objects whose Gaussians are wanted for certain.
    """
    return {
        id: (node, number)
        for node in _nodes_of_objects(scene, ids)
        for number, id in enumerate(node.object_ids)
    }


def _nodes_of_objects(scene: Scene, ids: Collection[str] = ()) -> list[RigidActors]:
    graph = scene if isinstance(scene, SceneGraph) else scene.objects(ids)
    return [node for node in graph.gaussian_nodes if isinstance(node, RigidActors)]


class Shown:
    """The scene, the time, and what belongs to them; changed by anybody, seen by everybody.

    Drawing and changing take turns: hold `lock` for either.
    """

    def __init__(
        self, scene: Scene, log: DrivingLog | None = None, tracks: Sequence[Track] | None = None
    ) -> None:
        """Shows a scene from its first moment.

        Args:
            scene: What `open_scene` gives.
            log: The drive it was made from, where that is reachable: recorded pictures, lidar, lanes.
            tracks: Boxes to show; None takes the log's.
        """
        self.lock = RLock()
        self.scene = scene
        self.log = log
        given = log.tracks if tracks is None and log is not None else tracks or ()
        self.tracks: tuple[Track, ...] = tuple(given)
        self.classes = {track.id: track.category for track in self.tracks}
        """Class of each object by its id; edits bring it up to date."""
        self._modelled_first = frozenset(modelled_objects(scene))
        self.hidden_nodes: frozenset[str] = frozenset()
        self.version = 0
        """Counts changes after which a picture is no longer true."""
        self._time_s = self.span_s[0]
        self._watchers: list[Callable[[], None]] = []
        self._visible: tuple[SceneGraph, frozenset[str], SceneGraph] | None = None

    @property
    def recording(self) -> Recording | None:
        """What the scene remembers of its drive."""
        return self.scene.recording

    @property
    def span_s(self) -> tuple[float, float]:
        """First and last moment of the recording [s]."""
        if self.recording is None or not self.recording.frames:
            return 0.0, 0.0
        times = [self.recording.time_s(frame.timestamp_us) for frame in self.recording.frames]
        return min(times), max(times)

    @property
    def time_s(self) -> float:
        """The moment that is shown [s]."""
        return self._time_s

    @time_s.setter
    def time_s(self, value: float) -> None:
        value = float(np.clip(value, *self.span_s))
        if value != self._time_s:
            self._time_s = value
            self.changed()

    def changed(self) -> None:
        """Tells everybody that pictures have to be drawn again."""
        self.version += 1
        for watcher in list(self._watchers):
            watcher()

    def watch(self, watcher: Callable[[], None]) -> None:
        """Calls a function after every change, in the thread that makes it."""
        self._watchers.append(watcher)

    def replace(self, scene: Scene, classes: dict[str, str] | None = None) -> None:
        """Shows another scene: the same with other edits, or one that has been trained further."""
        with self.lock:
            self.scene = scene
            if classes is not None:
                self.classes = classes
            self._visible = None
        self.changed()

    def hide_nodes(self, ids: frozenset[str]) -> None:
        """Switches nodes off, and all others on."""
        if ids != self.hidden_nodes:
            self.hidden_nodes = ids
            self.changed()

    def node_ids(self) -> list[str]:
        """Every node that is drawn: Gaussians and skies, no corrections."""
        ids = [node.id for graph in parts(self.scene) for node in graph.gaussian_nodes]
        sky = self.sky()
        return ids if sky is None else [*ids, sky.id]

    def sky(self) -> Sky | None:
        """The sky; all groups of a scene have one and the same."""
        scene = self.scene
        with self.lock:
            return (scene if isinstance(scene, SceneGraph) else scene.group((scene.resident or [0])[-1])).sky

    def graph(self, world_from_cam: Float64[np.ndarray, "4 4"]) -> SceneGraph:
        """What is seen from a pose, without what is switched off."""
        graph = for_pose(self.scene, torch.from_numpy(world_from_cam))
        if not self.hidden_nodes:
            self._visible = None  # a group of it may have to make room
            return graph
        if self._visible is None or self._visible[0] is not graph or self._visible[1] != self.hidden_nodes:
            nodes = [node for node in graph if node.id not in self.hidden_nodes]
            kept = SceneGraph(nodes, graph.objects, graph.recording, graph.settings)
            self._visible = graph, self.hidden_nodes, kept
        return self._visible[2]

    def timestamp_us(self) -> int:
        """The moment that is shown, on the recording's clock [us]."""
        start = 0 if self.recording is None else self.recording.start_us
        return start + round(self._time_s * 1e6)

    def objects(self) -> list[ShownObject]:
        """Objects that are there at this moment: the scene's own, and annotated ones it does not model."""
        now, moment = self.timestamp_us(), torch.tensor([self._time_s])
        found = []
        with self.lock, torch.no_grad():
            for node in _nodes_of_objects(self.scene):
                there = node.trajectories.present(moment)[0].tolist()
                poses = node.trajectories.at(moment)[0].cpu().double().numpy()
                sizes = node.sizes_lwh.cpu().double().numpy()
                found += [
                    ShownObject(id, self.classes.get(id, "object"), sizes[number], poses[number])
                    for number, id in enumerate(node.object_ids)
                    if there[number]
                ]
        for track in self.tracks:
            pose = track.world_from_actor_at(now)
            if pose is not None and track.id not in self._modelled_first:
                found.append(ShownObject(track.id, track.category, track.size_lwh, pose))
        return found

    def object(self, id: str) -> ShownObject | None:
        """One of them; None where it is not there at this moment."""
        return next((thing for thing in self.objects() if thing.id == id), None)

    def nearest_frame(self, camera: str) -> RecordedFrame | None:
        """The picture of a camera recorded closest to this moment."""
        if self.recording is None:
            return None
        now = self.timestamp_us()
        frames = [frame for frame in self.recording.frames if frame.camera == camera]
        return min(frames, key=lambda frame: abs(frame.timestamp_us - now), default=None)
