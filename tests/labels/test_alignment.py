"""Annotated poses laid onto poses that were found from pictures."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from gsrecon.data.log import Lane
from gsrecon.errors import DatasetError
from gsrecon.geometry.rigid import se3_exp
from gsrecon.geometry.sim3 import Sim3
from gsrecon.labels.adaptor import AlignedPoses, RefinedPoses, box_in_scene
from gsrecon.labels.alignment import Alignment, pose_errors
from gsrecon.labels.frame_pairs import align, pair_frames
from gsrecon.scene.camera_refinement import CameraRefinement
from tests.labels.street import START_US, STEP_US, street_log

ROOT = Path(__file__).parents[2]
TURN = se3_exp(torch.tensor([0.0, 0, 0, 0.3, -0.5, 1.1], dtype=torch.float64))[:3, :3]
SIMILARITY = Sim3(1.7, TURN, torch.tensor([10.0, -4, 2], dtype=torch.float64))


def bend(frames: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Times and poses of a camera that drives through a bend."""
    times = START_US + STEP_US * np.arange(frames)
    poses = np.tile(np.eye(4), (frames, 1, 1))
    for k in range(frames):
        a = 0.02 * k
        forward = np.array([np.cos(a), np.sin(a), 0])
        poses[k, :3, :3] = np.stack([[np.sin(a), -np.cos(a), 0], [0, 0, -1], forward], axis=1)
        poses[k, :3, 3] = [30 * np.sin(a), 30 * (1 - np.cos(a)), 1.5]
    return times.astype(np.int64), poses


def mapped(poses: np.ndarray) -> np.ndarray:
    return SIMILARITY.motions(torch.from_numpy(poses)).numpy()


def test_a_plain_similarity_is_found_exactly():
    times, poses = bend()
    found = Alignment.fit(times, poses, mapped(poses))
    assert found.similarity.scale == pytest.approx(1.7, rel=1e-9)
    assert found.residuals_m.max() < 1e-6
    assert found.residuals_deg.max() < 1e-5


def test_smooth_drift_is_followed_between_the_frames_it_was_fitted_to():
    times, poses = bend()
    share = np.linspace(0, 1, len(poses))[:, None]
    drift = np.concatenate(
        [0.2 * np.sin(4 * share + [0, 1, 2]), 0.01 * np.sin(3 * share + [2, 0, 1])], axis=1
    )
    bent = mapped(poses @ se3_exp(torch.from_numpy(drift)).numpy())
    found = Alignment.fit(times[::2], poses[::2], bent[::2])
    metres, degrees = found.errors(times[1::2], poses[1::2], bent[1::2])
    assert np.median(metres) < 0.01
    assert np.median(degrees) < 0.05


def test_frames_that_are_far_off_lose_their_say_and_are_told():
    times, poses = bend()
    scene = mapped(poses)
    scene[17, :3, 3] += 5.0
    found = Alignment.fit(times, poses, scene)
    others = np.arange(len(times)) != 17
    assert found.residuals_m[others].max() < 0.02
    assert found.residuals_m[17] > 3
    adaptor = AlignedPoses(found, times)
    assert adaptor.pose(int(times[17]), poses[17]) is None
    assert adaptor.pose(int(times[30]), poses[30]) is not None


def test_boxes_and_lanes_follow_the_similarity():
    times, poses = bend()
    adaptor = AlignedPoses(Alignment.fit(times, poses, mapped(poses)), times + 777)
    track = street_log().tracks[3]
    when = START_US + 230_000
    box = box_in_scene(adaptor, track, when + 777)
    expected = mapped(track.world_from_actor_at(when)[None])[0]
    np.testing.assert_allclose(box, expected, atol=1e-6)
    line = np.array([[0.0, 3, 0], [10, 3, 0]])
    np.testing.assert_allclose(adaptor.points(line), SIMILARITY.points(torch.from_numpy(line)), atol=1e-6)
    assert adaptor.scale == pytest.approx(1.7)


def test_times_that_the_annotated_recording_does_not_have_give_no_labels():
    times, poses = bend()
    scene_times = 777 + (times - times[0]) // 2  # its clock runs at half the speed
    adaptor = AlignedPoses(Alignment.fit(times, poses, mapped(poses)), scene_times)
    step = STEP_US // 2
    assert adaptor.source_time_us(int(scene_times[-1]) + step // 5) == times[-1] + STEP_US // 5
    assert adaptor.source_time_us(777 - step) == times[0] - STEP_US
    for scene_time, usable in ((777, True), (777 - 3 * step, False), (scene_times[-1] + 3 * step, False)):
        source_time = adaptor.source_time_us(int(scene_time))
        assert adaptor.usable(source_time) == usable
        assert (adaptor.pose(source_time, np.eye(4)) is not None) == usable


def test_too_few_frames_or_a_standing_camera_are_refused():
    times, poses = bend()
    with pytest.raises(ValueError, match="at least 4 frames"):
        Alignment.fit(times[:3], poses[:3], poses[:3])
    with pytest.raises(ValueError, match="moves"):
        Alignment.fit(times, np.tile(poses[:1], (len(times), 1, 1)), poses)


def test_errors_of_small_turns_are_exact():
    turn = se3_exp(torch.tensor([[0.0, 0, 0, 0, 0, 1e-6]], dtype=torch.float64)).numpy()
    _, degrees = pose_errors(turn, np.eye(4)[None])
    assert degrees[0] == pytest.approx(np.degrees(1e-6), rel=1e-6)


def test_the_correction_of_an_ego_pose_moves_the_boxes_of_its_time():
    log = street_log()
    mountings = {name: torch.from_numpy(camera.ego_from_cam) for name, camera in log.cameras.items()}
    refinement = CameraRefinement(mountings, [0.1 * k for k in range(6)])
    refinement.rig_translations[2] = torch.tensor([0.0, 0.3, 0.0])
    adaptor = RefinedPoses(log, refinement)
    track = log.tracks[0]
    moved, still = (
        box_in_scene(adaptor, track, time)[:3, 3] - track.world_from_actor[0, :3, 3]
        for time in (START_US + 200_000, START_US + 400_000)
    )
    np.testing.assert_allclose(moved, [0, 0.3, 0], atol=1e-6)
    np.testing.assert_allclose(still, 0, atol=1e-6)
    line = np.array([[1.0, 2, 0]])
    np.testing.assert_array_equal(adaptor.points(line), line)


def with_files(log, folder: Path):
    """The log with pictures in files that need not be there; both cameras count theirs alike."""
    return replace(
        log, frames=tuple(replace(f, image=folder / f.camera / f"{f.index:03d}.png") for f in log.frames)
    )


def test_frames_are_paired_by_file_name_and_folder(tmp_path):
    annotated = with_files(street_log(), tmp_path)
    alone = annotated.select(cameras=["front_left"])
    renamed = replace(
        alone,
        cameras={"camera": replace(alone.cameras["front_left"], name="camera")},
        frames=tuple(replace(f, camera="camera", timestamp_us=f.timestamp_us + 5) for f in alone.frames[1:]),
    )
    pairs = pair_frames(renamed, annotated)
    assert [(a.index, b.camera, b.index) for a, b in pairs] == [(k, "front_left", k) for k in range(1, 6)]
    elsewhere = replace(
        renamed,
        frames=tuple(replace(f, image=Path("pictures") / f"{f.index:03d}.png") for f in renamed.frames),
    )
    with pytest.raises(DatasetError, match=r"is a picture of front, front_left; name a scene spec"):
        pair_frames(elsewhere, annotated)


def test_frames_without_names_are_paired_in_order(tmp_path):
    log = street_log()
    assert [(a.camera, b.camera) for a, b in pair_frames(log, log)] == [("front", "front")] * 6
    alignment, times, poses = align(log, log)
    assert alignment.similarity.scale == pytest.approx(1.0)
    assert len(times) == len(poses) == 6
    with pytest.raises(DatasetError, match="only 0 of its pictures"):
        pair_frames(log, log.select(cameras=["front"], stop=3))


def test_the_map_holds_for_lanes_of_a_log():
    lane = Lane("a", "solid", np.array([[0.0, 0, 0], [1, 0, 0]]))
    times, poses = bend()
    adaptor = AlignedPoses(Alignment.fit(times, poses, mapped(poses)), times)
    length = np.linalg.norm(np.diff(adaptor.points(lane.points_in_world), axis=0))
    assert length == pytest.approx(1.7, rel=1e-6)


def test_labels_stay_within_centimetres_on_a_real_drive(shared_data: Path):
    drive = shared_data / "kitti_raw" / "2011_09_26" / "2011_09_26_drive_0001_sync"
    if not drive.is_dir():
        pytest.skip(f"kitti_raw is not in {shared_data}")
    words = [sys.executable, "scripts/adaptor_errors.py", f"kitti:{drive}", "--json"]
    result = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    for metres, degrees, umeyama_m, umeyama_deg in json.loads(result.stdout).values():
        assert metres <= 0.05 < umeyama_m
        assert degrees <= 0.1 < umeyama_deg


def test_an_object_that_was_annotated_once_is_there_at_that_time_only():
    log = street_log()
    track = log.tracks[0]
    once = replace(
        track, timestamps_us=track.timestamps_us[2:3], world_from_actor=track.world_from_actor[2:3]
    )
    adaptor = RefinedPoses(log, None)
    assert box_in_scene(adaptor, once, int(once.timestamps_us[0])) is not None
    assert box_in_scene(adaptor, once, int(once.timestamps_us[0]) + 200_000) is None
    # A parked one stays beyond its annotations.
    assert box_in_scene(adaptor, track, int(track.timestamps_us[-1]) + 10_000_000) is not None
