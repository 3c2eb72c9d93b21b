"""Pose repair: hills and sway come back from lidar alone, boxes move along, good poses stay."""

import json
from dataclasses import replace

import numpy as np
import pytest

from gsrecon.data.folder import write_folder
from gsrecon.data.kitti import read_kitti_raw
from gsrecon.data.log import LidarSweep
from gsrecon.data.repair import PoseCorrections, apply_corrections, repair_poses
from gsrecon.data.repair_file import apply_repair, checksum_of_poses, write_repair
from gsrecon.data.repair_pictures import picture_agreement
from gsrecon.data.spec import SceneSpec, open_drive
from gsrecon.data.toy import ToyConfig, make_toy
from gsrecon.errors import DatasetError
from tests.data.hills import flattened, hilly_log, tilts, without_gauge

DEG = np.pi / 180


@pytest.fixture(scope="module")
def truth():
    return hilly_log()


@pytest.fixture(scope="module")
def repaired(truth):
    return repair_poses(flattened(truth))


def test_hills_and_sway_come_back_from_flat_poses(truth, repaired):
    spans = np.ptp(tilts(truth.world_from_ego), axis=0)
    assert (spans > [1.0, 1.5 * DEG, 8 * DEG]).all()  # there is something to find
    error = np.abs(without_gauge(repaired.log.world_from_ego, truth.world_from_ego)).max(axis=0)
    assert error[0] < 0.01
    assert error[1] < 0.06 * DEG
    assert error[2] < 0.06 * DEG


def test_position_and_heading_stay_as_recorded(truth, repaired):
    recorded, corrected = flattened(truth).world_from_ego, repaired.log.world_from_ego
    assert np.allclose(corrected[:, :2, 3], recorded[:, :2, 3], atol=1e-9)
    yaws = np.arctan2(corrected[:, 1, 0], corrected[:, 0, 0])
    # Turned about its own level axes, a heading changes by the product of two tilts.
    assert np.allclose(yaws, np.arctan2(recorded[:, 1, 0], recorded[:, 0, 0]), atol=0.1 * DEG)


def test_the_first_ego_pose_keeps_its_height(repaired):
    assert repaired.log.world_from_ego[0, 2, 3] == pytest.approx(0.0, abs=1e-9)


def test_a_parked_car_stands_still_and_on_its_wheels_again(truth, repaired):
    scattered = flattened(truth).tracks[0].world_from_actor
    gathered = repaired.log.tracks[0].world_from_actor
    assert np.ptp(scattered[:, 2, 3]) > 1.0
    assert np.ptp(gathered[:, 2, 3]) < 0.03
    assert (tilts(gathered)[:, 1:].std(axis=0) < 0.05 * DEG).all()


def test_cameras_lidar_and_boxes_keep_their_places_in_the_car(truth, repaired):
    before, after = flattened(truth), repaired.log

    def seen_from_ego(log):
        from_world = np.linalg.inv(log.world_from_ego)
        track = log.tracks[0]
        rows = np.searchsorted(log.ego_timestamps_us, track.timestamps_us)
        return (
            from_world @ np.stack([frame.world_from_cam for frame in log.frames]),
            from_world @ np.stack([sweep.world_from_lidar for sweep in log.sweeps]),
            from_world[rows] @ track.world_from_actor,
        )

    for one, other in zip(seen_from_ego(before), seen_from_ego(after), strict=True):
        assert np.allclose(one, other, atol=1e-9)


def test_lanes_follow_the_road(truth, repaired):
    lane = repaired.log.lanes[0].points_in_world
    assert np.allclose(lane, repaired.log.world_from_ego[:, :3, 3], atol=1e-6)


def test_sweeps_that_were_not_compared_agree_afterwards(repaired):
    report = repaired.report
    assert report.flat
    assert report.upright
    assert report.sweeps_with_ground == report.sweeps == 36
    assert report.before.median_m > 0.1
    assert report.after.median_m < 0.01


def test_true_poses_are_left_alone(truth):
    report = repair_poses(truth).report
    assert not report.flat
    assert not report.upright
    assert np.abs(report.corrections.values[:, 0]).max() < 0.01
    assert np.abs(report.corrections.values[:, 1:]).max() < 0.05 * DEG


@pytest.fixture(scope="module")
def street():
    config = ToyConfig(length_m=24.0, cameras=1, width=16, height=9, samples_per_pixel=1, lidar_azimuths=360)
    return make_toy(config, cache=None).log


def test_a_flat_street_with_traffic_stays_flat(street):
    result = repair_poses(street)
    assert np.abs(result.report.corrections.values[:, 0]).max() < 0.02
    assert np.abs(result.report.corrections.values[:, 1:]).max() < 0.3 * DEG
    error = np.abs(without_gauge(result.log.world_from_ego, street.world_from_ego)).max(axis=0)
    assert error[0] < 0.01
    assert (error[1:] < 0.06 * DEG).all()


def test_a_planted_sway_is_taken_out_again(street):
    times = street.ego_timestamps_us
    phase = np.arange(len(times))[:, None] * np.array([0.5, 0.8, 0.6])
    sway = np.sin(phase) * [0.3, 1.0 * DEG, 1.5 * DEG]
    sway[:, 0] -= sway[0, 0]
    swayed = apply_corrections(street, PoseCorrections(times, sway))
    # Its own, wrong heights would be trusted over long ways; a sway is short.
    result = repair_poses(swayed).log.world_from_ego
    assert np.abs(tilts(swayed.world_from_ego) - tilts(street.world_from_ego))[:, 2].max() > 1.0 * DEG
    error = np.abs(without_gauge(result, street.world_from_ego)).max(axis=0)
    assert error[0] < 0.05
    assert (error[1:] < 0.15 * DEG).all()


def test_a_sweep_without_ground_takes_its_neighbours_correction(truth):
    flat = flattened(truth)
    nothing = np.zeros((0, 3), np.float32)
    sweeps = tuple(replace(s, points=nothing) if i == 17 else s for i, s in enumerate(flat.sweeps))
    result = repair_poses(replace(flat, sweeps=sweeps))
    assert result.report.sweeps_with_ground == 35
    error = np.abs(without_gauge(result.log.world_from_ego, truth.world_from_ego))
    assert error[17, 0] < 0.1
    assert np.delete(error, 17, axis=0)[:, 0].max() < 0.02


def test_two_lidars_at_one_time_are_one_sighting(truth):
    flat = flattened(truth)
    halves = [
        LidarSweep(s.timestamp_us, s.world_from_lidar, flat.points(s)[half::2])
        for s in flat.sweeps
        for half in (0, 1)
    ]
    result = repair_poses(replace(flat, sweeps=tuple(halves)))
    assert result.report.sweeps == 36
    assert np.abs(without_gauge(result.log.world_from_ego, truth.world_from_ego))[:, 0].max() < 0.01


def test_a_drive_without_lidar_is_refused(truth):
    with pytest.raises(DatasetError, match="hills: the drive has no lidar sweeps"):
        repair_poses(replace(truth, sweeps=()))


def test_one_sweep_is_refused(truth):
    with pytest.raises(DatasetError, match="no two see the same"):
        repair_poses(replace(truth, sweeps=truth.sweeps[:1]))


def test_positive_roll_lifts_the_left_and_positive_pitch_lowers_the_front(truth):
    log = replace(truth, world_from_ego=np.tile(np.eye(4), (36, 1, 1)))
    motion = PoseCorrections(np.array([0]), np.array([[0.5, 0.1, 0.0]])).motions(log, np.array([7]))[0]
    assert np.allclose(motion @ [0, 1, 0, 1], [0, np.cos(0.1), 0.5 + np.sin(0.1), 1])
    motion = PoseCorrections(np.array([0]), np.array([[0.0, 0.0, 0.1]])).motions(log, np.array([7]))[0]
    assert np.allclose(motion @ [1, 0, 0, 1], [np.cos(0.1), 0, -np.sin(0.1), 1])


def test_the_file_gives_the_same_poses_when_the_drive_is_opened(truth, repaired, tmp_path):
    flat = flattened(truth)
    folder = write_folder(flat, tmp_path / "hills")
    write_repair(tmp_path / "repair.json", flat, repaired.report.corrections)
    spec = SceneSpec("hills", f"folder:{folder}", pose_repair=str(tmp_path / "repair.json"))
    log, _ = open_drive(spec)
    assert np.allclose(log.world_from_ego, repaired.log.world_from_ego, atol=2e-6)
    assert np.allclose(log.tracks[0].world_from_actor, repaired.log.tracks[0].world_from_actor, atol=2e-6)


def test_a_file_of_another_drive_is_refused(truth, repaired, tmp_path):
    flat = flattened(truth)
    file = tmp_path / "repair.json"
    write_repair(file, flat, repaired.report.corrections)
    with pytest.raises(DatasetError, match="was made for other ego poses"):
        apply_repair(truth, file)
    document = json.loads(file.read_text())
    file.write_text(json.dumps(document | {"z_m": document["z_m"][:-1]}))
    with pytest.raises(DatasetError, match="z_m: expected 36 finite numbers"):
        apply_repair(flat, file)
    with pytest.raises(DatasetError, match="the pose repair is missing"):
        apply_repair(flat, tmp_path / "none.json")


def test_the_checksum_does_not_hang_on_the_last_bit(truth):
    nudged = replace(truth, world_from_ego=truth.world_from_ego * (1 + 1e-15))
    assert checksum_of_poses(nudged) == checksum_of_poses(truth)
    moved = replace(truth, world_from_ego=truth.world_from_ego + np.eye(4)[3] * 1e-4)
    assert checksum_of_poses(moved) != checksum_of_poses(truth)


@pytest.fixture(scope="module")
def kitti(shared_data):
    return read_kitti_raw(shared_data / "kitti_raw/2011_09_26/2011_09_26_drive_0001_sync")


def flattened_between(log):
    """As `flattened`, for a log whose pictures and sweeps have times of their own."""
    poses = log.world_from_ego
    recorded = tilts(poses)
    yaws = np.arctan2(poses[:, 1, 0], poses[:, 0, 0])
    flat = replace(log, world_from_ego=poses.copy())
    for i, yaw in enumerate(yaws):
        flat.world_from_ego[i, :3, :3] = [
            [np.cos(yaw), -np.sin(yaw), 0],
            [np.sin(yaw), np.cos(yaw), 0],
            [0, 0, 1],
        ]
        flat.world_from_ego[i, 2, 3] = 0.0
    undo = PoseCorrections(log.ego_timestamps_us, -recorded)
    moved = apply_corrections(log, undo)
    return replace(flat, frames=moved.frames, sweeps=moved.sweeps)


def test_a_real_drive_comes_back_and_its_pictures_agree(kitti):
    flat = flattened_between(kitti)
    result = repair_poses(flat)
    assert result.report.after.median_m < 0.01
    assert result.report.before.median_m > 0.05
    error = np.sqrt((without_gauge(result.log.world_from_ego, kitti.world_from_ego) ** 2).mean(axis=0))
    assert error[0] < 0.05
    assert (error[1:] < 0.12 * DEG).all()
    found = picture_agreement(flat, result.log, pairs=5)["image_02"]
    assert found.before_px > 0.25
    assert found.after_px < 0.16


def test_real_poses_from_gps_are_left_nearly_alone(kitti):
    values = repair_poses(kitti).report.corrections.values
    assert np.abs(values[:, 0]).max() < 0.08
    assert np.abs(values[:, 1:]).max() < 0.25 * DEG
