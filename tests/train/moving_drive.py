"""The corridor of `tiny_drive` with a painted box that overtakes, ray-cast in closed form."""

from dataclasses import replace

import numpy as np

from gsrecon.data.log import DrivingLog, LidarSweep, Track
from gsrecon.data.projection import unproject
from gsrecon.data.spec import SceneSpec, TestSplit
from tests.train.tiny_drive import HEIGHT, WIDTH, tiny_drive

SIZE = np.array([3.0, 1.6, 1.4])
SPEED, START = 12.0, np.array([5.0, -1.5, 0.9])
SPEC = SceneSpec(name="moving", drive="folder:moving", mask_moving=True, test=TestSplit(every=4, offset=2))


def moving_drive(frames: int = 12, spacing: float = 0.5, speed: float = SPEED) -> DrivingLog:
    """One camera and one sweep a frame, 10 Hz; the box has a track, its pixels the mask `moving`.

    Args:
        frames: Number of pictures.
        spacing: Way of the camera between two of them [m].
        speed: Of the box [m/s].
    """
    log = tiny_drive(frames, spacing)
    camera = log.cameras["front"]
    x, y = np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5)
    rays_in_cam = unproject(np.stack([x.ravel(), y.ravel()], axis=1), camera.K)
    pictures, sweeps = [], []
    for frame, sweep in zip(log.frames, log.sweeps, strict=True):
        centre = centre_at(frame.timestamp_us, speed)
        rays = rays_in_cam @ frame.world_from_cam[:3, :3].T
        distance, paint = _hit(frame.world_from_cam[:3, 3] - centre, rays)
        hit = np.isfinite(distance)
        image = frame.image.reshape(-1, 3).copy()
        image[hit] = np.round(255 * paint[hit])
        moving = (255 * hit).astype(np.uint8).reshape(HEIGHT, WIDTH)
        image = image.reshape(HEIGHT, WIDTH, 3)
        pictures.append(replace(frame, image=image, masks={"moving": moving}))
        sweeps.append(_with_box(sweep, centre))
    times = np.array([frame.timestamp_us for frame in log.frames])
    poses = np.tile(np.eye(4), (frames, 1, 1))
    poses[:, :3, 3] = [centre_at(t, speed) for t in times]
    track = Track("box", "car", SIZE, times, poses)
    return replace(log, frames=tuple(pictures), sweeps=tuple(sweeps), tracks=(track,))


def centre_at(timestamp_us: int, speed: float = SPEED) -> np.ndarray:
    """Centre of the box in world [m]."""
    return START + np.array([speed * timestamp_us * 1e-6, 0, 0])


def _hit(origin: np.ndarray, rays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance along rays from an origin in the box's frame to it, and its colour there."""
    with np.errstate(divide="ignore", invalid="ignore"):
        planes = (np.stack([-SIZE / 2, SIZE / 2])[:, None] - origin) / rays
    enter, leave = planes.min(axis=0).max(axis=1), planes.max(axis=0).min(axis=1)
    distance = np.where((enter < leave) & (enter > 0), enter, np.inf)
    points = np.where(np.isfinite(distance)[:, None], origin + rays * np.minimum(distance, 1e3)[:, None], 0)
    stripes = np.sin(4 * points[:, 1] + 3 * points[:, 2]) > 0
    paint = np.where(stripes[:, None], [0.95, 0.15, 0.1], [0.95, 0.9, 0.2])
    return distance, paint


def _with_box(sweep: LidarSweep, centre: np.ndarray) -> LidarSweep:
    """The box hides what lies behind it."""
    origin = sweep.world_from_lidar[:3, 3] + (0, 0, 1.5)
    points = np.asarray(sweep.points) + sweep.world_from_lidar[:3, 3]
    rays = points - origin
    distance, _ = _hit(origin - centre, rays)
    hit = distance < 1
    points[hit] = origin + rays[hit] * distance[hit, None]
    return replace(sweep, points=(points - sweep.world_from_lidar[:3, 3]).astype(np.float32))
