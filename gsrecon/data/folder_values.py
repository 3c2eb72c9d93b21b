"""Values of a drive.json, each checked where it is taken; errors name the file and the JSON path."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from gsrecon.errors import DatasetError
from gsrecon.geometry.recorded import is_rigid

_LARGEST = 2**63 - 1


class Value:
    """One value of the file and the way to it, such as `frames[3].image`."""

    def __init__(self, content: Any, file: Path, place: str = "") -> None:
        self.content = content
        self.file = file
        self.place = place

    @classmethod
    def load(cls, file: Path) -> "Value":
        """The whole file.

        Raises:
            DatasetError: The file is missing or no JSON; the message names the line.
        """
        if not file.is_file():
            raise DatasetError(
                f"{file}: the file is missing; write it as docs/drive-folder.md shows or give another folder"
            )
        try:
            return cls(json.loads(file.read_text(encoding="utf-8")), file)
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise DatasetError(f"{file}: is no valid JSON ({error}); correct that place") from error

    def error(self, expected: str) -> DatasetError:
        """One sentence: file, JSON path, what is expected, what is there."""
        shown = json.dumps(self.content)
        shown = shown if len(shown) <= 60 else shown[:57] + "..."
        return DatasetError(
            f"{self.file}: {self.place or 'the file'}: expected {expected}, got {shown}; correct that value"
        )

    def members(self, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, "Value"]:
        """The members of an object that has exactly the known keys."""
        if not isinstance(self.content, dict):
            raise self.error("an object { }")
        for key in self.content:
            if key not in required + optional:
                raise DatasetError(
                    f"{self.file}: {self._inside(key)}: unknown key; allowed here are "
                    f"{', '.join(required + optional)}"
                )
        for key in required:
            if key not in self.content:
                raise DatasetError(f"{self.file}: {self._inside(key)}: the key is missing; add it")
        return {key: Value(item, self.file, self._inside(key)) for key, item in self.content.items()}

    def named(self) -> dict[str, "Value"]:
        """The members of an object whose keys are names the user chose."""
        if not isinstance(self.content, dict):
            raise self.error("an object { } with a name for each entry")
        return {key: Value(item, self.file, self._inside(key)) for key, item in self.content.items()}

    def items(self) -> Iterator["Value"]:
        """The entries of a list."""
        if not isinstance(self.content, list):
            raise self.error("a list [ ]")
        for i, item in enumerate(self.content):
            yield Value(item, self.file, f"{self.place}[{i}]")

    def text(self) -> str:
        """A string."""
        if not isinstance(self.content, str):
            raise self.error("a text in quotes")
        return self.content

    def choice(self, *allowed: object) -> Any:
        """One of a few values."""
        if self.content not in allowed or isinstance(self.content, bool):
            raise self.error("one of " + ", ".join(json.dumps(value) for value in allowed))
        return self.content

    def whole(self, least: int | None = None) -> int:
        """A whole number."""
        if not isinstance(self.content, int) or isinstance(self.content, bool):
            raise self.error("a whole number")
        if abs(self.content) > _LARGEST:
            raise self.error("a whole number of at most 64 bits")
        if least is not None and self.content < least:
            raise self.error(f"a whole number of at least {least}")
        return self.content

    def numbers(self, *shape: int) -> Float64[np.ndarray, "..."]:
        """Nested lists of finite numbers; -1 in `shape` is any length."""
        words = " x ".join("N" if size < 0 else str(size) for size in shape)
        if not _is_numeric(self.content, len(shape)):
            raise self.error(f"{words} numbers as nested lists")
        try:
            array = np.array(self.content, dtype=np.float64)
        except OverflowError:
            raise self.error(f"{words} finite numbers as nested lists") from None
        fits = array.ndim == len(shape) and all(
            wanted in (-1, size) for wanted, size in zip(shape, array.shape, strict=True)
        )
        if not fits or not np.isfinite(array).all():
            raise self.error(f"{words} finite numbers as nested lists")
        return array

    def rigid(self) -> Float64[np.ndarray, "4 4"]:
        """A rigid motion: rotation and translation [m] as 4 rows of 4."""
        motion = self.numbers(4, 4)
        if not is_rigid(motion) or not (motion[3] == [0, 0, 0, 1]).all():
            raise self.error("a rigid 4 x 4 motion (rotation without scale or mirroring, last row 0 0 0 1)")
        return motion

    def intrinsics(self, first_pixel_centre: float) -> Float64[np.ndarray, "3 3"]:
        """K with pixel centres at +0.5, of a K that counts the first one's centre as given."""
        K = self.numbers(3, 3)
        if not (K[0, 0] > 0 and K[1, 1] > 0 and K[0, 1] == K[1, 0] == 0 and (K[2] == [0, 0, 1]).all()):
            raise self.error("[[fx, 0, cx], [0, fy, cy], [0, 0, 1]] with fx, fy above 0")
        K[:2, 2] += 0.5 - first_pixel_centre
        return K

    def path(self) -> Path:
        """A file that exists, relative to the drive's folder."""
        path = self.file.parent / self.text()
        if not path.is_file():
            raise DatasetError(
                f"{self.file}: {self.place}: there is no file {path}; restore it or remove the entry"
            )
        return path

    def _inside(self, key: str) -> str:
        return f"{self.place}.{key}" if self.place else key


def _is_numeric(content: Any, depth: int) -> bool:
    """True for lists nested to `depth`, all of one length on each level, that hold numbers."""
    if depth == 0:
        return isinstance(content, int | float) and not isinstance(content, bool)
    if not isinstance(content, list) or not all(_is_numeric(item, depth - 1) for item in content):
        return False
    return depth == 1 or len({len(item) for item in content}) <= 1
