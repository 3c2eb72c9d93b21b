"""KITTI odometry: z up from y down, calibration with and without names, gray pictures."""

import numpy as np
import pytest
from PIL import Image

from gsrecon.data.agreement import find_matches, residuals
from gsrecon.data.kitti import read_kitti_odometry
from gsrecon.errors import DatasetError

P0 = "100 0 5.5 0 0 100 3.5 0 0 0 1 0"
P1 = "100 0 5.5 -54 0 100 3.5 0 0 0 1 0"


@pytest.fixture
def sequence(tmp_path):
    """Three gray pictures; 1 m forward and 0.1 m down (y) a frame."""
    folder = tmp_path / "sequences" / "04"
    for name in ("image_0", "image_1"):
        (folder / name).mkdir(parents=True)
        for i in range(3):
            Image.fromarray(np.full((8, 12), 50 * i, np.uint8)).save(folder / name / f"{i:06d}.png")
    (folder / "calib.txt").write_text(f"P0: {P0}\nP1: {P1}\n")
    (folder / "poses.txt").write_text("".join(f"1 0 0 0 0 1 0 {0.1 * i} 0 0 1 {i}\n" for i in range(3)))
    return folder


def test_driving_forward_and_down_is_x_and_minus_z(sequence):
    log = read_kitti_odometry(sequence)
    np.testing.assert_allclose(log.world_from_ego[2, :3, 3], [2, 0, -0.2], atol=1e-12)
    np.testing.assert_allclose((log.source_from_world @ [2, 0, -0.2, 1])[:3], [0, 0.2, 2], atol=1e-12)
    assert list(log.cameras) == ["image_0", "image_1"]
    assert log.cameras["image_0"].K[0, 2] == 6.0
    # The second camera is 0.54 m to the right, which is -y.
    np.testing.assert_allclose(log.cameras["image_1"].ego_from_cam[:3, 3], [0, -0.54, 0], atol=1e-12)
    assert "10 Hz" in log.convention
    assert log.time_s(log.frames[-1].timestamp_us) == pytest.approx(0.2)


def test_gray_pictures_are_given_as_rgb(sequence):
    log = read_kitti_odometry(sequence)
    assert log.image(log.frames[2]).tolist() == np.full((8, 12, 3), 50).tolist()


def test_times_and_poses_are_found_where_the_benchmark_keeps_them(sequence):
    (sequence / "times.txt").write_text("0\n1.036224e-01\n2.071e-01\n")
    poses = sequence.parent.parent / "poses"
    poses.mkdir()
    (sequence / "poses.txt").rename(poses / "04.txt")
    log = read_kitti_odometry(sequence)
    assert log.frames[2].timestamp_us == 103_622


def test_sequences_cut_out_of_the_middle_start_at_the_origin(sequence):
    (sequence / "poses.txt").write_text("".join(f"1 0 0 5 0 1 0 0 0 0 1 {100 + i}\n" for i in range(3)))
    log = read_kitti_odometry(sequence)
    np.testing.assert_allclose(log.world_from_ego[0, :3, 3], 0)
    np.testing.assert_allclose((log.source_from_world @ [1, 0, 0, 1])[:3], [5, 0, 101])


def test_bare_calibration_lines_count_from_camera_0(sequence):
    (sequence / "calib.txt").write_text(P0)
    (sequence / "image_0").rename(sequence / "image_l")
    for path in sorted((sequence / "image_1").iterdir()):
        path.unlink()
    log = read_kitti_odometry(sequence)
    assert list(log.cameras) == ["image_l"]


def test_lidar_is_placed_by_its_own_line(sequence):
    (sequence / "velodyne").mkdir()
    np.array([[10, 0.1, 0, 0]], np.float32).tofile(sequence / "velodyne" / "000001.bin")
    with pytest.raises(DatasetError, match=r"calib\.txt: the line 'Tr:' is missing"):
        read_kitti_odometry(sequence)
    with open(sequence / "calib.txt", "a") as file:
        file.write("Tr: 0 -1 0 0 0 0 -1 -0.08 1 0 0 -0.27\n")
    log = read_kitti_odometry(sequence)
    pixels, depth = log.depth_points(next(f for f in log.frames if f.index == 1))
    np.testing.assert_allclose(depth, [9.73], atol=1e-5)
    assert pixels[0, 0] < 6


def test_faults_are_one_sentence_each(sequence):
    (sequence / "calib.txt").write_text(f"P0: {P0}\n")
    with pytest.raises(DatasetError, match=r"calib\.txt: the line 'P1:' \(line 2\) is missing; copy"):
        read_kitti_odometry(sequence)
    (sequence / "calib.txt").write_text("P0: 1 2 3\n")
    with pytest.raises(DatasetError, match=r"calib\.txt: line 1 does not hold 12 numbers"):
        read_kitti_odometry(sequence)
    (sequence / "calib.txt").write_text(f"P0: {P0}\nP1: {P1}\n")
    (sequence / "image_0" / "000001.png").unlink()
    (sequence / "image_1" / "000001.png").unlink()
    with pytest.raises(DatasetError, match=r"1 of 3 frames have no picture \(number 1\)"):
        read_kitti_odometry(sequence)
    (sequence / "poses.txt").unlink()
    with pytest.raises(DatasetError, match=r"poses\.txt: the poses are missing"):
        read_kitti_odometry(sequence)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("poses.txt", b"1 0 0 0 0 1 0 0 0 0 -1 0\n" * 3, r"poses\.txt: pose 0 \(from 0\) holds no rotation"),
        ("poses.txt", b"2 0 0 0 0 2 0 0 0 0 2 0\n" * 3, r"poses\.txt: pose 0 \(from 0\) holds no rotation"),
        ("poses.txt", b"\xff\xfe" * 20, r"poses\.txt: the file of poses is no text .*; copy"),
        ("calib.txt", b"\xff\xfe" * 20, r"calib\.txt: the file of calibration is no text .*; copy"),
        (
            "calib.txt",
            b"0 0 0 0 0 0 0 0 0 0 0 0\n" * 2,
            r"calib\.txt: the line 'P0:' \(line 1\) holds no projection",
        ),
        (
            "times.txt",
            b"0\n0.2\n0.1\n",
            r"times\.txt: time 2 \(from 0\), 0\.1 s, is not after .* 0\.2 s; copy",
        ),
    ],
)
def test_poses_calibration_and_times_that_are_none_are_refused(sequence, name, content, sentence):
    (sequence / name).write_bytes(content)
    with pytest.raises(DatasetError, match=sentence):
        read_kitti_odometry(sequence)


def test_the_real_sequence_agrees_with_its_pictures(shared_data):
    log = read_kitti_odometry(shared_data / "kitti_odo_gray" / "KITTI_sequence_1")
    assert len(log.frames) == 51
    assert log.world_from_ego[-1, 0, 3] > 55
    small = log.at_scale(0.5)
    errors = [
        residuals(small, find_matches(small, small.frames[i], small.frames[i + 2], 60_000)).epipolar_px
        for i in (20, 40)
    ]
    assert np.median(np.concatenate(errors)) < 0.3
