"""Recordings written by the tests themselves, small and known by heart."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gsrecon.data.log import Camera, CameraFrame, DrivingLog, Lane, LidarSweep, Track

LOOKS_FORWARD = np.array([[0.0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]])


def shifted(x: float, y: float = 0.0, z: float = 0.0) -> np.ndarray:
    """A translation."""
    pose = np.eye(4)
    pose[:3, 3] = x, y, z
    return pose


@pytest.fixture
def pictures() -> list[np.ndarray]:
    """Six pictures of noise, 12 x 8."""
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (8, 12, 3), dtype=np.uint8) for _ in range(6)]


@pytest.fixture
def log(pictures) -> DrivingLog:
    """A drive of 3 frames, two cameras, 1 m and 0.1 s a frame, all of it in memory."""
    K = np.array([[10.0, 0, 6], [0, 10, 4], [0, 0, 1]])
    cameras = {
        "left": Camera("left", K, 12, 8, shifted(0, 0.25, 1) @ LOOKS_FORWARD),
        "right": Camera(
            "right", K, 12, 8, shifted(0, -0.25, 1) @ LOOKS_FORWARD, "fisheye", (0.1, 0.0, 0.0, 0.01)
        ),
    }
    mask = np.zeros((8, 12), np.uint8)
    mask[6:] = 1
    frames = [
        CameraFrame(
            camera=name,
            index=i,
            timestamp_us=1_000_000 + 100_000 * i + 7 * c,
            world_from_cam=shifted(float(i)) @ cameras[name].ego_from_cam,
            image=pictures[2 * i + c],
            masks={"ego": mask} if name == "left" else {},
        )
        for i in range(3)
        for c, name in enumerate(cameras)
    ]
    points = np.array([[10.0, 0, 0, 5], [20, 1, 1, 5], [-5, 0, 0, 5]], np.float32)
    times = np.array([1_000_000, 1_100_000, 1_200_000])
    return DrivingLog(
        name="noise",
        source="folder",
        cameras=cameras,
        frames=tuple(frames),
        sweeps=tuple(LidarSweep(int(t), shifted(float(i), 0, 1), points) for i, t in enumerate(times)),
        tracks=(
            Track(
                "car",
                "car",
                np.array([4.0, 2, 1.5]),
                times[:2],
                np.stack([shifted(8, 3, 0.75), shifted(9, 3, 0.75)]),
            ),
        ),
        lanes=(Lane("centre", "dashed", np.array([[0.0, 1, 0], [30, 1, 0]])),),
        ego_timestamps_us=times,
        world_from_ego=np.stack([shifted(float(i)) for i in range(3)]),
        source_from_world=shifted(1e6, 2e6, 100),
        convention="Made by a test.",
    )


def save_png(path: Path, pixels: np.ndarray) -> Path:
    """Writes a picture and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def kitti_drive(tmp_path) -> Path:
    """A KITTI raw drive of 3 frames, made up: cameras 0.54 m apart, ego driving east at 10 m/s."""
    day = tmp_path / "2011_09_26"
    drive = day / "2011_09_26_drive_0099_sync"
    rng = np.random.default_rng(1)
    stamps = "".join(f"2011-09-26 13:02:2{5 + (9 + i) // 10}.{(9 + i) % 10}00000000\n" for i in range(3))
    for camera in ("image_02", "image_03"):
        for i in range(3):
            save_png(
                drive / camera / "data" / f"{i:010d}.png", rng.integers(0, 256, (8, 12, 3), dtype=np.uint8)
            )
        (drive / camera / "timestamps.txt").write_text(stamps)
    for folder in ("oxts", "velodyne_points"):
        (drive / folder / "data").mkdir(parents=True)
        (drive / folder / "timestamps.txt").write_text(stamps)
    metre_deg = np.rad2deg(1 / 6378137.0) / np.cos(np.deg2rad(49.0))
    for i in range(3):
        packet = [49.0, 8.4 + i * metre_deg, 110.0, 0.0, 0.0, 0.0, *[0.0] * 24]
        (drive / "oxts" / "data" / f"{i:010d}.txt").write_text(" ".join(f"{value:.14f}" for value in packet))
        points = np.array([[10.0, 0, 0, 0.5], [20, -1, 0, 0.5]], np.float32)
        points.tofile(drive / "velodyne_points" / "data" / f"{i:010d}.bin")
    p = "100 0 5.5 {} 0 100 3.5 0 0 0 1 0"
    (day / "calib_cam_to_cam.txt").write_text(
        "calib_time: 09-Jan-2012 13:57:47\nR_rect_00: 1 0 0 0 1 0 0 0 1\n"
        "S_rect_02: 12 8\nS_rect_03: 12 8\n"
        f"P_rect_02: {p.format(6)}\nP_rect_03: {p.format(-48)}\n"
    )
    (day / "calib_velo_to_cam.txt").write_text("R: 0 -1 0 0 0 -1 1 0 0\nT: 0 -0.08 -0.27\n")
    (day / "calib_imu_to_velo.txt").write_text("R: 1 0 0 0 1 0 0 0 1\nT: -0.81 0.32 -0.8\n")
    return drive
