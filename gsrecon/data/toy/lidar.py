"""A spinning lidar on the roof."""

import numpy as np
from jaxtyping import Float32, Float64

from gsrecon.data.toy.world import Moment, World

_LOWEST_DEG, _HIGHEST_DEG = -25.0, 12.0
_NEAREST_M = 1.2


def ego_from_lidar() -> Float64[np.ndarray, "4 4"]:
    """The sensor stands on the roof, its axes those of the ego frame."""
    pose = np.eye(4)
    pose[:3, 3] = [0.9, 0.0, 1.85]
    return pose


def sweep_points(world: World, index: int, time_s: float) -> Float32[np.ndarray, "N 5"]:
    """One turn: x, y, z in the lidar frame [m], intensity 0..1, object number (0 none).

    The whole turn shows the scene as it is at `time_s`, the end of the turn, as a sweep does whose own
    motion was compensated.
    """
    config = world.config
    elevation = np.radians(np.linspace(_LOWEST_DEG, _HIGHEST_DEG, config.lidar_beams))
    azimuth = 2 * np.pi * np.arange(config.lidar_azimuths) / config.lidar_azimuths
    level = np.cos(elevation)[None, :]
    directions = np.stack(
        [
            level * np.cos(azimuth)[:, None],
            level * np.sin(azimuth)[:, None],
            np.broadcast_to(np.sin(elevation), (len(azimuth), len(elevation))),
        ],
        axis=-1,
    ).reshape(-1, 3)
    world_from_lidar = world.street.world_from_ego(time_s) @ ego_from_lidar()
    rays = (directions @ world_from_lidar[:3, :3].T).astype(np.float32)
    hits = world.trace(world_from_lidar[:3, 3], rays, Moment(world, time_s))
    met = (hits.distance > _NEAREST_M) & (hits.distance < config.lidar_range_m)
    rng = np.random.default_rng([config.seed, 8, index])
    noise = config.lidar_noise_m * rng.standard_normal(len(directions))
    reach = (hits.distance[met] + noise[met])[:, None]
    triangle = hits.triangle[met]
    brightness = world.colour[triangle].mean(axis=1)
    rows = [directions[met] * reach, brightness[:, None], world.instance[triangle][:, None]]
    return np.concatenate(rows, axis=1).astype(np.float32)
