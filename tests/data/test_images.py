"""Plain pictures end to end: poses, points, metres and frames of a street whose truth is known."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image

from gsrecon.data import images_sfm
from gsrecon.data.images import _require_connected, read_images
from gsrecon.data.images_found import Picture, Pictures
from gsrecon.data.images_sfm import FoundLens, Model, _child, _run
from gsrecon.data.spec import SceneSpec, TestSplit, open_drive
from gsrecon.errors import BackendUnavailableError, DatasetError
from gsrecon.evaluation.evaluate import evaluate
from gsrecon.geometry.sim3 import fit_motions, trajectory_error
from gsrecon.scene.bundle import load_scene
from gsrecon.train.config import TrainConfig
from gsrecon.train.loop import train
from gsrecon.train.sparse_start import found_points
from gsrecon.train.split import Split
from scripts.trajectory_error import compare
from tests.data import corridor

pytest.importorskip("pycolmap", reason="pycolmap is not installed; the sfm extra brings it")

FRAMES = 10
SETTINGS = f"""
fps = 8
pixel_centers = 0.5
[cameras.camera]
K = {corridor.K.tolist()}
[matching]
features = 800
overlap = 4
"""


@pytest.fixture(scope="module")
def street(tmp_path_factory):
    """Ten pictures of the street, and one of something else that cannot be connected."""
    root = tmp_path_factory.mktemp("images")
    corridor.save_drive(root / "street", FRAMES)
    noise = np.random.default_rng(0).integers(0, 256, (corridor.HEIGHT, corridor.WIDTH, 3), dtype=np.uint8)
    Image.fromarray(noise).save(root / "street" / "999.png")
    before = os.environ.get("XDG_CACHE_HOME")
    os.environ["XDG_CACHE_HOME"] = str(root / "cache")
    yield root / "street"
    if before is None:
        del os.environ["XDG_CACHE_HOME"]
    else:
        os.environ["XDG_CACHE_HOME"] = before


def read(street, scale):
    (street / "images.toml").write_text(SETTINGS + scale)
    return read_images(street)


@pytest.fixture(scope="module")
def log(street):
    return read(street, "[scale]\nlength_m = 5.4\n")


def test_poses_are_those_the_pictures_were_taken_from(log):
    true = torch.from_numpy(corridor.poses(FRAMES))
    found = torch.from_numpy(np.stack([frame.world_from_cam for frame in log.frames]))
    error, _ = trajectory_error(found[:, :3, 3], true[:, :3, 3])
    assert error < 0.005 * 5.4
    aligned = fit_motions(found, true)
    assert aligned.scale == pytest.approx(1.0, abs=0.01)
    # World is that of the first camera: x ahead, z up.
    torch.testing.assert_close(aligned.rotation, torch.eye(3, dtype=torch.float64), atol=0.03, rtol=0)


def test_the_log_is_a_drive_like_any_other(log):
    assert log.source == "images"
    assert [frame.index for frame in log.frames] == list(range(FRAMES))
    assert log.frames[3].timestamp_us == 375_000
    np.testing.assert_allclose(log.world_from_ego[0, :3, 3], 0, atol=1e-12)
    camera = log.cameras["camera"]
    np.testing.assert_allclose(camera.K, corridor.K)
    for frame, pose in zip(log.frames, log.world_from_ego, strict=True):
        np.testing.assert_allclose(frame.world_from_cam, pose @ camera.ego_from_cam, atol=1e-9)
    rotation = log.source_from_world[:3, :3]
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-9)
    assert log.image(log.frames[0]).shape == (corridor.HEIGHT, corridor.WIDTH, 3)


def test_a_picture_that_cannot_be_connected_is_named_and_left_out(street, caplog):
    with caplog.at_level(logging.WARNING):
        read(street, "[scale]\nlength_m = 5.4\n")
    assert "could not connect 1 of 11 pictures (camera/999.png)" in caplog.text


@pytest.mark.parametrize(
    ("scale", "length_m"),
    [
        ("[scale]\nlength_m = 54\n", 54.0),
        # Nine steps at 8 pictures a second.
        ("[scale]\nspeed_mps = 16\n", 18.0),
        ("[scale]\ncamera_height_m = 1.5\n", 5.4),
        ("", 5.4 * 1.6 / 1.5),
    ],
    ids=["length", "speed", "height", "assumed"],
)
def test_metres_come_from_what_is_known(street, scale, length_m, caplog):
    with caplog.at_level(logging.WARNING):
        log = read(street, scale)
    steps = np.diff(log.world_from_ego[:, :3, 3], axis=0)
    assert np.linalg.norm(steps, axis=1).sum() == pytest.approx(length_m, rel=0.03)
    assert ("the scale is a guess: a camera 1.6 m above the road is assumed" in caplog.text) == (not scale)


def test_points_lie_on_the_street(log):
    assert log.sparse_points is not None
    points = log.sparse_points.points_in_world
    away = np.min(np.abs([points[:, 2] + 1.5, points[:, 1] - 4, points[:, 1] + 5]), axis=0)
    assert len(points) > 100
    assert np.median(away) < 0.1


def test_points_that_only_held_out_pictures_saw_do_not_start_training(log):
    spec = SceneSpec(name="street", drive="images:street")
    split = Split.of(log, spec)
    fitted = {(frame.camera, frame.index) for frame in split.fitted}
    points, colors = found_points(split, 10_000)
    assert log.sparse_points is not None
    assert len(points) == (log.sparse_points.sightings(fitted) >= 2).sum()
    assert 0 <= colors.min() <= colors.max() <= 1
    assert len(found_points(split, 30)[0]) == 30
    nothing_fitted = Split(log, (), log.frames)
    assert len(found_points(nothing_fitted, 10_000)[0]) == 0


def test_the_result_is_found_again(street, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere")
    assert len(read(street, "[scale]\nlength_m = 5.4\n").frames) == FRAMES


def test_a_truncated_picture_is_named_before_colmap_passes_it_over(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    corridor.save_drive(tmp_path / "street", 3)
    broken = tmp_path / "street" / "001.png"
    broken.write_bytes(broken.read_bytes()[:5000])
    with pytest.raises(DatasetError, match=r"001\.png: the picture is truncated or damaged"):
        read_images(tmp_path / "street")


def test_colmap_is_given_turned_pictures_upright(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    (tmp_path / "phone").mkdir()
    for number in range(3):
        Image.new("RGB", (8, 12)).save(tmp_path / "phone" / f"{number}.jpg", exif=exif)
    given = []

    def look(folder, where, progress):
        for path in (folder / "pictures").rglob("*.jpg"):
            with Image.open(path) as picture:
                given.append(picture.size)
        raise DatasetError("seen enough")

    monkeypatch.setattr(images_sfm, "_run", look)
    with pytest.raises(DatasetError, match="seen enough"):
        read_images(tmp_path / "phone")
    assert given == [(12, 8)] * 3


def test_less_than_half_of_a_drive_is_no_drive():
    pictures = Pictures(
        tuple(Picture("a", i, Path(f"{i}.png"), i) for i in range(9)), {"a": (4, 4)}, False, ""
    )
    nothing = np.zeros((0, 3))
    model = Model(
        lenses={},
        names=tuple(f"a/{i:06d}.png" for i in range(4)),
        world_from_cam=np.tile(np.eye(4), (4, 1, 1)),
        points=nothing,
        colors=nothing.astype(np.uint8),
        seen_points=np.zeros(0, np.int32),
        seen_images=np.zeros(0, np.int32),
    )
    message = r"could not connect 5 of 9 pictures \(a/4\.png, a/5\.png, .*, a/8\.png\); give K"
    with pytest.raises(DatasetError, match=message):
        _require_connected(model, pictures, Path("drive"))


@pytest.mark.parametrize(
    ("script", "error", "message"),
    [
        (
            """echo '{"error": "pycolmap"}'; exit 1""",
            BackendUnavailableError,
            r"pip install 'gsrecon\[sfm\]'",
        ),
        (
            """echo '{"error": "unconnected"}'; exit 1""",
            DatasetError,
            "could not connect any of the pictures",
        ),
        (
            r"printf 'no room\n*** Aborted at 1 ***\nPC: @  0x7f3a\n  @ 0x7f3a (libc.so)\n' >&2; exit 134",
            DatasetError,
            r"COLMAP failed \(no room\); its messages are in",
        ),
        ("echo gone wrong >&2; exit 134", DatasetError, r"COLMAP failed \(gone wrong\); its messages are in"),
    ],
)
def test_a_child_that_fails_is_told_in_one_sentence(tmp_path, monkeypatch, script, error, message):
    fake = tmp_path / "python"
    fake.write_text(f"#!/bin/sh\n{script}\n")
    fake.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(fake))
    with pytest.raises(error, match=message):
        _run(tmp_path, Path("drive"), lambda stage, share: None)


def test_ctrl_c_ends_the_child(tmp_path):
    with pytest.raises(KeyboardInterrupt), _child(["sleep", "100"], tmp_path / "log") as process:
        raise KeyboardInterrupt
    assert process.poll() is not None


def test_the_child_ends_with_its_parent():
    code = "import gsrecon.data.colmap as colmap, time; colmap._end_with_parent(); time.sleep(100)"
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(timeout=60) == 1


def test_lenses_are_read_in_each_model_s_order():
    simple = FoundLens("SIMPLE_RADIAL", (500.0, 320.0, 180.0, -0.1))
    assert simple.K.tolist() == [[500, 0, 320], [0, 500, 180], [0, 0, 1]]
    assert simple.distortion == (-0.1, 0, 0, 0)
    assert FoundLens("SIMPLE_PINHOLE", (500.0, 320.0, 180.0)).distortion is None
    full = FoundLens("OPENCV_FISHEYE", (500.0, 510.0, 320.0, 180.0, 1.0, 2.0, 3.0, 4.0))
    assert full.K.tolist() == [[500, 0, 320], [0, 510, 180], [0, 0, 1]]
    assert full.distortion == (1, 2, 3, 4)
    assert FoundLens("PINHOLE", (500.0, 510.0, 320.0, 180.0)).distortion is None


@pytest.mark.slow
def test_the_real_sequence_is_placed_to_half_a_percent_and_trains_as_well(shared_data, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    sequence = shared_data / "kitti_odo_gray" / "KITTI_sequence_1"
    found = SceneSpec("found", f"images:{sequence / 'image_l'}", image_scale=0.4, test=TestSplit(8, 4))
    given = SceneSpec("given", f"kitti-odometry:{sequence}", image_scale=0.4, test=TestSplit(8, 4))
    errors = compare(open_drive(found)[0], open_drive(given)[0])
    assert errors["frames"] == 51
    assert errors["error_percent"] < 0.5

    def held_out_psnr(spec):
        log, _ = open_drive(spec)
        result = train(log, spec, TrainConfig(steps=1000, evaluations=0), tmp_path / spec.name)
        return evaluate(load_scene(result.scene_dir), log).psnr

    assert held_out_psnr(found) > held_out_psnr(given) - 0.7
