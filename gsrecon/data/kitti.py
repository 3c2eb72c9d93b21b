"""KITTI raw recordings ("synced + rectified") as a DrivingLog.

Source: Geiger, Lenz, Stiller, Urtasun, "Vision meets robotics: the KITTI dataset", IJRR 2013.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int64

from gsrecon.data.kitti_calibration import CalibrationFile, picture_size
from gsrecon.data.kitti_odometry import read_kitti_odometry as read_kitti_odometry
from gsrecon.data.kitti_oxts import mercator_from_ego, read_oxts
from gsrecon.data.kitti_tracklets import read_tracklets
from gsrecon.data.log import Camera, CameraFrame, DrivingLog, LidarSweep
from gsrecon.data.numbered import PICTURE_SUFFIXES, numbered_files, read_timestamps, require_all_numbers
from gsrecon.data.trajectory import poses_at
from gsrecon.errors import DatasetError

_log = logging.getLogger(__name__)
_LICENCE = "KITTI, CC BY-NC-SA 3.0: non-commercial"
# Pictures are within some milliseconds of their own packet; further apart one of the clocks is wrong.
_LARGEST_CLOCK_GAP_US = 50_000


def read_kitti_raw(path: Path | str) -> DrivingLog:
    """Reads a drive's folder, `.../2011_09_26/2011_09_26_drive_0001_sync`, calibration in its parent.

    The colour cameras `image_02` and `image_03` are read (the gray ones where there is no colour), each
    picture with its own time; lidar and tracklets when present. Ego is the inertial unit. The ego pose is
    interpolated from the packets' times to each picture's and each sweep's own time: cameras, lidar and
    inertial unit run on clocks of their own, some milliseconds (centimetres) apart.

    Raises:
        DatasetError: A file, calibration line or frame is missing or damaged, or counts disagree.
    """
    drive = Path(path)
    cameras = _find_cameras(drive)
    day = drive.resolve().parent
    calibration = _read_calibration(day)
    frame_count = max(len(recording.timestamps_us) for recording in cameras)
    require_all_numbers(
        (number for recording in cameras for number in recording.pictures),
        frame_count,
        " and ".join(str(drive / recording.name / "data") for recording in cameras),
        drive / "*" / "timestamps.txt",
    )
    ego = _read_ego(drive, frame_count)
    own_clock = ego.agrees_with(recording.timestamps_us for recording in cameras)
    if not own_clock:
        ego = _on_clock_of(cameras, ego, drive)

    rig: dict[str, Camera] = {}
    frames: list[CameraFrame] = []
    for recording in cameras:
        camera = calibration.camera(recording.name, next(iter(recording.pictures.values())))
        rig[recording.name] = camera
        poses = ego.at(recording.timestamps_us, own_clock) @ camera.ego_from_cam
        frames += [
            CameraFrame(recording.name, number, int(recording.timestamps_us[number]), poses[number], picture)
            for number, picture in recording.pictures.items()
        ]
    lidar_times, sweeps = _read_sweeps(drive, ego, own_clock, calibration.ego_from_velo)
    tracklets = drive / "tracklet_labels.xml"
    world_from_velo = ego.at(lidar_times, own_clock) @ calibration.ego_from_velo
    return DrivingLog(
        name=drive.resolve().name,
        source="kitti-raw",
        cameras=rig,
        frames=tuple(frames),
        sweeps=sweeps,
        tracks=read_tracklets(tracklets, lidar_times, world_from_velo) if tracklets.is_file() else (),
        ego_timestamps_us=ego.timestamps_us,
        world_from_ego=ego.world_from_ego,
        source_from_world=ego.source_from_world,
        convention=(
            "KITTI raw: source is the Mercator plane of the development kit (x east, y north, z up), ego the "
            "inertial unit; calibration counts pixel centres at integers, so 0.5 px were added to cx and cy; "
            "poses are "
            + ("interpolated to each picture's time." if own_clock else "of the packet of the same number.")
        ),
        licence=_LICENCE,
    )


@dataclass(frozen=True)
class _Recording:
    """What one camera's folder holds."""

    name: str
    pictures: dict[int, Path]
    timestamps_us: Int64[np.ndarray, " T"]


@dataclass(frozen=True)
class _Calibration:
    """The rig: everything relative to the inertial unit."""

    cam_to_cam: CalibrationFile
    ego_from_velo: Float64[np.ndarray, "4 4"]
    ego_from_rectified: Float64[np.ndarray, "4 4"]

    def camera(self, name: str, picture: Path) -> Camera:
        number = name.removeprefix("image_")
        width, height = picture_size(picture)
        calibrated = self.cam_to_cam.numbers(f"S_rect_{number}", 2)
        if (width, height) != tuple(calibrated):
            raise DatasetError(
                f"{picture}: the picture is {width} x {height}, but {self.cam_to_cam.path} is for "
                f"{calibrated[0]:.0f} x {calibrated[1]:.0f} (S_rect_{number}); use the original "
                f"pictures or scale S_rect_{number} and P_rect_{number} with them"
            )
        K, cam_from_rectified = self.cam_to_cam.projection(f"P_rect_{number}")
        ego_from_cam = self.ego_from_rectified @ np.linalg.inv(cam_from_rectified)
        return Camera(name, K, width, height, ego_from_cam)


@dataclass(frozen=True)
class _Ego:
    """The inertial unit's trajectory in world."""

    timestamps_us: Int64[np.ndarray, " T"]
    world_from_ego: Float64[np.ndarray, "T 4 4"]
    source_from_world: Float64[np.ndarray, "4 4"]

    def agrees_with(self, clocks: Iterable[np.ndarray]) -> bool:
        """True where the packets' times ascend and stay near the other sensors' times."""
        if not (np.diff(self.timestamps_us) > 0).all():
            return False
        gaps = [abs(clock - self.timestamps_us[: len(clock)]).max() for clock in clocks]
        return bool(max(gaps) <= _LARGEST_CLOCK_GAP_US)

    def at(self, timestamps_us: Int64[np.ndarray, " T"], own_clock: bool) -> Float64[np.ndarray, "T 4 4"]:
        """Poses at the times of another sensor; by number where the clocks cannot be compared."""
        if not own_clock:
            return self.world_from_ego[: len(timestamps_us)]
        return poses_at(self.timestamps_us, self.world_from_ego, timestamps_us)


def _find_cameras(drive: Path) -> list[_Recording]:
    """The colour cameras that have pictures, else the gray ones."""
    if not drive.is_dir():
        raise DatasetError(f"{drive}: there is no such folder; give the path of a drive's ..._sync folder")
    for names in (("image_02", "image_03"), ("image_00", "image_01")):
        found = [(name, numbered_files(drive / name / "data", PICTURE_SUFFIXES)) for name in names]
        recordings = [
            _Recording(name, pictures, read_timestamps(drive / name / "timestamps.txt"))
            for name, pictures in found
            if pictures
        ]
        if recordings:
            for recording in recordings:
                _require_times(recording, drive)
            return recordings
    inside = sorted(child.name for child in drive.glob("*_sync") if child.is_dir())
    hint = (
        f"give one of the drives in it ({', '.join(inside[:3])})"
        if inside
        else "give a drive's ..._sync folder"
    )
    raise DatasetError(f"{drive}: there are no pictures in image_02/data or image_03/data; {hint}")


def _require_times(recording: _Recording, drive: Path) -> None:
    count, last = len(recording.timestamps_us), max(recording.pictures)
    if last >= count:
        raise DatasetError(
            f"{drive / recording.name / 'timestamps.txt'}: has {count} entries, but "
            f"{drive / recording.name / 'data'} has pictures up to number {last}; restore the file or remove "
            "the pictures beyond its end"
        )


def _on_clock_of(cameras: list[_Recording], ego: _Ego, drive: Path) -> _Ego:
    """The trajectory with the pictures' times, number by number: the packets' own are not to be believed."""
    longest = max(cameras, key=lambda recording: len(recording.timestamps_us))
    if not (np.diff(longest.timestamps_us) > 0).all():
        raise DatasetError(
            f"{drive / longest.name / 'timestamps.txt'}: the times do not ascend, nor do the packets' "
            "agree with the pictures'; copy the drive's timestamps again"
        )
    _log.warning(
        "%s: the packets' times do not ascend or are not the pictures'; poses are taken by number",
        drive / "oxts" / "timestamps.txt",
    )
    return replace(ego, timestamps_us=longest.timestamps_us)


def _read_calibration(day: Path) -> _Calibration:
    cam_to_cam = CalibrationFile(day / "calib_cam_to_cam.txt")
    cam_from_velo = CalibrationFile(day / "calib_velo_to_cam.txt").rigid()
    velo_from_ego = CalibrationFile(day / "calib_imu_to_velo.txt").rigid()
    rectified_from_cam = np.eye(4)
    rectified_from_cam[:3, :3] = cam_to_cam.rotation("R_rect_00")
    return _Calibration(
        cam_to_cam=cam_to_cam,
        ego_from_velo=np.linalg.inv(velo_from_ego),
        ego_from_rectified=np.linalg.inv(rectified_from_cam @ cam_from_velo @ velo_from_ego),
    )


def _read_ego(drive: Path, frame_count: int) -> _Ego:
    timestamps_us = read_timestamps(drive / "oxts" / "timestamps.txt")
    if len(timestamps_us) != frame_count:
        raise DatasetError(
            f"{drive / 'oxts' / 'timestamps.txt'}: has {len(timestamps_us)} lines, but the cameras have "
            f"{frame_count} frames; copy the drive's oxts folder again"
        )
    source_from_ego = mercator_from_ego(read_oxts(drive / "oxts", frame_count))
    source_from_world = np.eye(4)
    source_from_world[:3, 3] = source_from_ego[0, :3, 3]
    world_from_ego = source_from_ego.copy()
    world_from_ego[:, :3, 3] -= source_from_world[:3, 3]
    return _Ego(timestamps_us, world_from_ego, source_from_world)


def _read_sweeps(
    drive: Path, ego: _Ego, own_clock: bool, ego_from_velo: Float64[np.ndarray, "4 4"]
) -> tuple[Int64[np.ndarray, " T"], tuple[LidarSweep, ...]]:
    """Times of all lidar turns and the turns that exist: some published drives lack a few.

    The time is the one at which the scanner faces forward, which triggers the cameras.
    """
    folder = drive / "velodyne_points"
    files = numbered_files(folder / "data", (".bin",))
    if not files:
        return ego.timestamps_us, ()
    times = read_timestamps(folder / "timestamps.txt")
    if len(times) != len(ego.timestamps_us) or max(files) >= len(times):
        raise DatasetError(
            f"{folder / 'timestamps.txt'}: has {len(times)} lines, but the drive has "
            f"{len(ego.timestamps_us)} frames and sweeps up to number {max(files)}; "
            "copy the drive's velodyne_points folder again"
        )
    poses = ego.at(times, own_clock and ego.agrees_with([times])) @ ego_from_velo
    return times, tuple(LidarSweep(int(times[n]), poses[n], path) for n, path in files.items())
