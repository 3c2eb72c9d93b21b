"""Data sets are whole or not there: written aside, then renamed."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gsrecon.errors import DatasetError


def require_new(folder: Path) -> None:
    """Refuses to write where something is.

    Raises:
        DatasetError: The folder exists and is not empty.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DatasetError(f"{folder}: exists already and is not empty; remove it or choose another folder")


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A folder that is written aside and takes its place when the block ends well.

    What killed processes left aside for the same folder is removed.

    Raises:
        DatasetError: It exists and is not empty, or the disk is full.
    """
    require_new(folder)
    aside = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    for left in folder.parent.glob(f".{folder.name}.*.partial"):
        shutil.rmtree(left, ignore_errors=True)
    try:
        aside.mkdir(parents=True)
        yield aside
        os.replace(aside, folder)
    except OSError as error:
        raise DatasetError(
            f"{folder}: the data set cannot be written ({error.strerror or error}); free space and "
            "run the same command again, or choose another place"
        ) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
