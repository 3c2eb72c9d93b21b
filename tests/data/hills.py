"""A made-up hilly road with a car that sways on it, its lidar, and the same drive with flat ego poses."""

from dataclasses import replace

import numpy as np

from gsrecon.data.log import Camera, CameraFrame, DrivingLog, Lane, LidarSweep, Track

EGO_FROM_LIDAR = np.eye(4)
EGO_FROM_LIDAR[:3, 3] = 0.8, 0.0, 1.8
LOOKS_FORWARD = np.array([[0.0, 0, 1, 1.5], [-1, 0, 0, 0], [0, -1, 0, 1.4], [0, 0, 0, 1]])
WALLS = ((8.0, 12.0), (-13.0, -9.0))
"""y from and to of two rows of houses along the road [m]; they are 6 m high."""


def height(x, y):
    """The ground [m]: hills along the road, a cross slope that changes."""
    return 1.2 * np.sin(x / 14.0) + 0.02 * y * np.cos(x / 19.0) + 0.4 * np.sin(x / 31.0 + 1.0)


def pose(x, y, z, yaw, roll, pitch):
    """World from a body: roll, then pitch, then yaw."""
    cy, sy, cp, sp, cr, sr = *cs(yaw), *cs(pitch), *cs(roll)
    turn = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]]) @ np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
    motion = np.eye(4)
    motion[:3, :3] = turn @ np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
    motion[:3, 3] = x, y, z
    return motion


def cs(angle):
    return np.cos(angle), np.sin(angle)


def on_road(x, y, yaw, sway=0.0):
    """A body on the ground, its axes in the ground's slope, plus a sway [rad] in roll and pitch."""
    e = 0.5
    forward = height(x + e * np.cos(yaw), y + e * np.sin(yaw)) - height(
        x - e * np.cos(yaw), y - e * np.sin(yaw)
    )
    left = height(x - e * np.sin(yaw), y + e * np.cos(yaw)) - height(x + e * np.sin(yaw), y - e * np.cos(yaw))
    return pose(x, y, height(x, y), yaw, np.arctan(left) + sway, -np.arctan(forward) - 0.7 * sway)


def sweep(world_from_lidar, rng, beams=24, azimuths=240):
    """Points in the lidar frame on the ground and the walls: rays met by walking along them."""
    elevation, azimuth = np.meshgrid(
        np.deg2rad(np.linspace(-22, 3, beams)), np.linspace(0, 2 * np.pi, azimuths, endpoint=False)
    )
    rays = np.stack(
        [
            np.cos(elevation) * np.cos(azimuth),
            np.cos(elevation) * np.sin(azimuth),
            np.sin(elevation),
        ],
        axis=-1,
    ).reshape(-1, 3)
    directions = rays @ world_from_lidar[:3, :3].T
    origin = world_from_lidar[:3, 3]
    distance = np.full(len(rays), np.inf)
    previous = np.full(len(rays), 1.0)
    for reach in np.arange(2.0, 50.0, 0.5):
        place = origin + directions * reach
        below = place[:, 2] < ground_and_walls(place)
        fresh = below & ~np.isfinite(distance)
        distance[fresh] = _bisected(origin, directions[fresh], previous[fresh], reach)
        previous[:] = reach
    met = np.isfinite(distance)
    noisy = distance[met] + rng.normal(0, 0.02, met.sum())
    return (rays[met] * noisy[:, None]).astype(np.float32)


def ground_and_walls(place):
    surface = height(place[:, 0], place[:, 1])
    for low, high in WALLS:
        surface = surface + 6.0 * ((place[:, 1] > low) & (place[:, 1] < high))
    return surface


def _bisected(origin, directions, near, far):
    near, far = near.copy(), np.full(len(near), far)
    for _ in range(12):
        middle = 0.5 * (near + far)
        place = origin + directions * middle[:, None]
        below = place[:, 2] < ground_and_walls(place)
        near, far = np.where(below, near, middle), np.where(below, middle, far)
    return 0.5 * (near + far)


def hilly_log(frames=36, step_m=1.2) -> DrivingLog:
    """The true drive: a slight bend, hills of a metre, a car that sways by half a degree, a parked car."""
    rng = np.random.default_rng(3)
    times = 1_000_000 + 100_000 * np.arange(frames)
    x = step_m * np.arange(frames)
    y = 0.002 * x**2
    yaws = np.arctan(0.004 * x)
    sways = np.deg2rad(0.5) * np.sin(np.arange(frames) * 0.9)
    ego = np.stack([on_road(*row) for row in zip(x, y, yaws, sways, strict=True)])
    ego[:, 2, 3] -= ego[0, 2, 3]
    lift = np.eye(4)
    lift[2, 3] = height(0.0, 0.0)
    parked = np.linalg.inv(lift) @ on_road(30.0, 5.0, 0.05)
    parked = parked @ pose(0, 0, 0.8, 0, 0, 0)
    camera = Camera("front", np.array([[20.0, 0, 16], [0, 20, 9], [0, 0, 1]]), 32, 18, LOOKS_FORWARD)
    return DrivingLog(
        name="hills",
        source="folder",
        cameras={"front": camera},
        frames=tuple(
            CameraFrame("front", i, int(t), ego[i] @ LOOKS_FORWARD, np.zeros((18, 32, 3), np.uint8))
            for i, t in enumerate(times)
        ),
        sweeps=tuple(
            LidarSweep(int(t), ego[i] @ EGO_FROM_LIDAR, sweep(lift @ ego[i] @ EGO_FROM_LIDAR, rng))
            for i, t in enumerate(times)
        ),
        tracks=(
            Track(
                "parked",
                "car",
                np.array([4.4, 1.8, 1.6]),
                times[::4].astype(np.int64),
                np.repeat(parked[None], len(times[::4]), axis=0),
            ),
        ),
        lanes=(Lane("centre", "solid", np.stack([x, y, ego[:, 2, 3]], axis=1)),),
        ego_timestamps_us=times.astype(np.int64),
        world_from_ego=ego,
        source_from_world=np.eye(4),
        convention="Made by a test.",
    )


def flattened(log: DrivingLog) -> DrivingLog:
    """The same recording as if its ego poses had been written without z, roll and pitch."""
    flat = log.world_from_ego.copy()
    yaws = np.arctan2(flat[:, 1, 0], flat[:, 0, 0])
    for i, yaw in enumerate(yaws):
        flat[i] = pose(*flat[i, :2, 3], 0.0, yaw, 0.0, 0.0)
    motions = dict(zip(log.ego_timestamps_us.tolist(), flat @ np.linalg.inv(log.world_from_ego), strict=True))
    return replace(
        log,
        frames=tuple(
            replace(f, world_from_cam=motions[f.timestamp_us] @ f.world_from_cam) for f in log.frames
        ),
        sweeps=tuple(
            replace(s, world_from_lidar=motions[s.timestamp_us] @ s.world_from_lidar) for s in log.sweeps
        ),
        tracks=tuple(
            replace(
                t,
                world_from_actor=np.stack([motions[int(u)] for u in t.timestamps_us]) @ t.world_from_actor,
            )
            for t in log.tracks
        ),
        lanes=tuple(replace(lane, points_in_world=lane.points_in_world * [1, 1, 0]) for lane in log.lanes),
        world_from_ego=flat,
    )


def tilts(poses):
    """z [m], roll and pitch [rad] of poses."""
    roll = np.arctan2(poses[:, 2, 1], poses[:, 2, 2])
    return np.stack([poses[:, 2, 3], roll, -np.arcsin(poses[:, 2, 0])], axis=1)


def without_gauge(estimate, truth):
    """Errors of z [m], roll and pitch [rad] beside a tilt of the whole world, which no lidar sees."""
    error = tilts(estimate) - tilts(truth)
    yaws = np.arctan2(truth[:, 1, 0], truth[:, 0, 0])
    zero, one = np.zeros_like(yaws), np.ones_like(yaws)
    terms = np.stack(
        [
            np.stack([one, truth[:, 1, 3], -truth[:, 0, 3]], axis=1),
            np.stack([zero, np.cos(yaws), np.sin(yaws)], axis=1),
            np.stack([zero, -np.sin(yaws), np.cos(yaws)], axis=1),
        ],
        axis=1,
    )
    weight = np.array([1 / 0.03, 1 / 0.001, 1 / 0.001])
    flat = (terms * weight[:, None]).reshape(-1, 3)
    fitted = np.linalg.lstsq(flat, (error * weight).ravel(), rcond=None)[0]
    return error - terms @ fitted
