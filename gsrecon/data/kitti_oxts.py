"""KITTI's OXTS packets (GPS and inertial unit) as poses.

Source: KITTI raw development kit, convertOxtsToPose.m: Mercator projection with the scale of the first
latitude; x east, y north, z up, yaw counter-clockwise from east.
"""

from pathlib import Path

import numpy as np
from jaxtyping import Float64

from gsrecon.data.numbered import read_rows
from gsrecon.errors import DatasetError

_EARTH_RADIUS = 6378137.0  # [m], WGS 84, as the development kit has it


def read_oxts(folder: Path, count: int) -> Float64[np.ndarray, "T 6"]:
    """Packets 0 .. count - 1: latitude, longitude [deg], altitude [m], roll, pitch, yaw [rad].

    Raises:
        DatasetError: A packet is missing or damaged; the message names its file.
    """
    rows = []
    for number in range(count):
        path = folder / "data" / f"{number:010d}.txt"
        row = read_rows(path, 6, "a GPS/IMU packet")
        if len(row) != 1:
            raise DatasetError(f"{path}: expected one line, got {len(row)}; copy the file again")
        rows.append(row[0])
    return np.stack(rows)


def mercator_from_ego(packets: Float64[np.ndarray, "T 6"]) -> Float64[np.ndarray, "T 4 4"]:
    """Poses of the inertial unit (x forward, y left, z up) in the Mercator plane [m], x east, y north."""
    latitude, longitude, altitude, roll, pitch, yaw = packets.T
    scale = np.cos(np.deg2rad(latitude[0]))
    poses = np.tile(np.eye(4), (len(packets), 1, 1))
    poses[:, 0, 3] = scale * _EARTH_RADIUS * np.deg2rad(longitude)
    poses[:, 1, 3] = scale * _EARTH_RADIUS * np.log(np.tan(np.deg2rad(90 + latitude) / 2))
    poses[:, 2, 3] = altitude
    poses[:, :3, :3] = rotation_from_angles(roll, pitch, yaw)
    return poses


def rotation_from_angles(
    roll: Float64[np.ndarray, " T"], pitch: Float64[np.ndarray, " T"], yaw: Float64[np.ndarray, " T"]
) -> Float64[np.ndarray, "T 3 3"]:
    """Rz(yaw) Ry(pitch) Rx(roll)."""
    zero, one = np.zeros_like(roll), np.ones_like(roll)

    def stack(*entries: np.ndarray) -> np.ndarray:
        return np.stack(entries, axis=-1).reshape(-1, 3, 3)

    about_x = stack(one, zero, zero, zero, np.cos(roll), -np.sin(roll), zero, np.sin(roll), np.cos(roll))
    about_y = stack(np.cos(pitch), zero, np.sin(pitch), zero, one, zero, -np.sin(pitch), zero, np.cos(pitch))
    about_z = stack(np.cos(yaw), -np.sin(yaw), zero, np.sin(yaw), np.cos(yaw), zero, zero, zero, one)
    return about_z @ about_y @ about_x
