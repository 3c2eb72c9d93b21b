"""Two cameras side by side, as COLMAP would have found them: frames, mounting, and metres from the rig."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gsrecon.data.images import _log_of
from gsrecon.data.images_found import Picture, Pictures
from gsrecon.data.images_settings import Baseline, ImagesSettings, Lidar
from gsrecon.data.images_sfm import FoundLens, Model
from gsrecon.errors import DatasetError

AHEAD = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
UNIT_M = 4.0
"""Metres in the model's unit."""
BASELINE_M = 0.5
LENS = FoundLens("SIMPLE_RADIAL", (100.0, 50.0, 40.0, 0.01))


@pytest.fixture
def pictures(tmp_path):
    return Pictures(
        tuple(
            Picture(camera, i, tmp_path / camera / f"{i}.png", 100_000 * i)
            for camera in ("front left", "right")
            for i in range(6)
        ),
        {"front left": (100, 80), "right": (100, 80)},
        True,
        "made up",
    )


@pytest.fixture
def model(pictures):
    """1 m a frame along x, the right camera 0.5 m to the right and turned to the right by 0.2 rad."""
    c, s = np.cos(-0.2), np.sin(-0.2)
    poses = np.tile(np.eye(4), (12, 1, 1))
    for i, picture in enumerate(pictures.all):
        right = picture.camera == "right"
        turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) if right else np.eye(3)
        poses[i, :3, :3] = turn @ AHEAD
        poses[i, :3, 3] = np.array([picture.index, -BASELINE_M if right else 0, 0]) / UNIT_M
    y, z = np.mgrid[-3:3:31j, -1:1:11j]
    wall = np.stack([np.full(y.size, 20.0), y.ravel(), z.ravel()], axis=1) / UNIT_M
    seen = np.arange(len(wall), dtype=np.int32)
    return Model(
        lenses={"front left": LENS, "right": LENS},
        names=tuple(picture.name for picture in pictures.all),
        world_from_cam=poses,
        points=wall,
        colors=np.zeros((len(wall), 3), np.uint8),
        seen_points=np.tile(seen, 12),
        seen_images=np.repeat(np.arange(12, dtype=np.int32), len(wall)),
    )


def test_the_baseline_gives_metres_and_the_rig_its_mounting(pictures, model):
    settings = ImagesSettings(scale=Baseline(BASELINE_M, ("front left", "right")))
    log = _log_of(pictures, model, settings, Path("drive"))
    np.testing.assert_allclose(
        log.world_from_ego[:, :3, 3], np.eye(3)[:1] * np.arange(6.0)[:, None], atol=1e-9
    )
    right = log.cameras["right"].ego_from_cam
    np.testing.assert_allclose(right[:3, 3], [0, -0.5, 0], atol=1e-9)
    # It looks ahead and to the right.
    np.testing.assert_allclose(right[:3, 2], [np.cos(0.2), -np.sin(0.2), 0], atol=1e-9)
    assert "front left and right are 0.5 m apart" in log.convention
    assert "ego sits in the camera front left" in log.convention
    assert {frame.index for frame in log.frames if frame.timestamp_us == 300_000} == {3}


def test_a_distorted_lens_is_undistorted_on_reading(pictures, model):
    log = _log_of(
        pictures, model, ImagesSettings(scale=Baseline(0.5, ("front left", "right"))), Path("drive")
    )
    lens = log.cameras["right"].recorded_lens
    assert lens is not None
    assert lens.coefficients == (0.01, 0, 0, 0, 0)
    assert log.cameras["right"].model == "pinhole"
    assert log.cameras["right"].distortion is None


def test_lidar_gives_metres_and_stays_in_the_log(pictures, model, tmp_path):
    y, z = np.mgrid[-3:3:61j, -1:1:21j]
    cam_from_lidar = np.eye(4)
    cam_from_lidar[:3, :3] = AHEAD.T
    (tmp_path / "lidar").mkdir()
    for i in range(6):
        wall = np.stack([np.full(y.size, 20.0 - i), y.ravel(), z.ravel()], axis=1)
        np.save(tmp_path / "lidar" / f"{i}.npy", wall.astype(np.float32))
    settings = ImagesSettings(lidar=Lidar(tmp_path / "lidar", "front left", cam_from_lidar))
    log = _log_of(pictures, model, settings, Path("drive"))
    assert log.world_from_ego[-1, 0, 3] == pytest.approx(5.0, rel=1e-3)
    assert len(log.sweeps) == 6
    np.testing.assert_allclose(log.sweeps[2].world_from_lidar[:3, :3], np.eye(3), atol=1e-9)
    assert log.sweeps[2].world_from_lidar[0, 3] == pytest.approx(2.0, rel=1e-3)
    frame = next(frame for frame in log.frames if frame.camera == "front left" and frame.index == 2)
    _, depths = log.depth_points(frame)
    np.testing.assert_allclose(depths, 18.0, rtol=1e-3)


def test_sweeps_of_other_names_are_refused(pictures, model, tmp_path):
    (tmp_path / "lidar").mkdir()
    np.save(tmp_path / "lidar" / "first.npy", np.zeros((3, 3), np.float32))
    settings = ImagesSettings(lidar=Lidar(tmp_path / "lidar", "right", np.eye(4)))
    with pytest.raises(DatasetError, match="no sweep .* has the name of a picture of right"):
        _log_of(pictures, model, settings, Path("drive"))


def test_cameras_that_fire_apart_have_no_baseline(pictures, model):
    settings = ImagesSettings(scale=Baseline(0.5, ("front left", "right")))
    with pytest.raises(DatasetError, match="no pictures of front left and right were taken together"):
        _log_of(replace(pictures, together=False), model, settings, Path("drive"))


def test_names_for_colmap_hold_no_space(pictures):
    assert pictures.all[0].name == "front%20left/000000.png"
