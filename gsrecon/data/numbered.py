"""Folders of numbered files, and text files of numbers, as KITTI keeps its recordings."""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int64

from gsrecon.errors import DatasetError

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg")


def numbered_files(folder: Path, suffixes: tuple[str, ...]) -> dict[int, Path]:
    """The files `000123.png`, ... of a folder by number; empty where there is no such folder."""
    if not folder.is_dir():
        return {}
    found = (path for path in folder.iterdir() if path.suffix.lower() in suffixes and path.stem.isdigit())
    return {int(path.stem): path for path in sorted(found)}


def require_all_numbers(numbers: Iterable[int], count: int, folders: str, counted_in: Path) -> None:
    """Refuses a recording whose file numbers are not exactly 0 .. count - 1.

    Raises:
        DatasetError: A number is missing, or there are more files than `counted_in` has entries.
    """
    present = set(numbers)
    missing = sorted(set(range(count)) - present)
    if missing:
        shown = ", ".join(str(number) for number in missing[:5]) + (", ..." if len(missing) > 5 else "")
        raise DatasetError(
            f"{folders}: {len(missing)} of {count} frames have no picture (number {shown}); copy the missing "
            f"files again, or cut {counted_in} to the frames that exist"
        )
    if len(present) > count:
        raise DatasetError(
            f"{counted_in}: has {count} entries, but {folders} has pictures up to number {max(present)}; "
            "restore the file or remove the pictures beyond its end"
        )


def read_timestamps(path: Path) -> Int64[np.ndarray, " T"]:
    """Lines `2011-09-26 13:02:25.964389445` as microseconds since 1970 (the clock is taken as UTC).

    Raises:
        DatasetError: The file is missing or no text, or a line is no time; the message names file and line.
    """
    times = []
    for number, line in enumerate(read_lines(path, "timestamps"), start=1):
        if not line.strip():
            continue
        whole, _, fraction = line.strip().partition(".")
        try:
            moment = datetime.strptime(whole, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
            nanoseconds = int((fraction or "0").ljust(9, "0")[:9])
        except ValueError:
            raise DatasetError(
                f"{path}: line {number} is no time like 2011-09-26 13:02:25.964389445; copy the file again"
            ) from None
        times.append(int(moment.timestamp()) * 1_000_000 + (nanoseconds + 500) // 1000)
    if not times:
        raise DatasetError(f"{path}: the file of timestamps is empty; copy it again from the recording")
    return np.array(times, dtype=np.int64)


def read_lines(path: Path, what: str) -> list[str]:
    """The lines of a text file.

    Raises:
        DatasetError: The file is missing or no text; the message names it.
    """
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise DatasetError(f"{path}: the file of {what} is missing; copy it from the recording") from None
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path}: the file of {what} is no text ({error}); copy it again") from error


def read_rows(path: Path, columns: int, what: str) -> Float64[np.ndarray, "T columns"]:
    """Lines of `columns` or more numbers; further columns are dropped.

    Raises:
        DatasetError: The file is missing, or a line is short or holds something else than finite numbers.
    """
    rows = []
    for number, line in enumerate(read_lines(path, what), start=1):
        if not line.strip():
            continue
        try:
            row = [float(word) for word in line.split()[:columns]]
        except ValueError:
            row = []
        if len(row) < columns or not np.isfinite(row).all():
            raise DatasetError(
                f"{path}: line {number} of {what} does not hold {columns} finite numbers; copy the file again"
            )
        rows.append(row)
    return np.array(rows, dtype=np.float64).reshape(-1, columns)
