"""Files that every data set of rendered pictures has: the pictures, by names that sort as they were taken."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gsrecon.datasets.labeled import LabeledPicture
from gsrecon.datasets.rendering import file_word
from gsrecon.errors import DatasetError


def picture_name(picture: LabeledPicture) -> str:
    """Take, moment and camera: different for every picture."""
    record = picture.record
    return f"{record.take:03d}_{record.moment:06d}_{file_word(record.camera)}"


def place_file(source: Path, target: Path) -> None:
    """The same file at another place; linked where the disk can, else copied."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


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
            f"{folder}: cannot be written ({error.strerror or error}); free space and run the same command "
            "again"
        ) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
