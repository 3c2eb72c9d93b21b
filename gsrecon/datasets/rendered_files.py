"""Files that every data set of rendered pictures has: the pictures, by names that sort as they were taken."""

import os
import shutil
from pathlib import Path

from gsrecon.datasets.labeled import LabeledPicture
from gsrecon.datasets.rendering import file_word


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
