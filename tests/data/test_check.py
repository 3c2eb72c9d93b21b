"""The preflight: quiet on good recordings, and each planted fault is found and named."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from gsrecon.data.check import check
from gsrecon.data.check_motion import motion_findings
from gsrecon.data.kitti import read_kitti_odometry, read_kitti_raw
from gsrecon.data.log import LidarSweep
from gsrecon.data.matching import corners, follow
from gsrecon.data.nuscenes import read_nuscenes
from gsrecon.geometry.rigid import se3_exp


def complaints(findings):
    return [finding for finding in findings if finding.severity != "note"]


@pytest.fixture(scope="module")
def kitti(shared_data):
    return read_kitti_raw(shared_data / "kitti_raw/2011_09_26/2011_09_26_drive_0001_sync")


def turned(log, cameras, degrees):
    tangent = torch.tensor([0.0, 0, 0, *np.deg2rad(degrees)], dtype=torch.float64)
    turn = se3_exp(tangent).numpy()
    frames = tuple(
        replace(frame, world_from_cam=frame.world_from_cam @ turn) if frame.camera in cameras else frame
        for frame in log.frames
    )
    return replace(log, frames=frames)


def zoomed(log, factor):
    zoom = np.diag([factor, factor, 1.0])
    return replace(log, cameras={name: replace(c, K=c.K @ zoom) for name, c in log.cameras.items()})


def test_true_calibration_is_left_in_peace_and_measured(kitti):
    seen = []
    findings = check(kitti, progress=lambda what, share: seen.append((what, share)))
    assert complaints(findings) == []
    assert any(
        "image_02 and image_03" in f.where and "median epipolar error 0.0" in f.message for f in findings
    )
    assert ("pictures", 1.0) in seen
    assert seen[-1] == ("calibration", 1.0)


def test_a_gray_sequence_without_lidar_is_left_in_peace(shared_data):
    log = read_kitti_odometry(shared_data / "kitti_odo_gray" / "KITTI_sequence_1")
    assert complaints(check(log)) == []


def test_a_drive_of_three_frames_is_measured_but_names_no_correction(shared_data):
    log = read_nuscenes(shared_data / "nuscenes_ddad").select(cameras=["CAM_FRONT", "CAM_BACK"])
    findings = check(log)
    assert complaints(findings) == []
    assert any(f.where == "CAM_BACK" and "median epipolar error 0." in f.message for f in findings)


@pytest.mark.parametrize(("factor", "words"), [(1.1, "shorter"), (0.9, "longer")])
def test_a_wrong_focal_length_is_named(kitti, factor, words):
    found = complaints(check(zoomed(kitti.select(cameras=["image_02"]), factor)))
    assert any("focal length" in f.message and words in f.message for f in found)


@pytest.mark.parametrize(
    ("degrees", "words"),
    [((1.0, 0.0, 0.0), "-1.0 deg about its x axis"), ((0.0, -1.0, 0.0), "+1.0 deg about its y axis")],
)
def test_a_turned_camera_is_named_even_when_it_is_the_only_one(kitti, degrees, words):
    found = complaints(check(turned(kitti.select(cameras=["image_02"]), ["image_02"], degrees)))
    assert any(words in f.message for f in found)


def test_a_rolled_camera_disagrees_with_its_neighbour(kitti):
    found = complaints(check(turned(kitti, ["image_03"], (0.0, 0.0, 1.0))))
    assert [f.where for f in found] == ["image_02 and image_03"]


def textured(log, seconds=5):
    """The noise drive, longer: rows of pictures shifted by whole pixels are not needed here."""
    frames, times = [], []
    rng = np.random.default_rng(0)
    for i in range(seconds * 10):
        pose = np.eye(4)
        pose[0, 3] = 0.1 * i
        image = rng.integers(0, 256, (8, 12, 3), dtype=np.uint8)
        camera = log.cameras["left"]
        frames.append(replace(log.frames[0], index=i, timestamp_us=100_000 * i, image=image, masks={}))
        frames[-1] = replace(frames[-1], world_from_cam=pose @ camera.ego_from_cam)
        times.append(100_000 * i)
    return replace(log, cameras={"left": log.cameras["left"]}, frames=tuple(frames))


def driven(log):
    """The same with ego poses of the pictures' times."""
    good = textured(log)
    times = np.array([frame.timestamp_us for frame in good.frames])
    poses = np.stack(
        [f.world_from_cam @ np.linalg.inv(good.cameras["left"].ego_from_cam) for f in good.frames]
    )
    return replace(good, ego_timestamps_us=times, world_from_ego=poses)


def test_broken_files_are_errors_with_name_and_remedy(log, tmp_path):
    good = textured(log)
    path = tmp_path / "000007.png"
    Image.fromarray(good.frames[7].image).save(path)
    path.write_bytes(path.read_bytes()[:100])
    points = np.ones((9, 3), np.float32)
    points[2] = np.nan
    np.save(tmp_path / "lidar.npy", points)
    frames = (*good.frames[:7], replace(good.frames[7], image=path), *good.frames[8:])
    findings = check(replace(good, frames=frames, sweeps=(LidarSweep(0, np.eye(4), tmp_path / "lidar.npy"),)))
    errors = [finding for finding in findings if finding.severity == "error"]
    assert [finding.where for finding in errors] == ["left frame 7", "lidar at -1.00 s"]
    assert "000007.png: the picture is truncated" in errors[0].message
    assert "copy it again" in errors[0].remedy
    assert "lidar.npy: 1 of 9 lidar points are NaN" in errors[1].message


def test_gaps_jumps_and_broken_poses_are_placed(log):
    good = textured(log)
    gap = replace(good, frames=good.frames[:20] + good.frames[24:])
    assert any("frames 19 to 24" in f.where and "gap of 0.50 s" in f.message for f in check(gap))

    jumped = good.frames[30].world_from_cam.copy()
    jumped[:3, 3] += [0.0, 3.0, 0.0]
    frames = (*good.frames[:30], replace(good.frames[30], world_from_cam=jumped), *good.frames[31:])
    found = [f for f in check(replace(good, frames=frames)) if "jumps" in f.message]
    assert [f.where for f in found] == ["left frame 30"]
    assert "3.00 m" in found[0].message

    mirrored = good.frames[5].world_from_cam @ np.diag([-1.0, 1, 1, 1])
    frames = (*good.frames[:5], replace(good.frames[5], world_from_cam=mirrored), *good.frames[6:])
    found = check(replace(good, frames=frames))
    assert found[0].severity == "error"
    assert "first: frame 5" in found[0].message


def test_cameras_far_from_their_car_are_named(log):
    good = driven(log)
    assert motion_findings(replace(good, sweeps=())) == []
    in_utm = tuple(
        replace(frame, world_from_cam=frame.world_from_cam + np.eye(4, k=3) * 4.5e5) for frame in good.frames
    )
    (found,) = motion_findings(replace(good, frames=in_utm, sweeps=()))
    assert (found.severity, found.where) == ("error", "left")
    assert "its poses lie 450,000 m" in found.message


def test_clocks_that_never_meet_are_named(log):
    good = driven(log)
    later = tuple(replace(frame, timestamp_us=frame.timestamp_us + 10**12) for frame in good.frames)
    (found,) = motion_findings(replace(good, frames=later, sweeps=()))
    assert "no picture was taken while there are ego poses: pictures are from 1000000.00" in found.message

    one = LidarSweep(int(good.frames[7].timestamp_us) - 59_000, np.eye(4), np.ones((9, 3)))
    assert motion_findings(replace(good, sweeps=(one,))) == []
    in_nanoseconds = tuple(LidarSweep(10**12 + 100 * i, np.eye(4), np.ones((9, 3))) for i in range(3))
    (found,) = motion_findings(replace(good, sweeps=in_nanoseconds))
    assert (found.severity, found.where) == ("warning", "lidar")
    assert "no sweep was taken within 60 ms of a picture" in found.message


def test_neighbours_that_see_nothing_in_common_are_reported(log):
    good = textured(log)
    frames = tuple(
        replace(frame, world_from_cam=frame.world_from_cam + np.eye(4, k=3) * 15.0 * frame.index)
        for frame in good.frames
    )
    assert any("share little" in f.message for f in check(replace(good, frames=frames)))


def test_corners_are_followed_to_a_tenth_of_a_pixel():
    rng = np.random.default_rng(3)
    y, x = np.mgrid[0:140, 0:200]
    waves = [(rng.uniform(0.05, 0.6, 2), rng.uniform(0, 6.28)) for _ in range(30)]

    def scene(shift_x, shift_y):
        value = sum(np.sin(f[0] * (x - shift_x) + f[1] * (y - shift_y) + p) for f, p in waves)
        return np.repeat(np.clip(128 + 14 * value, 0, 255).astype(np.uint8)[..., None], 3, axis=2)

    start = corners(scene(0, 0))
    assert len(start) > 50
    found, good = follow(scene(0, 0), scene(7.3, -4.6), start, start)
    assert good.mean() > 0.3
    error = np.linalg.norm(found - start - [7.3, -4.6], axis=1)[good]
    assert np.median(error) < 0.1
