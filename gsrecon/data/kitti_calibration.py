"""KITTI's calibration files: `name: numbers` lines, rectified cameras, rigid transforms.

Source: Geiger, Lenz, Stiller, Urtasun, "Vision meets robotics: the KITTI dataset", IJRR 2013, section 4.
"""

from pathlib import Path

import numpy as np
from jaxtyping import Float64
from PIL import Image

from gsrecon.errors import DatasetError
from gsrecon.geometry.recorded import nearest_rotation


class CalibrationFile:
    """The numbers of one calibration file by the name in front of the colon."""

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise DatasetError(
                f"{path}: the calibration file is missing; unpack the recording day's calibration archive "
                "beside the drive's folder"
            )
        self.path = path
        self._lines: dict[str, str] = {}
        for line in path.read_text().splitlines():
            name, colon, numbers = line.partition(":")
            if colon:
                self._lines[name.strip()] = numbers

    def __contains__(self, name: str) -> bool:
        return name in self._lines

    def numbers(self, name: str, count: int) -> Float64[np.ndarray, " count"]:
        """The `count` numbers of a line.

        Raises:
            DatasetError: The line is missing, short or holds something else; the message names it.
        """
        if name not in self._lines:
            raise DatasetError(
                f"{self.path}: the line '{name}:' is missing; restore the file from the recording day's "
                "calibration archive"
            )
        try:
            values = np.array([float(word) for word in self._lines[name].split()])
        except ValueError:
            values = np.zeros(0)
        if len(values) != count or not np.isfinite(values).all():
            raise DatasetError(
                f"{self.path}: the line '{name}:' does not hold {count} numbers; restore the file from the "
                "recording day's calibration archive"
            )
        return values

    def rigid(self) -> Float64[np.ndarray, "4 4"]:
        """The motion of the lines R and T."""
        motion = np.eye(4)
        motion[:3, :3] = nearest_rotation(self.numbers("R", 9).reshape(3, 3))
        motion[:3, 3] = self.numbers("T", 3)
        return motion


def split_projection(
    P: Float64[np.ndarray, "3 4"],
) -> tuple[Float64[np.ndarray, "3 3"], Float64[np.ndarray, "4 4"]]:
    """Intrinsics (pixel centres at +0.5) and `cam_from_rectified` of a projection P = K [I | t].

    Args:
        P: Projects points in the rectified reference camera; KITTI counts pixel centres at integers.
    """
    K = P[:, :3].copy()
    cam_from_rectified = np.eye(4)
    cam_from_rectified[:3, 3] = np.linalg.solve(K, P[:, 3])
    K[:2, 2] += 0.5
    return K, cam_from_rectified


def picture_size(path: Path) -> tuple[int, int]:
    """(width, height) from a picture's header.

    Raises:
        DatasetError: The file is no picture.
    """
    try:
        with Image.open(path) as image:
            return image.size
    except (OSError, SyntaxError, ValueError) as error:
        raise DatasetError(
            f"{path}: the picture is truncated or damaged ({error}); copy it again from its source"
        ) from error
