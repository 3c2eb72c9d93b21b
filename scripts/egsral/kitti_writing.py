"""Puts a drive of one camera and one lidar into KITTI raw's layout, for the toy drive: no tracklets."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from jaxtyping import Float64
from PIL import Image

from gsrecon.data.log import DrivingLog

_EARTH_RADIUS = 6378137.0  # [m], as KITTI's development kit has it
_FIRST_LATITUDE = 49.0  # [deg]


def write_kitti_raw(log: DrivingLog, drive: Path) -> None:
    """Writes `drive` (`.../2011_09_28/2011_09_28_drive_0002_sync`) and the calibration in its parent folder.

    The first camera becomes `image_02` and the reference of the rectified frame, ego the inertial unit. A
    picture's sweep is the one of the same number.
    """
    camera = next(iter(log.cameras.values()))
    frames = [frame for frame in log.frames if frame.camera == camera.name]
    times = [frame.timestamp_us for frame in frames]
    world_from_ego = np.stack([frame.world_from_cam @ np.linalg.inv(camera.ego_from_cam) for frame in frames])
    ego_from_velo = np.linalg.inv(log.world_from_ego[0]) @ log.sweeps[0].world_from_lidar
    for part in ("image_02", "oxts", "velodyne_points"):
        (drive / part / "data").mkdir(parents=True)
        clock = [sweep.timestamp_us for sweep in log.sweeps] if part == "velodyne_points" else times
        (drive / part / "timestamps.txt").write_text("".join(f"{_told(time)}\n" for time in clock))
    _write_calibration(drive.parent, log, ego_from_velo)
    for number, (frame, packet) in enumerate(zip(frames, _packets(world_from_ego), strict=True)):
        Image.fromarray(log.image(frame)).save(drive / "image_02" / "data" / f"{number:010d}.png")
        rest = " ".join(["0"] * 24)
        words = " ".join(f"{value:.15g}" for value in packet)
        (drive / "oxts" / "data" / f"{number:010d}.txt").write_text(f"{words} {rest}\n")
    for number, sweep in enumerate(log.sweeps):
        points = log.points(sweep)[:, :3].astype("<f4")
        rows = np.concatenate([points, np.zeros((len(points), 1), "<f4")], axis=1)
        rows.tofile(drive / "velodyne_points" / "data" / f"{number:010d}.bin")


def _write_calibration(day: Path, log: DrivingLog, ego_from_velo: Float64[np.ndarray, "4 4"]) -> None:
    camera = next(iter(log.cameras.values()))
    K = camera.K.copy()
    K[:2, 2] -= 0.5  # KITTI counts pixel centres at integers
    P = np.concatenate([K, np.zeros((3, 1))], axis=1)
    lines = {
        "S_rect_02": [camera.width, camera.height],
        "R_rect_00": np.eye(3).ravel(),
        "P_rect_02": P.ravel(),
    }
    (day / "calib_cam_to_cam.txt").write_text(_lines(lines))
    cam_from_velo = np.linalg.inv(camera.ego_from_cam) @ ego_from_velo
    for name, motion in (("velo_to_cam", cam_from_velo), ("imu_to_velo", np.linalg.inv(ego_from_velo))):
        (day / f"calib_{name}.txt").write_text(_lines({"R": motion[:3, :3].ravel(), "T": motion[:3, 3]}))


def _packets(world_from_ego: Float64[np.ndarray, "T 4 4"]) -> Float64[np.ndarray, "T 6"]:
    """Latitude, longitude [deg], altitude [m], roll, pitch, yaw [rad] of poses in a world x east, y north."""
    R, t = world_from_ego[:, :3, :3], world_from_ego[:, :3, 3] - world_from_ego[0, :3, 3]
    scale = np.cos(np.deg2rad(_FIRST_LATITUDE)) * _EARTH_RADIUS
    north = np.log(np.tan(np.deg2rad(90 + _FIRST_LATITUDE) / 2)) + t[:, 1] / scale
    latitude = 2 * np.rad2deg(np.arctan(np.exp(north))) - 90
    roll = np.arctan2(R[:, 2, 1], R[:, 2, 2])
    pitch = np.arcsin(np.clip(-R[:, 2, 0], -1, 1))
    yaw = np.arctan2(R[:, 1, 0], R[:, 0, 0])
    return np.stack([latitude, np.rad2deg(t[:, 0] / scale), t[:, 2], roll, pitch, yaw], axis=1)


def _told(timestamp_us: int) -> str:
    moment = datetime.fromtimestamp(timestamp_us // 1_000_000, UTC)
    return f"{moment:%Y-%m-%d %H:%M:%S}.{timestamp_us % 1_000_000:06d}000"


def _lines(values: dict) -> str:
    return "".join(f"{name}: {' '.join(f'{v:.15g}' for v in numbers)}\n" for name, numbers in values.items())
