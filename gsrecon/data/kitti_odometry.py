"""KITTI odometry sequences, whole or cut out, as a DrivingLog."""

from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int64

from gsrecon.data.kitti_calibration import (
    picture_size,
    split_projection,
)
from gsrecon.data.log import Camera, CameraFrame, DrivingLog, LidarSweep
from gsrecon.data.numbered import (
    PICTURE_SUFFIXES,
    numbered_files,
    read_lines,
    read_rows,
    require_all_numbers,
)
from gsrecon.errors import DatasetError
from gsrecon.geometry.recorded import printed_rotation

# Axes x forward, y left, z up from those of a camera (x right, y down, z forward).
_UPRIGHT_FROM_CAM_AXES = np.array(
    [[0.0, 0.0, 1.0, 0.0], [-1.0, 0.0, 0.0, 0.0], [0.0, -1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
)
_CAMERA_NUMBERS = {
    "image_0": 0,
    "image_1": 1,
    "image_2": 2,
    "image_3": 3,
    "image_00": 0,
    "image_01": 1,
    "image_02": 2,
    "image_03": 3,
    "image_l": 0,
    "image_r": 1,
    "image_left": 0,
    "image_right": 1,
}
_PERIOD_US = 100_000  # the recording's rate, 10 Hz


def read_kitti_odometry(path: Path | str) -> DrivingLog:
    """Reads a sequence's folder: `calib.txt`, `poses.txt` (or `../../poses/NN.txt`), folders of pictures.

    `calib.txt` holds lines `P0: ...` to `P3: ...`, or any number of bare lines of which line i belongs to
    camera i - 1. Pictures lie in `image_0` .. `image_3` (colour is taken where there is any), `image_l`
    and `image_r`, or in any one folder (camera 0); gray ones become RGB. `times.txt` [s] and `velodyne`
    (with a `Tr` line) are optional; without times the recording's 10 Hz are assumed.

    Poses are of camera 0 in the frame of its first picture, y down. World turns that frame upright: x where
    the first picture looks, y left, z up. Ego sits in camera 0 with the same axes.

    Raises:
        DatasetError: A file or calibration line is missing or damaged, or counts disagree.
    """
    sequence = Path(path)
    projections = _read_calibration(sequence / "calib.txt")
    pose_file = _find_poses(sequence)
    source_from_cam0 = _read_poses(pose_file)
    recordings = _find_pictures(sequence)
    require_all_numbers(
        (number for pictures in recordings.values() for number in pictures),
        len(source_from_cam0),
        " and ".join(str(sequence / name) for name in recordings),
        pose_file,
    )
    times_us, clock = _read_times(sequence / "times.txt", len(source_from_cam0))

    # The turned source frame, then a translation to the first ego pose, as everywhere.
    upright_from_ego = _UPRIGHT_FROM_CAM_AXES @ source_from_cam0 @ _UPRIGHT_FROM_CAM_AXES.T
    upright_from_world = np.eye(4)
    upright_from_world[:3, 3] = upright_from_ego[0, :3, 3]
    world_from_ego = np.linalg.inv(upright_from_world) @ upright_from_ego

    rig: dict[str, Camera] = {}
    frames: list[CameraFrame] = []
    for name, pictures in recordings.items():
        width, height = picture_size(next(iter(pictures.values())))
        K, cam_from_cam0 = _projection(projections, _CAMERA_NUMBERS.get(name, 0), sequence / "calib.txt")
        ego_from_cam = _UPRIGHT_FROM_CAM_AXES @ np.linalg.inv(cam_from_cam0)
        rig[name] = Camera(name, K, width, height, ego_from_cam)
        frames += [
            CameraFrame(name, number, int(times_us[number]), world_from_ego[number] @ ego_from_cam, picture)
            for number, picture in pictures.items()
        ]
    return DrivingLog(
        name=sequence.resolve().name,
        source="kitti-odometry",
        cameras=rig,
        frames=tuple(frames),
        sweeps=_read_sweeps(sequence, projections, times_us, world_from_ego),
        ego_timestamps_us=times_us,
        world_from_ego=world_from_ego,
        source_from_world=_UPRIGHT_FROM_CAM_AXES.T @ upright_from_world,
        convention=(
            "KITTI odometry: source is the first picture's camera frame (x right, y down, z forward), turned "
            "upright into x forward, y left, z up; ego sits in camera 0; calibration counts pixel centres at "
            f"integers, so 0.5 px were added to cx and cy; {clock}."
        ),
        licence="KITTI, CC BY-NC-SA 3.0: non-commercial",
    )


def _read_calibration(path: Path) -> dict[str, Float64[np.ndarray, "3 4"]]:
    """Projections by name: `P0`, ... and `Tr`; bare lines are counted from P0."""
    if not path.is_file():
        raise DatasetError(f"{path}: the calibration file is missing; copy it from the sequence")
    found: dict[str, np.ndarray] = {}
    for number, line in enumerate(line for line in read_lines(path, "calibration") if line.strip()):
        name, colon, numbers = line.rpartition(":")
        try:
            values = np.array([float(word) for word in numbers.split()])
        except ValueError:
            values = np.zeros(0)
        if len(values) != 12 or not np.isfinite(values).all():
            raise DatasetError(f"{path}: line {number + 1} does not hold 12 numbers; copy the file again")
        found[name.strip() if colon else f"P{number}"] = values.reshape(3, 4)
    return found


def _projection(
    projections: dict[str, Float64[np.ndarray, "3 4"]], number: int, path: Path
) -> tuple[Float64[np.ndarray, "3 3"], Float64[np.ndarray, "4 4"]]:
    """K and `cam_from_cam0` of a camera."""
    if f"P{number}" not in projections:
        raise DatasetError(
            f"{path}: the line 'P{number}:' (line {number + 1}) is missing; copy the file again "
            "from the sequence"
        )
    try:
        return split_projection(projections[f"P{number}"])
    except ValueError as error:
        raise DatasetError(
            f"{path}: the line 'P{number}:' (line {number + 1}) holds {error}; copy the file again"
        ) from error


def _find_poses(sequence: Path) -> Path:
    name = f"{sequence.resolve().name}.txt"
    places = [
        sequence / "poses.txt",
        sequence.resolve().parent / "poses" / name,
        sequence.resolve().parent.parent / "poses" / name,
    ]
    for place in places:
        if place.is_file():
            return place
    raise DatasetError(
        f"{places[0]}: the poses are missing, and there is no {places[2]}; unpack the ground truth poses "
        "(sequences 00 to 10 have them)"
    )


def _read_poses(path: Path) -> Float64[np.ndarray, "T 4 4"]:
    rows = read_rows(path, 12, "poses").reshape(-1, 3, 4)
    if len(rows) == 0:
        raise DatasetError(f"{path}: there are no poses in it; copy the file again")
    poses = np.tile(np.eye(4), (len(rows), 1, 1))
    poses[:, :3] = rows
    for number, pose in enumerate(poses):
        try:
            pose[:3, :3] = printed_rotation(pose[:3, :3])
        except ValueError as error:
            raise DatasetError(
                f"{path}: pose {number} (from 0) holds {error}; write rows of [R | t] with a rotation of "
                "determinant 1"
            ) from error
    return poses


def _find_pictures(sequence: Path) -> dict[str, dict[int, Path]]:
    """Pictures by folder: colour pair, gray pair, left and right, or the one other folder."""
    if not sequence.is_dir():
        raise DatasetError(f"{sequence}: there is no such folder; give the path of a sequence's folder")
    found = {}
    for folder in sorted(child for child in sequence.iterdir() if child.is_dir()):
        pictures = numbered_files(folder, PICTURE_SUFFIXES) or numbered_files(
            folder / "data", PICTURE_SUFFIXES
        )
        if pictures:
            found[folder.name] = pictures
    colour = {name: found[name] for name in found if _CAMERA_NUMBERS.get(name, 0) >= 2}
    known = {name: found[name] for name in found if name in _CAMERA_NUMBERS}
    chosen = colour or known or found
    if not chosen:
        raise DatasetError(
            f"{sequence}: no folder in it holds pictures like 000000.png; add image_0 or image_2"
        )
    if not known and len(chosen) > 1:
        raise DatasetError(
            f"{sequence}: several folders hold pictures ({', '.join(chosen)}) and none is named image_0 to "
            "image_3; rename them, so that each finds its line in calib.txt"
        )
    return chosen


def _read_times(path: Path, count: int) -> tuple[Int64[np.ndarray, " T"], str]:
    if not path.is_file():
        return np.arange(count, dtype=np.int64) * _PERIOD_US, "there is no times.txt, so 10 Hz are assumed"
    seconds = read_rows(path, 1, "times")[:, 0]
    if len(seconds) != count:
        raise DatasetError(
            f"{path}: has {len(seconds)} lines, but there are {count} poses; copy the file again or "
            "remove it (10 Hz are assumed then)"
        )
    times_us = np.rint(seconds * 1e6).astype(np.int64)
    back = np.flatnonzero(np.diff(times_us) <= 0)
    if len(back):
        raise DatasetError(
            f"{path}: time {back[0] + 1} (from 0), {seconds[back[0] + 1]:g} s, is not after the one before, "
            f"{seconds[back[0]]:g} s; copy the file again or remove it (10 Hz are assumed then)"
        )
    return times_us, "times are those of times.txt"


def _read_sweeps(
    sequence: Path,
    projections: dict[str, Float64[np.ndarray, "3 4"]],
    times_us: Int64[np.ndarray, " T"],
    world_from_ego: Float64[np.ndarray, "T 4 4"],
) -> tuple[LidarSweep, ...]:
    files = numbered_files(sequence / "velodyne", (".bin",))
    if not files:
        return ()
    if "Tr" not in projections:
        raise DatasetError(
            f"{sequence / 'calib.txt'}: the line 'Tr:' is missing, which places the lidar; copy the "
            "calibration file with it or remove the velodyne folder"
        )
    if max(files) >= len(times_us):
        raise DatasetError(
            f"{sequence / 'velodyne'}: has sweeps up to number {max(files)}, but there are {len(times_us)} "
            "poses; remove the sweeps beyond the last pose"
        )
    cam0_from_velo = np.eye(4)
    cam0_from_velo[:3] = projections["Tr"]
    try:
        cam0_from_velo[:3, :3] = printed_rotation(cam0_from_velo[:3, :3])
    except ValueError as error:
        raise DatasetError(
            f"{sequence / 'calib.txt'}: the line 'Tr:' holds {error}; copy the file again"
        ) from error
    ego_from_velo = _UPRIGHT_FROM_CAM_AXES @ cam0_from_velo
    return tuple(
        LidarSweep(int(times_us[number]), world_from_ego[number] @ ego_from_velo, path)
        for number, path in files.items()
    )
