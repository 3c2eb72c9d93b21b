import tomllib
from pathlib import Path

import pytest

from gsrecon.data.rectangles import with_rectangles
from gsrecon.errors import DatasetError
from tests.train.tiny_drive import tiny_drive

KITTI = Path(__file__).parent / "kitti_0001_moving.toml"
TEXT = """
size = [64, 48]
[[picture]]
camera = "front"
index = 2
rectangles = [[4, 6, 10, 20], [60, 0, 64, 2]]
"""


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_rectangles_become_masks_at_the_size_of_the_pictures(tmp_path):
    log = with_rectangles(tiny_drive(), written(tmp_path / "r.toml", TEXT))
    mask = log.mask(log.frames[2], "moving")
    assert mask is not None
    # Pictures are 32 x 24, half of what was marked.
    rows, columns = mask.nonzero()
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == (2, 31, 0, 9)
    assert mask.sum() == 3 * 7 + 2 * 1
    assert log.mask(log.frames[1], "moving") is None


def test_a_resized_log_keeps_the_rectangles(tmp_path):
    log = with_rectangles(tiny_drive().at_scale(0.5), written(tmp_path / "r.toml", TEXT))
    mask = log.mask(log.frames[2], "moving")
    assert mask is not None
    assert mask.shape == (12, 16)
    assert mask[3:5, 1:3].all()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("index = 2", "index = 99"), "has no picture 99 of camera front; remove its table"),
        (("[4, 6, 10, 20]", "[4, 6, 4, 20]"), "is empty or leaves the picture"),
        (("[60, 0, 64, 2]", "[60, 0, 65, 2]"), "is empty or leaves the picture"),
        (("size", "sizes"), "no file of rectangles"),
    ],
)
def test_files_that_make_no_sense_are_refused(tmp_path, change, told):
    with pytest.raises(DatasetError, match=told):
        with_rectangles(tiny_drive(), written(tmp_path / "r.toml", TEXT.replace(*change)))


def test_kitti_drive_0001_is_marked_in_its_held_out_pictures():
    pictures = tomllib.loads(KITTI.read_text())["picture"]
    assert len(pictures) == 36
    assert all(picture["index"] % 4 == 2 and picture["rectangles"] for picture in pictures)
