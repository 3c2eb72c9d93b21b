"""KITTI's calibration files: `name: numbers` lines, rectified cameras, rigid transforms.

Source: Geiger, Lenz, Stiller, Urtasun, "Vision meets robotics: the KITTI dataset", IJRR 2013, section 4.
"""

from pathlib import Path

import numpy as np
from jaxtyping import Float64
from PIL import Image

from gsrecon.data.numbered import read_lines
from gsrecon.data.pictures import upright_size
from gsrecon.errors import DatasetError
from gsrecon.geometry.recorded import is_pinhole, printed_rotation


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
        for line in read_lines(path, "calibration"):
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
            raise self._wrong(name, "is missing")
        try:
            values = np.array([float(word) for word in self._lines[name].split()])
        except ValueError:
            values = np.zeros(0)
        if len(values) != count or not np.isfinite(values).all():
            raise self._wrong(name, f"does not hold {count} numbers")
        return values

    def rotation(self, name: str) -> Float64[np.ndarray, "3 3"]:
        """The rotation of a line.

        Raises:
            DatasetError: The line is missing, or holds something else; the message names it.
        """
        try:
            return printed_rotation(self.numbers(name, 9).reshape(3, 3))
        except ValueError as error:
            raise self._wrong(name, f"holds {error}") from error

    def projection(self, name: str) -> tuple[Float64[np.ndarray, "3 3"], Float64[np.ndarray, "4 4"]]:
        """The projection of a line, split by `split_projection`.

        Raises:
            DatasetError: The line is missing, or holds something else; the message names it.
        """
        try:
            return split_projection(self.numbers(name, 12).reshape(3, 4))
        except ValueError as error:
            raise self._wrong(name, f"holds {error}") from error

    def rigid(self) -> Float64[np.ndarray, "4 4"]:
        """The motion of the lines R and T."""
        motion = np.eye(4)
        motion[:3, :3] = self.rotation("R")
        motion[:3, 3] = self.numbers("T", 3)
        return motion

    def _wrong(self, name: str, what: str) -> DatasetError:
        return DatasetError(
            f"{self.path}: the line '{name}:' {what}; restore the file from the recording day's "
            "calibration archive"
        )


def split_projection(
    P: Float64[np.ndarray, "3 4"],
) -> tuple[Float64[np.ndarray, "3 3"], Float64[np.ndarray, "4 4"]]:
    """Intrinsics (pixel centres at +0.5) and `cam_from_rectified` of a projection P = K [I | t].

    Args:
        P: Projects points in the rectified reference camera; KITTI counts pixel centres at integers.

    Raises:
        ValueError: Its left part is no K of a pinhole camera without skew.
    """
    K = P[:, :3].copy()
    if not (K[0, 0] > 0 and K[1, 1] > 0 and is_pinhole(K)):
        raise ValueError("no projection K [I | t] with K = [[fx, 0, cx], [0, fy, cy], [0, 0, 1]], fx, fy > 0")
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
            return upright_size(image)
    except (OSError, SyntaxError, ValueError) as error:
        raise DatasetError(
            f"{path}: the picture is truncated or damaged ({error}); copy it again from its source"
        ) from error
