"""The readers by kind of drive. Each is imported where it is used: one format needs no other's packages."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from gsrecon.data.log import DrivingLog
from gsrecon.errors import SpecError

KINDS = ("kitti", "kitti-odometry", "nuscenes", "images", "folder", "toy")
"""What may stand before the colon of a drive's name."""
DRIVES = "kitti:PATH, kitti-odometry:PATH, nuscenes:PATH, images:PATH, folder:PATH, toy"
"""The ways to name a drive, for messages."""


def read_drive(drive: str, scene: str, toy: Mapping[str, Any], where: str) -> DrivingLog:
    """The whole drive.

    Args:
        drive: `KIND:PATH`, or `toy`.
        scene: Name of a scene of a nuScenes drive; empty takes the first.
        toy: Settings of the toy drive.
        where: Names the spec in errors.

    Raises:
        DatasetError: The recording is incomplete or damaged.
        SpecError: The toy drive has no such setting.
    """
    kind, _, path = drive.partition(":")
    if kind == "kitti":
        from gsrecon.data.kitti import read_kitti_raw

        return read_kitti_raw(path)
    if kind == "kitti-odometry":
        from gsrecon.data.kitti_odometry import read_kitti_odometry

        return read_kitti_odometry(path)
    if kind == "nuscenes":
        from gsrecon.data.nuscenes import read_nuscenes

        return read_nuscenes(path, scene or None)
    if kind == "images":
        from gsrecon.data.images import read_images

        return read_images(path)
    if kind == "folder":
        from gsrecon.data.folder import read_folder

        return read_folder(path)
    return _read_toy(toy, where)


def _read_toy(settings: Mapping[str, Any], where: str) -> DrivingLog:
    from gsrecon.data.toy import ToyConfig, make_toy

    try:
        config = ToyConfig(**settings)
    except (TypeError, ValueError) as error:
        allowed = ", ".join(entry.name for entry in fields(ToyConfig))
        raise SpecError(f"{where}: toy: {error}; the settings are {allowed}") from error
    return make_toy(config).log
