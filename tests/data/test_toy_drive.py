"""The toy drive as a recording: deterministic, of any size, cached, and no easier than it should be."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gsrecon.data.log import DrivingLog
from gsrecon.data.toy import ToyConfig, make_toy
from gsrecon.data.toy.noise import Noise
from gsrecon.data.toy.path import Street
from gsrecon.data.toy.picture import sample_offsets
from gsrecon.errors import BackendUnavailableError

TINY = ToyConfig(
    length_m=2.0, cameras=1, width=48, height=27, parked_cars=3, moving_cars=1, pedestrians=1, trees=False
)


@pytest.fixture(scope="module")
def tiny() -> DrivingLog:
    return make_toy(TINY, cache=None, threads=1).log


def same_recording(a: DrivingLog, b: DrivingLog) -> bool:
    pictures = all(
        np.array_equal(a.image(f), b.image(g)) and np.array_equal(a.ids(f, "instance"), b.ids(g, "instance"))
        for f, g in zip(a.frames, b.frames, strict=True)
    )
    points = all(np.array_equal(a.points(s), b.points(t)) for s, t in zip(a.sweeps, b.sweeps, strict=True))
    return pictures and points


def test_equal_configs_give_equal_bits_and_another_seed_another_street(tiny: DrivingLog) -> None:
    assert same_recording(tiny, make_toy(TINY, cache=None, threads=3).log)
    other = make_toy(replace(TINY, seed=1), cache=None).log
    assert not same_recording(tiny, other)


def test_a_cached_drive_is_the_same_drive(tmp_path: Path, tiny: DrivingLog) -> None:
    first = make_toy(TINY, cache=tmp_path).log
    folders = list(tmp_path.iterdir())
    assert len(folders) == 1
    assert folders[0].name.startswith("toy-")
    stamps = {p: p.stat().st_mtime_ns for p in folders[0].rglob("*.png")}
    again = make_toy(TINY, cache=tmp_path).log
    assert {p: p.stat().st_mtime_ns for p in folders[0].rglob("*.png")} == stamps
    assert same_recording(tiny, first)
    assert same_recording(first, again)
    frame = again.frames[0]
    for name in ("moving", "sky"):
        np.testing.assert_array_equal(again.mask(frame, name), tiny.mask(tiny.frames[0], name))


def test_a_rendering_that_fails_leaves_nothing_in_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drive = make_toy(TINY, cache=tmp_path)

    def fail(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("gsrecon.data.toy.drive.sweep_points", fail)
    with pytest.raises(OSError, match="no space"):
        _ = drive.log
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "config",
    [
        ToyConfig(
            length_m=0.0,
            cameras=1,
            width=1,
            height=1,
            parked_cars=0,
            moving_cars=0,
            pedestrians=0,
            lidar_beams=0,
        ),
        ToyConfig(
            length_m=3.0, step_m=1.5, cameras=6, width=33, height=17, samples_per_pixel=1, shadows=False
        ),
        ToyConfig(
            length_m=1.0, cameras=2, width=20, height=40, parked_cars=60, moving_cars=9, pedestrians=30
        ),
    ],
    ids=["nothing on the street", "six small cameras", "a crowd"],
)
def test_any_size_length_and_number_of_actors_works(config: ToyConfig) -> None:
    log = make_toy(config, cache=None).log
    assert len(log.frames) == config.frames * config.cameras
    assert len(log.cameras) == config.cameras
    assert log.image(log.frames[-1]).shape == (config.height, config.width, 3)
    assert len(log.sweeps) == (config.frames if config.lidar_beams else 0)
    categories = [t.category for t in log.tracks]
    assert categories.count("pedestrian") <= config.pedestrians
    assert (len(log.tracks) == 0) == (config.parked_cars + config.moving_cars + config.pedestrians == 0)


def test_settings_out_of_range_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="cameras: expected 1 to 6, got 7"):
        ToyConfig(cameras=7)
    with pytest.raises(ValueError, match="step_m"):
        ToyConfig(step_m=0.0)
    drive = make_toy(TINY, cache=None)
    with pytest.raises(ValueError, match="camera: expected one of"):
        drive.truth_at("back", np.eye(4), 0)


def test_the_default_drive_is_not_explained_by_the_mean_of_neighbouring_frames() -> None:
    # The default street and its pictures, a few moments of it.
    drive = make_toy(ToyConfig(), cache=None)
    assert (drive.config.frames, drive.config.cameras) == (121, 3)
    errors = []
    for camera, index in (("front", 20), ("front_left", 60), ("front_right", 100), ("front", 85)):
        frames = [drive.bare_frame(camera, i) for i in (index - 1, index, index + 1)]
        before, here, after = (drive.truth(f).image.astype(np.float64) for f in frames)
        errors.append(np.mean((0.5 * (before + after) - here) ** 2))
    psnr = 10 * np.log10(255**2 / np.array(errors))
    assert (psnr < 22).all(), psnr
    assert (psnr > 10).all(), psnr


def test_the_log_starts_at_its_origin_and_follows_the_path(tiny: DrivingLog) -> None:
    log = tiny
    np.testing.assert_allclose(log.world_from_ego[0][:3, 3], 0, atol=1e-9)
    assert log.source == "toy"
    assert log.start_us == log.ego_timestamps_us[0]
    steps = np.linalg.norm(np.diff(log.world_from_ego[:, :3, 3], axis=0), axis=1)
    np.testing.assert_allclose(steps, 1.0, atol=0.05)
    front = log.frames[0]
    np.testing.assert_allclose(
        front.world_from_cam, log.world_from_ego[0] @ log.cameras["front"].ego_from_cam, atol=1e-9
    )


def test_lanes_lie_on_the_road_beside_the_path(tiny: DrivingLog) -> None:
    log = tiny
    lanes = {lane.id: lane for lane in log.lanes}
    assert {lane.kind for lane in log.lanes} == {"dashed", "solid"}
    ego_from_world = np.linalg.inv(log.world_from_ego[0])
    for name, side in (("centre", 1), ("left", 1), ("right", -1)):
        points = lanes[name].points_in_world @ ego_from_world[:3, :3].T + ego_from_world[:3, 3]
        beside = points[np.argmin(np.abs(points[:, 0]))]
        assert side * beside[1] > 0.5
        assert abs(beside[2]) < 1e-9


def test_the_street_curves_and_the_ego_car_sways() -> None:
    street = Street(ToyConfig())
    poses = np.stack([street.world_from_ego(t) for t in np.linspace(0, 15, 60)])
    headings = np.arctan2(poses[:, 1, 0], poses[:, 0, 0])
    assert np.degrees(np.ptp(headings)) > 3
    np.testing.assert_allclose(np.linalg.det(poses[:, :3, :3]), 1, atol=1e-12)


def test_samples_spread_evenly_and_have_no_shift_on_average() -> None:
    for count in (1, 2, 4, 9):
        offsets = sample_offsets(count)
        np.testing.assert_allclose(offsets.mean(axis=0), 0.5, atol=1e-12)
        assert ((offsets > 0) & (offsets < 1)).all()
        assert len(np.unique(offsets[:, 0])) == len(np.unique(offsets[:, 1])) == count


def test_noise_repeats_without_a_seam() -> None:
    layer = Noise(64, np.random.default_rng(0)).layer(8)
    inner = np.abs(np.diff(layer, axis=1)).max()
    assert np.abs(layer[:, 0] - layer[:, -1]).max() <= inner * 1.5


def test_a_missing_embree_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "embreex.rtcore_scene", None)
    monkeypatch.setitem(sys.modules, "embreex.mesh_construction", None)
    with pytest.raises(BackendUnavailableError, match=r"gsrecon\[toy\]"):
        _ = make_toy(TINY, cache=None).log
