"""A drive down a corridor with painted walls, ray-cast in closed form, for training in seconds."""

from dataclasses import replace

import numpy as np

from gsrecon.data.log import Camera, CameraFrame, DrivingLog, LidarSweep
from gsrecon.data.projection import unproject
from gsrecon.data.spec import SceneSpec, TestSplit

WIDTH, HEIGHT, FOCAL = 32, 24, 20.0
HALF_WIDTH, CAMERA_HEIGHT, END = 4.0, 1.5, 25.0
EGO_FROM_CAM = np.array([[0.0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, CAMERA_HEIGHT], [0, 0, 0, 1]])
SPEC = SceneSpec(name="tiny", drive="folder:tiny", test=TestSplit(every=4, offset=2))


def tiny_drive(frames: int = 8, spacing: float = 0.5, fisheye: bool = False) -> DrivingLog:
    """One camera, one lidar sweep a frame, 10 Hz."""
    K = np.array([[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1]])
    camera = Camera("front", K, WIDTH, HEIGHT, EGO_FROM_CAM.copy())
    if fisheye:
        wide = np.array([[13.0, 0, WIDTH / 2], [0, 13.0, HEIGHT / 2], [0, 0, 1]])
        camera = replace(camera, K=wide, model="fisheye", distortion=(0.02, -0.01, 0.0, 0.0))
    random = np.random.default_rng(5)
    ego, pictures, sweeps = [], [], []
    for index in range(frames):
        world_from_ego = np.eye(4)
        world_from_ego[0, 3] = spacing * index
        world_from_cam = world_from_ego @ EGO_FROM_CAM
        time_us = 100_000 * index
        pictures.append(CameraFrame("front", index, time_us, world_from_cam, picture(world_from_cam, camera)))
        sweeps.append(LidarSweep(time_us, world_from_ego, _sweep(world_from_ego, random)))
        ego.append(world_from_ego)
    return DrivingLog(
        name="tiny",
        source="folder",
        cameras={"front": camera},
        frames=tuple(pictures),
        ego_timestamps_us=np.arange(frames, dtype=np.int64) * 100_000,
        world_from_ego=np.stack(ego),
        source_from_world=np.eye(4),
        convention="made for tests",
        sweeps=tuple(sweeps),
    )


def picture(world_from_cam: np.ndarray, camera: Camera) -> np.ndarray:
    """What a camera sees, uint8 [H, W, 3]."""
    x, y = np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5)
    pixels = np.stack([x.ravel(), y.ravel()], axis=1)
    rays = unproject(pixels, camera.K, camera.model, camera.distortion) @ world_from_cam[:3, :3].T
    hits = world_from_cam[:3, 3] + rays * _distance(world_from_cam[:3, 3], rays)[:, None]
    sky = ~np.isfinite(hits).all(axis=1)
    colors = paint(np.where(sky[:, None], 0, hits))
    colors[sky] = (0.6, 0.7, 0.9)
    return np.round(255 * colors).astype(np.uint8).reshape(HEIGHT, WIDTH, 3)


def paint(points: np.ndarray) -> np.ndarray:
    """Colours of the walls in [0, 1]."""
    x, y, z = points.T
    return np.stack(
        [
            0.5 + 0.4 * np.sin(1.1 * x + y),
            0.5 + 0.4 * np.sin(0.9 * x + 2 * z),
            0.5 + 0.3 * np.cos(0.7 * x - y),
        ],
        axis=1,
    )


def _distance(origin: np.ndarray, rays: np.ndarray) -> np.ndarray:
    """To road, both walls (3 m high) and the far end; infinite for the sky."""
    with np.errstate(divide="ignore", invalid="ignore"):
        road = -origin[2] / rays[:, 2]
        walls = np.stack([(side - origin[1]) / rays[:, 1] for side in (-HALF_WIDTH, HALF_WIDTH)])
        end = (END - origin[0]) / rays[:, 0]
        nearest = np.minimum(np.where(walls > 0, walls, np.inf).min(axis=0), np.where(end > 0, end, np.inf))
        nearest[origin[2] + nearest * rays[:, 2] > 3.0] = np.inf
    return np.minimum(nearest, np.where(road > 0, road, np.inf))


def _sweep(world_from_ego: np.ndarray, random: np.random.Generator) -> np.ndarray:
    origin = world_from_ego[:3, 3] + (0, 0, CAMERA_HEIGHT)
    rays = np.stack([np.ones(400), random.uniform(-0.8, 0.8, 400), random.uniform(-0.6, 0.05, 400)], axis=1)
    distance = _distance(origin, rays)
    hit = np.isfinite(distance)
    points = origin + rays[hit] * distance[hit, None]
    return (points - world_from_ego[:3, 3]).astype(np.float32)
