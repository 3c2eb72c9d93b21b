"""Pictures out of a video: how many, when, and what is said of a broken one."""

import numpy as np
import pytest
from PIL import Image

from gsrecon.data.images_found import arrange, find_streams
from gsrecon.data.images_settings import ImagesSettings
from gsrecon.data.images_video import video_pictures
from gsrecon.data.video import extract_pictures
from gsrecon.errors import DatasetError
from gsrecon.evaluation import video


@pytest.fixture
def film(tmp_path):
    """A second at 30 pictures a second, each brighter than the one before."""
    path = tmp_path / "drive.mp4"
    with video.film(path, 30.0) as writer:
        for i in range(30):
            writer.add(np.full((64, 96, 3), 7 * i, np.uint8))
    return path


def test_a_video_is_thinned_to_the_wanted_rate(film, tmp_path):
    (tmp_path / "out").mkdir()
    taken = extract_pictures(film, tmp_path / "out", 10.0)
    assert [time for _, time in taken] == pytest.approx([100_000 * i for i in range(10)], abs=2)
    with Image.open(taken[4][0]) as image:
        assert image.size == (96, 64)
        assert np.asarray(image).mean() == pytest.approx(7 * 12, abs=3)


def test_a_slow_video_is_taken_whole(film, tmp_path):
    (tmp_path / "out").mkdir()
    assert len(extract_pictures(film, tmp_path / "out", 60.0)) == 30


def test_a_video_is_a_camera_with_its_own_times(film, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    streams = find_streams(film, ImagesSettings())
    pictures = arrange({"camera": video_pictures(streams["camera"][0], 5.0)}, film, ImagesSettings())
    assert [picture.timestamp_us for picture in pictures.all] == pytest.approx(
        [200_000 * i for i in range(5)], abs=2
    )
    assert pictures.clock == "times are the video's own"
    assert find_streams(film.parent, ImagesSettings()) == {"drive": [film]}


def test_a_broken_video_is_named(tmp_path):
    path = tmp_path / "drive.mp4"
    path.write_bytes(b"no video")
    with pytest.raises(DatasetError, match=r"drive\.mp4: the video cannot be decoded .* convert it"):
        extract_pictures(path, tmp_path, 10.0)
