"""A street of Gaussians made by hand, with boxes on it whose pictures are known in closed form."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from gsrecon.data.folder import write_folder
from gsrecon.data.log import Camera, CameraFrame, DrivingLog, Lane, Track
from gsrecon.gaussians.gaussians import Gaussians
from gsrecon.labels.adaptor import RefinedPoses
from gsrecon.labels.recorded_sides import RecordedSides
from gsrecon.labels.subjects import subjects
from gsrecon.labels.views import Labeler
from gsrecon.ops.settings import RasterizeSettings
from gsrecon.scene.actors import RigidActors
from gsrecon.scene.bundle import save_scene
from gsrecon.scene.graph import SceneGraph
from gsrecon.scene.objects import ObjectTable
from gsrecon.scene.recording import RecordedCamera, RecordedFrame, Recording
from gsrecon.scene.sky import Sky
from gsrecon.scene.static import StaticGroup
from gsrecon.scene.trajectories import Trajectories

FRAMES = 6
WIDTH, HEIGHT = 320, 180
STEP_US = 100_000
START_US = 1_000_000
WALL_M = 50.0


@dataclass(frozen=True)
class Thing:
    """A box that moves along x."""

    id: str
    category: str
    size_lwh: tuple[float, float, float]
    place: tuple[float, float, float]
    speed: float = 0.0

    def pose(self, timestamp_us: int) -> np.ndarray:
        """`world_from_actor`."""
        pose = np.eye(4)
        pose[:3, 3] = self.place
        pose[0, 3] += self.speed * (timestamp_us - START_US) * 1e-6
        return pose


THINGS = (
    Thing("near", "car", (4.0, 1.8, 1.5), (12.0, 0.0, 0.75)),
    Thing("far", "car", (4.0, 1.8, 1.5), (22.0, 1.6, 0.75)),
    Thing("hidden", "car", (1.0, 0.8, 0.5), (17.0, 0.0, 0.25)),
    Thing("walker", "pedestrian", (0.6, 0.6, 1.8), (9.0, 3.0, 0.9), 1.5),
)


def cameras() -> dict[str, Camera]:
    """Two pinholes at 1.5 m, one ahead, one to the left."""
    K = np.array([[200.0, 0, 160], [0, 200, 90], [0, 0, 1]])
    found = {}
    for name, yaw in (("front", 0.0), ("front_left", 50.0)):
        a = np.radians(yaw)
        turn = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
        mounting = np.eye(4)
        mounting[:3, :3] = turn @ np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
        mounting[:3, 3] = (0.5, 0.0, 1.5)
        found[name] = Camera(name, K.copy(), WIDTH, HEIGHT, mounting)
    return found


def world_from_ego(timestamp_us: int) -> np.ndarray:
    """Half a metre a frame along x."""
    pose = np.eye(4)
    pose[0, 3] = 5.0 * (timestamp_us - START_US) * 1e-6
    return pose


def street_log(things=THINGS) -> DrivingLog:
    """The recording; its pictures are grey."""
    times = [START_US + k * STEP_US for k in range(FRAMES)]
    rig = cameras()
    frames = [
        CameraFrame(
            name,
            k,
            time + (8_000 if name != "front" else 0),
            world_from_ego(time + (8_000 if name != "front" else 0)) @ camera.ego_from_cam,
            image=np.full((camera.height, camera.width, 3), 120, np.uint8),
        )
        for k, time in enumerate(times)
        for name, camera in rig.items()
    ]
    keys = np.array([times[0] - STEP_US, *times, times[-1] + STEP_US], dtype=np.int64)
    return DrivingLog(
        name="street",
        source="folder",
        cameras=rig,
        frames=tuple(frames),
        ego_timestamps_us=np.array(times, dtype=np.int64),
        world_from_ego=np.stack([world_from_ego(time) for time in times]),
        source_from_world=np.eye(4),
        convention="made up",
        tracks=tuple(
            Track(
                thing.id,
                thing.category,
                np.array(thing.size_lwh),
                keys,
                np.stack([thing.pose(int(time)) for time in keys]),
            )
            for thing in things
        ),
        lanes=(Lane("left", "solid", np.array([[0.0, 3.5, 0.0], [45.0, 3.5, 0.0]])),),
        licence="made up",
    )


def street_scene(log: DrivingLog, modelled: bool = True) -> SceneGraph:
    """Ground, a wall and the boxes; these as actors, or as part of the background at the first time."""
    ground = _patch(np.array([-5.0, -25, 0]), np.array([57.0, 0, 0]), np.array([0, 50.0, 0]), 0.3)
    wall = _patch(np.array([WALL_M, -40, 0]), np.array([0, 80.0, 0]), np.array([0, 0, 14.0]), 0.7)
    parts, labels = [], []
    for number, track in enumerate(log.tracks):
        faces = _box(track.size_lwh)
        if not modelled:
            faces = faces.detached()
            faces.means.add_(torch.from_numpy(track.world_from_actor_at(START_US)[:3, 3]).float())
        parts.append(faces)
        labels.append(torch.full((len(faces),), number, dtype=torch.int32))
    still = [ground, wall] + ([] if modelled else parts)
    nodes = [StaticGroup("background", Gaussians.concatenate(still))]
    table = ObjectTable()
    if modelled and log.tracks:
        for track in log.tracks:
            table.append(track.id)
        times = [
            torch.tensor([log.time_s(int(t)) for t in track.timestamps_us], dtype=torch.float64)
            for track in log.tracks
        ]
        poses = [torch.from_numpy(track.world_from_actor) for track in log.tracks]
        spans = [(float(t[0]), float(t[-1])) for t in times]
        nodes.append(
            RigidActors(
                [track.id for track in log.tracks],
                Gaussians.concatenate(parts),
                torch.cat(labels),
                torch.tensor(np.stack([track.size_lwh for track in log.tracks])).float(),
                Trajectories.start(times, poses, spans, 10.0),
            )
        )
    nodes.append(Sky.plain(8, torch.tensor([0.4, 0.6, 0.9])))
    recording = Recording(
        name=log.name,
        source=log.source,
        start_us=log.start_us,
        source_from_world=log.source_from_world,
        cameras={
            c.name: RecordedCamera(c.name, c.K, c.width, c.height, c.ego_from_cam)
            for c in log.cameras.values()
        },
        frames=tuple(
            RecordedFrame(f.camera, f.index, f.timestamp_us, f.world_from_cam, False) for f in log.frames
        ),
    )
    return SceneGraph(nodes, table, recording, RasterizeSettings(mode="antialiased", eps2d=0.1))


def with_times(recording: Recording, times_ms: dict[str, list[int]]) -> Recording:
    """The rig with pictures at other times [ms from the start]; cameras that are new to it look left."""
    left = recording.cameras["front_left"]
    frames = [
        RecordedFrame(name, k, START_US + 1000 * ms, world_from_ego(START_US + 1000 * ms) @ pose, False)
        for name, of_camera in times_ms.items()
        for pose in (recording.cameras.get(name, left).ego_from_cam,)
        for k, ms in enumerate(of_camera)
    ]
    cameras = {name: replace(recording.cameras.get(name, left), name=name) for name in times_ms}
    ordered = sorted(frames, key=lambda frame: frame.timestamp_us)
    return replace(recording, cameras=cameras, frames=tuple(ordered))


def street_run(folder: Path) -> Path:
    """A run folder as training leaves it, beside the drive it is of."""
    log = street_log()
    write_folder(log, folder / "drive")
    run = folder / "run"
    save_scene(street_scene(log), run / "checkpoints" / "step-1" / "scene")
    (run / "checkpoints" / "latest").symlink_to("step-1")
    (run / "scene.toml").write_text(f'name = "street"\ndrive = "folder:{folder / "drive"}"\n')
    (run / "config.json").write_text(json.dumps({"steps": 1}))
    return run


def street_labeler(log: DrivingLog, graph: SceneGraph) -> Labeler:
    """With the log's own poses."""
    assert graph.recording is not None
    adaptor, things = RefinedPoses(log, None), subjects(log.tracks)
    return Labeler(things, log.lanes, adaptor, RecordedSides(graph.recording, things, adaptor))


def ray_cast(
    lens: RecordedCamera, world_from_cam: np.ndarray, timestamp_us: int, things=THINGS
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Which box each pixel centre shows (-1 none), and each box's own pixels with nothing else there."""
    y, x = np.mgrid[: lens.height, : lens.width] + 0.5
    rays = np.stack(
        [(x - lens.K[0, 2]) / lens.K[0, 0], (y - lens.K[1, 2]) / lens.K[1, 1], np.ones_like(x)], -1
    )
    nearest, shown, alone = np.full(x.shape, np.inf), np.full(x.shape, -1), {}
    for number, thing in enumerate(things):
        from_cam = np.linalg.inv(thing.pose(timestamp_us)) @ world_from_cam
        directions, origin = rays @ from_cam[:3, :3].T, from_cam[:3, 3]
        half = 0.5 * np.array(thing.size_lwh)
        with np.errstate(divide="ignore", invalid="ignore"):
            planes = (np.stack([-half, half])[:, None, None] - origin) / directions
        enter, leave = planes.min(axis=0).max(axis=-1), planes.max(axis=0).min(axis=-1)
        hit = (enter < leave) & (enter > 0)
        alone[thing.id] = hit
        first = hit & (enter < nearest)
        nearest[first], shown[first] = enter[first], number
    return shown, alone


def _patch(corner: np.ndarray, along: np.ndarray, across: np.ndarray, spacing: float) -> Gaussians:
    """Flat Gaussians over a rectangle."""
    steps = [max(1, round(float(np.linalg.norm(edge)) / spacing)) for edge in (along, across)]
    u, v = np.meshgrid(*((np.arange(n) + 0.5) / n for n in steps), indexing="ij")
    points = corner + u.reshape(-1, 1) * along + v.reshape(-1, 1) * across
    normal = np.abs(np.cross(along, across)) > 1e-9
    scales = np.where(normal, 0.01, 0.6 * spacing)
    return _gaussians(points, np.tile(scales, (len(points), 1)), 0.99)


def _box(size_lwh: np.ndarray, spacing: float = 0.1) -> Gaussians:
    """Flat Gaussians on the faces of a box, inside of it by their width."""
    half = 0.5 * size_lwh
    faces = []
    for axis in range(3):
        edges = [np.eye(3)[k] * size_lwh[k] for k in range(3) if k != axis]
        for side in (-1, 1):
            corner = -half.copy()
            corner[axis] = side * (half[axis] - 0.01)
            faces.append(_patch(corner, edges[0], edges[1], spacing))
    return Gaussians.concatenate(faces)


def _gaussians(points: np.ndarray, scales: np.ndarray, opacity: float) -> Gaussians:
    count = len(points)
    generator = torch.Generator().manual_seed(count)
    return Gaussians(
        means=torch.tensor(points, dtype=torch.float32),
        quats=torch.tensor([1.0, 0, 0, 0]).repeat(count, 1),
        log_scales=torch.tensor(scales, dtype=torch.float32).log(),
        logit_opacities=torch.full((count,), float(np.log(opacity / (1 - opacity)))),
        sh0=torch.randn(count, 3, generator=generator),
        sh_rest=torch.zeros(count, 0, 3),
    )
