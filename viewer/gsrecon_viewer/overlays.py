"""What is drawn over the scene: the rig's cameras and way, lidar, boxes with ids, lanes."""

import threading
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import viser
from jaxtyping import Float32, Float64, UInt8

from gsrecon_viewer.lens import wxyz_of
from gsrecon_viewer.painter import colour_of
from gsrecon_viewer.shown import Shown, ShownObject

OVERLAYS = "/overlays"
"""Everything that is drawn over the scene is below this node."""
MOST_LABELS = 8
"""Ids that are written at a time."""
LIDAR_POINTS = 30_000
"""Points of a sweep that are shown at most."""
_CORNERS = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
_EDGES = [(a, b) for a in range(8) for b in range(a + 1, 8) if np.abs(_CORNERS[a] - _CORNERS[b]).sum() == 1]
_HEADING = np.array([[[0.5, -0.5, -0.5], [0.7, 0, -0.5]], [[0.5, 0.5, -0.5], [0.7, 0, -0.5]]])


@dataclass
class Layers:
    """What is switched on."""

    boxes: bool = True
    ids: bool = True
    way: bool = False
    cameras: bool = False
    lidar: bool = False
    lanes: bool = False


class Overlays:
    """Lines and points in the browsers' scene, kept true to the moment that is shown."""

    def __init__(self, server: viser.ViserServer, shown: Shown) -> None:
        self.layers = Layers()
        self._server = server
        self._shown = shown
        self._labels: dict[str, viser.LabelHandle] = {}
        self._handles: dict[str, viser.SceneNodeHandle] = {}
        self._lidar_of: int | None = None
        self._one = threading.Lock()
        server.scene.add_frame(OVERLAYS, show_axes=False)

    def refresh(self) -> None:
        """Brings everything to the moment that is shown and to what is switched on."""
        with self._one:
            objects = self._shown.objects()
            # Until the end of this nothing is sent to any browser, so nothing in it waits for the scene.
            with self._server.atomic():
                self._boxes(objects)
                self._way()
                self._cameras()
                self._lidar()
                self._lanes()

    def _boxes(self, objects: list[ShownObject]) -> None:
        if self.layers.boxes and objects:
            lines = np.concatenate([box_lines(thing) for thing in objects])
            colours = np.concatenate(
                [np.full((len(_EDGES) + 2, 2, 3), linear(colour_of(thing.category))) for thing in objects]
            )
            self._lines("boxes", lines, colours)
        else:
            self._drop("boxes")
        wanted = {thing.id: thing for thing in self._named(objects)}
        for gone in set(self._labels) - set(wanted):
            self._labels.pop(gone).remove()
        for id, thing in wanted.items():
            top = thing.world_from_actor @ np.array([0, 0, 0.5 * thing.size_lwh[2] + 0.3, 1.0])
            place = (float(top[0]), float(top[1]), float(top[2]))
            if id in self._labels:
                self._labels[id].position = place
            else:
                text = id if thing.category in id else f"{id} {thing.category}"
                self._labels[id] = self._server.scene.add_label(
                    f"{OVERLAYS}/labels/{len(self._labels)}-{id}",
                    text,
                    position=place,
                    depth_test=True,
                    anchor="bottom-center",
                )

    def _named(self, objects: list[ShownObject]) -> list[ShownObject]:
        """The objects whose ids are written: the nearest to the vehicle, so that one can read them."""
        if not (self.layers.boxes and self.layers.ids):
            return []
        here = ego_place(self._shown)
        if here is None:
            return objects[:MOST_LABELS]
        return sorted(objects, key=lambda o: np.linalg.norm(o.world_from_actor[:3, 3] - here))[:MOST_LABELS]

    def _way(self) -> None:
        way = ego_way(self._shown)
        if self.layers.way and way is not None and len(way) > 1:
            if "way" not in self._handles:
                self._lines(
                    "way", np.stack([way[:-1], way[1:]], axis=1).astype(np.float32), (80, 200, 255), 0.06
                )
        else:
            self._drop("way")

    def _cameras(self) -> None:
        recording = self._shown.recording
        names = list(recording.cameras) if recording is not None and self.layers.cameras else []
        for name in names:
            frame = self._shown.nearest_frame(name)
            assert recording is not None
            lens = recording.cameras[name]
            if frame is None:
                continue
            pose, place = wxyz_of(frame.world_from_cam), tuple(frame.world_from_cam[:3, 3].tolist())
            handle = self._handles.get(f"camera {name}")
            if handle is None:
                fov = float(2 * np.arctan(0.5 * lens.height / lens.K[1, 1]))
                self._handles[f"camera {name}"] = self._server.scene.add_camera_frustum(
                    f"{OVERLAYS}/cameras/{name}", fov, lens.width / lens.height, scale=0.6,
                    color=(255, 200, 60), wxyz=pose, position=place,
                )  # fmt: skip
            else:
                handle.wxyz, handle.position = pose, place
        for key in [key for key in self._handles if key.startswith("camera ")]:
            if key.removeprefix("camera ") not in names:
                self._drop(key)

    def _lidar(self) -> None:
        log = self._shown.log
        sweep = None
        if self.layers.lidar and log is not None:
            sweep = log.nearest_sweep(self._shown.timestamp_us(), 500_000)
        if log is None or sweep is None:
            self._lidar_of = None
            return self._drop("lidar")
        if sweep.timestamp_us == self._lidar_of:
            return None
        self._lidar_of = sweep.timestamp_us
        points = log.points(sweep)[:, :3]
        points = points[:: max(1, len(points) // LIDAR_POINTS)]
        world = points @ sweep.world_from_lidar[:3, :3].T + sweep.world_from_lidar[:3, 3]
        self._handles["lidar"] = self._server.scene.add_point_cloud(
            f"{OVERLAYS}/lidar", world.astype(np.float32), height_colours(world[:, 2]), point_size=0.04
        )
        return None

    def _lanes(self) -> None:
        lanes = self._shown.log.lanes if self._shown.log is not None and self.layers.lanes else ()
        lines = [short_pieces(lane.points_in_world) for lane in lanes if len(lane.points_in_world) > 1]
        if not lines:
            self._drop("lanes")
        elif "lanes" not in self._handles:
            self._lines("lanes", np.concatenate(lines).astype(np.float32), (255, 255, 255), 0.08)

    def _lines(
        self,
        name: str,
        points: Float32[np.ndarray, "S 2 3"],
        colours: np.ndarray | tuple[int, int, int],
        thickness: float = 0.04,
    ) -> None:
        self._handles[name] = self._server.scene.add_line_segments(
            f"{OVERLAYS}/{name}", points, colours, thickness=thickness
        )

    def _drop(self, name: str) -> None:
        handle = self._handles.pop(name, None)
        if handle is not None:
            handle.remove()


def linear(colour: tuple[int, int, int]) -> UInt8[np.ndarray, " 3"]:
    """A colour as viser's lines take it where every point has its own: linear light, as sRGB shows it."""
    share = np.array(colour) / 255
    light = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return np.round(255 * light).astype(np.uint8)


def box_lines(thing: ShownObject) -> Float32[np.ndarray, "14 2 3"]:
    """The edges of a box, and two lines that point forward."""
    corners = _CORNERS * thing.size_lwh
    lines = np.concatenate(
        [np.array([[corners[a], corners[b]] for a, b in _EDGES]), _HEADING * thing.size_lwh]
    )
    pose = thing.world_from_actor
    return (lines @ pose[:3, :3].T + pose[:3, 3]).astype(np.float32)


def short_pieces(points: Float64[np.ndarray, "P 3"], longest_m: float = 2.0) -> Float64[np.ndarray, "S 2 3"]:
    """A line as pieces: of one whose end is behind the camera, browsers draw little, so pieces are short."""
    pieces = []
    for start, end in pairwise(points):
        count = max(1, int(np.ceil(np.linalg.norm(end - start) / longest_m)))
        stops = start + np.linspace(0, 1, count + 1)[:, None] * (end - start)
        pieces.append(np.stack([stops[:-1], stops[1:]], axis=1))
    return np.concatenate(pieces)


def ego_way(shown: Shown) -> Float64[np.ndarray, "T 3"] | None:
    """Where the vehicle went [m]."""
    if shown.log is not None:
        return shown.log.world_from_ego[:, :3, 3]
    recording = shown.recording
    if recording is None or not recording.frames:
        return None
    first = next(iter(recording.cameras.values()))
    frames = sorted((f for f in recording.frames if f.camera == first.name), key=lambda f: f.timestamp_us)
    return np.stack([(f.world_from_cam @ np.linalg.inv(first.ego_from_cam))[:3, 3] for f in frames])


def ego_place(shown: Shown) -> Float64[np.ndarray, " 3"] | None:
    """Where the vehicle is at the moment that is shown [m]."""
    if shown.recording is None or not shown.recording.frames:
        return None
    frame = shown.nearest_frame(next(iter(shown.recording.cameras)))
    return None if frame is None else frame.world_from_cam[:3, 3]


def height_colours(height: Float64[np.ndarray, " N"]) -> np.ndarray:
    """Low is blue, high is orange."""
    share = np.clip((height + 1) / 5, 0, 1)[:, None]
    return ((1 - share) * [60, 120, 255] + share * [255, 150, 40]).astype(np.uint8)
