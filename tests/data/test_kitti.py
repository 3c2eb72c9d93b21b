"""KITTI raw: axes, baseline and times by hand on a made-up drive; agreement with pictures on a real one."""

import shutil

import numpy as np
import pytest

from gsrecon.data.agreement import find_matches, residuals
from gsrecon.data.kitti import read_kitti_raw
from gsrecon.errors import DatasetError

DRIVE = "kitti_raw/2011_09_26/2011_09_26_drive_0001_sync"


def test_axes_baseline_and_pixel_centres_by_hand(kitti_drive):
    log = read_kitti_raw(kitti_drive)
    assert len(log.frames) == 6
    left, right = log.cameras["image_02"], log.cameras["image_03"]
    np.testing.assert_allclose(left.K, [[100, 0, 6], [0, 100, 4], [0, 0, 1]])
    # Camera 2 is 0.06 m left of camera 0, camera 3 is 0.48 m right of it; ego y points left.
    apart = np.linalg.inv(left.ego_from_cam) @ right.ego_from_cam
    np.testing.assert_allclose(apart[:3, 3], [0.54, 0, 0], atol=1e-12)
    # From the inertial unit: 0.81 m forward to the lidar, 0.27 m more to the cameras.
    np.testing.assert_allclose(left.ego_from_cam[:3, 3], [1.08, -0.32 + 0.06, 0.8 - 0.08], atol=1e-12)
    np.testing.assert_allclose(left.ego_from_cam[:3, 2], [1, 0, 0], atol=1e-12)


def test_world_is_east_north_up_from_the_first_ego_pose(kitti_drive):
    log = read_kitti_raw(kitti_drive)
    np.testing.assert_allclose(log.world_from_ego[:, :3, 3], [[0, 0, 0], [1, 0, 0], [2, 0, 0]], atol=1e-6)
    np.testing.assert_allclose(log.world_from_ego[1, :3, :3], np.eye(3), atol=1e-9)
    assert log.source_from_world[0, 3] == pytest.approx(np.cos(np.deg2rad(49)) * 6378137 * np.deg2rad(8.4))
    pixels, depth = log.depth_points(log.frames[0])
    np.testing.assert_allclose(depth, [10 - 0.27, 20 - 0.27], atol=1e-5)
    np.testing.assert_allclose(pixels[0], [6 + 100 * 0.06 / 9.73, 4 - 100 * 0.08 / 9.73], atol=1e-4)


def test_each_picture_has_its_own_time_and_the_pose_of_that_time(kitti_drive):
    stamps = "2011-09-26 13:02:25.900000000\n2011-09-26 13:02:26.010000000\n2011-09-26 13:02:26.100000400\n"
    (kitti_drive / "image_03" / "timestamps.txt").write_text(stamps)
    log = read_kitti_raw(kitti_drive)
    right = [frame for frame in log.frames if frame.camera == "image_03"]
    left = [frame for frame in log.frames if frame.camera == "image_02"]
    assert right[1].timestamp_us - left[1].timestamp_us == 10_000
    assert (right[1].world_from_cam - right[0].world_from_cam)[0, 3] == pytest.approx(1.1, abs=1e-6)


def test_clocks_that_disagree_fall_back_to_the_packet_of_the_same_number(kitti_drive):
    stamps = "".join(f"2011-09-26 14:00:0{i}.000000000\n" for i in range(3))
    (kitti_drive / "oxts" / "timestamps.txt").write_text(stamps)
    log = read_kitti_raw(kitti_drive)
    assert "packet of the same number" in log.convention
    assert (log.frames[2].world_from_cam - log.frames[0].world_from_cam)[0, 3] == pytest.approx(1.0, abs=1e-6)


def test_packets_out_of_order_are_told_and_leave_times_that_ascend(kitti_drive, caplog):
    path = kitti_drive / "oxts" / "timestamps.txt"
    path.write_text("".join(reversed(path.read_text().splitlines(keepends=True))))
    log = read_kitti_raw(kitti_drive)
    assert (np.diff(log.ego_timestamps_us) > 0).all()
    assert log.start_us == log.frames[0].timestamp_us
    assert "oxts/timestamps.txt: the packets' times do not ascend" in caplog.text


def test_tracklets_turn_from_bottom_to_centre_and_into_world(kitti_drive):
    poses = "".join(
        f"<item><tx>{10 - i}</tx><ty>2</ty><tz>-1.7</tz><rx>0</rx><ry>0</ry><rz>{np.pi / 2}</rz></item>"
        for i in range(2)
    )
    (kitti_drive / "tracklet_labels.xml").write_text(
        "<boost_serialization><tracklets><count>1</count><item><objectType>Car</objectType><h>1.6</h><w>1.8</w>"
        f"<l>4.2</l><first_frame>1</first_frame><poses><count>2</count>{poses}</poses></item></tracklets>"
        "</boost_serialization>"
    )
    log = read_kitti_raw(kitti_drive)
    (track,) = log.tracks
    assert track.category == "Car"
    assert track.size_lwh.tolist() == [4.2, 1.8, 1.6]
    assert track.timestamps_us.tolist() == [sweep.timestamp_us for sweep in log.sweeps[1:]]
    # The car comes 1 m nearer while the ego drives 1 m: it is parked at frame 1's 1 + 0.81 + 10 m.
    centre = [1 + 0.81 + 10, -0.32 + 2, 0.8 - 1.7 + 0.8]
    np.testing.assert_allclose(track.world_from_actor[:, :3, 3], [centre, centre], atol=1e-6)
    np.testing.assert_allclose(track.world_from_actor[0, :3, 0], [0, 1, 0], atol=1e-9)


def remove_line(path, name):
    path.write_text("".join(line for line in path.read_text().splitlines(True) if not line.startswith(name)))


def damage_calibration_line(drive):
    remove_line(drive.parent / "calib_cam_to_cam.txt", "P_rect_03")


def damage_calibration_file(drive):
    (drive.parent / "calib_imu_to_velo.txt").unlink()


def damage_frame(drive):
    for camera in ("image_02", "image_03"):
        (drive / camera / "data" / "0000000001.png").unlink()


def damage_oxts(drive):
    (drive / "oxts" / "data" / "0000000002.txt").unlink()


def damage_length(drive):
    (drive / "oxts" / "timestamps.txt").write_text("2011-09-26 13:02:25.900000000\n")


def damage_timestamp(drive):
    (drive / "image_02" / "timestamps.txt").write_text("yesterday\n")


def damage_size(drive):
    path = drive.parent / "calib_cam_to_cam.txt"
    path.write_text(path.read_text().replace("S_rect_02: 12 8", "S_rect_02: 1242 375"))


def damage_pictures(drive):
    shutil.rmtree(drive / "image_02")
    shutil.rmtree(drive / "image_03")


def damage_tracklets(drive):
    (drive / "tracklet_labels.xml").write_text("<boost_serialization><tracklets>")


def damage_kind_of_tracklets(drive):
    (drive / "tracklet_labels.xml").write_text("<html><body>404</body></html>")


def damage_times_of_one_camera(drive):
    path = drive / "image_02" / "timestamps.txt"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:2]))


def damage_times_to_bytes(drive):
    (drive / "image_02" / "timestamps.txt").write_bytes(b"\xff\xfe\x00\x00")


def damage_calibration_to_bytes(drive):
    (drive.parent / "calib_cam_to_cam.txt").write_bytes(b"\xff\xfe\x00\x00")


def with_line(path, name, numbers):
    lines = [line for line in path.read_text().splitlines() if not line.startswith(f"{name}:")]
    path.write_text("\n".join([*lines, f"{name}: {numbers}"]))


def damage_projection_to_zeros(drive):
    with_line(drive.parent / "calib_cam_to_cam.txt", "P_rect_02", "0 " * 12)


def damage_projection_upside_down(drive):
    with_line(drive.parent / "calib_cam_to_cam.txt", "P_rect_02", "-100 0 5.5 0 0 -100 3.5 0 0 0 1 0")


def damage_rotation_to_zeros(drive):
    with_line(drive.parent / "calib_velo_to_cam.txt", "R", "0 " * 9)


def damage_rotation_to_a_mirror(drive):
    with_line(drive.parent / "calib_cam_to_cam.txt", "R_rect_00", "1 0 0 0 1 0 0 0 -1")


def damage_both_clocks(drive):
    for name in ("image_02", "oxts"):
        path = drive / name / "timestamps.txt"
        path.write_text("".join(reversed(path.read_text().splitlines(keepends=True))))


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (
            damage_calibration_line,
            r"calib_cam_to_cam\.txt: the line 'P_rect_03:' is missing; restore the file",
        ),
        (damage_calibration_file, r"calib_imu_to_velo\.txt: the calibration file is missing; unpack"),
        (damage_frame, r"1 of 3 frames have no picture \(number 1\); copy the missing files again"),
        (damage_oxts, r"0000000002\.txt: the file of a GPS/IMU packet is missing; copy it"),
        (damage_length, r"has 1 lines, but the cameras have 3 frames; copy the drive's oxts"),
        (damage_timestamp, r"timestamps\.txt: line 1 is no time like .*; copy the file again"),
        (damage_size, r"picture is 12 x 8, but .* is for 1242 x 375 .*; use the original pictures"),
        (damage_pictures, r"there are no pictures in image_02/data or image_03/data; give"),
        (
            damage_kind_of_tracklets,
            r"tracklet_labels\.xml: .* \(<tracklets> is missing\); copy the file again",
        ),
        (
            damage_times_of_one_camera,
            r"image_02/timestamps\.txt: has 2 entries, but .* up to number 2; restore",
        ),
        (
            damage_times_to_bytes,
            r"image_02/timestamps\.txt: the file of timestamps is no text .*; copy it again",
        ),
        (damage_calibration_to_bytes, r"calib_cam_to_cam\.txt: the file of calibration is no text .*; copy"),
        (
            damage_projection_to_zeros,
            r"calib_cam_to_cam\.txt: the line 'P_rect_02:' holds no projection .*; rest",
        ),
        (damage_projection_upside_down, r"calib_cam_to_cam\.txt: the line 'P_rect_02:' holds no projection"),
        (damage_rotation_to_zeros, r"calib_velo_to_cam\.txt: the line 'R:' holds no rotation .*; restore"),
        (damage_rotation_to_a_mirror, r"calib_cam_to_cam\.txt: the line 'R_rect_00:' holds no rotation"),
        (
            damage_both_clocks,
            r"image_02/timestamps\.txt: the times do not ascend.*; copy the drive's timestamps",
        ),
        (damage_tracklets, r"tracklet_labels\.xml: the tracklets cannot be read .*; copy the file again"),
    ],
)
def test_each_fault_is_one_sentence_with_file_and_remedy(kitti_drive, damage, sentence):
    damage(kitti_drive)
    with pytest.raises(DatasetError, match=sentence) as caught:
        read_kitti_raw(kitti_drive)
    assert "\n" not in str(caught.value)


def test_frames_of_one_camera_only_are_kept(kitti_drive):
    (kitti_drive / "image_03" / "data" / "0000000001.png").unlink()
    (kitti_drive / "velodyne_points" / "data" / "0000000002.bin").unlink()
    log = read_kitti_raw(kitti_drive)
    assert [(f.camera[-1], f.index) for f in log.frames] == [("2", 0), ("3", 0), ("2", 1), ("2", 2), ("3", 2)]
    assert len(log.sweeps) == 2


def test_the_real_drive_is_complete_and_its_cameras_are_half_a_metre_apart(shared_data):
    log = read_kitti_raw(shared_data / DRIVE)
    assert [sum(f.camera == name for f in log.frames) for name in log.cameras] == [72, 72]
    assert len(log.sweeps) == 72
    left, right = log.frames[:2]
    apart = (np.linalg.inv(left.world_from_cam) @ right.world_from_cam)[:3, 3]
    assert apart[0] == pytest.approx(0.533, abs=0.005)
    steps = np.linalg.norm(np.diff(log.world_from_ego[:, :3, 3], axis=0), axis=1)
    assert 0.9 < np.median(steps) < 1.3
    # The camera looks where the car goes.
    forward = log.world_from_ego[20, :3, 3] - log.world_from_ego[10, :3, 3]
    assert left.world_from_cam[:3, 2] @ forward / np.linalg.norm(forward) > 0.97


def test_the_real_drive_agrees_with_its_pictures_over_time_across_cameras_and_with_lidar(shared_data):
    log = read_kitti_raw(shared_data / DRIVE)
    frame = {(f.camera, f.index): f for f in log.frames}
    over_time = [
        residuals(log, find_matches(log, frame["image_02", i], frame["image_02", i + 2], 60_000))
        for i in (10, 40)
    ]
    across = residuals(log, find_matches(log, frame["image_02", 20], frame["image_03", 20], 60_000))
    assert np.median(np.concatenate([entry.epipolar_px for entry in over_time])) < 0.2
    assert np.median(across.epipolar_px) < 0.15
    assert len(across.lidar_px) > 10
    assert np.median(across.lidar_px) < 0.8
