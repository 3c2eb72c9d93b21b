"""Pictures, colour maps and films as files."""

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from gsrecon.data.pictures import to_uint8
from gsrecon.evaluation.pictures import depth_picture, error_picture, shrink, turbo, write_png
from gsrecon.evaluation.video import film


def test_a_png_reads_back_the_same(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    write_png(tmp_path / "new folder" / "a.png", image)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "new folder" / "a.png")), image)
    assert [p.name for p in (tmp_path / "new folder").iterdir()] == ["a.png"]


def test_colours_outside_the_range_are_clamped_and_nan_is_black() -> None:
    image = np.array([[[-1.0, 0.5, 2.0], [np.nan, 0.0, 1.0]]])
    assert to_uint8(image).tolist() == [[[0, 128, 255], [0, 0, 255]]]


def test_the_colour_map_goes_from_blue_to_red() -> None:
    low, high = turbo(np.array([[0.15, 0.95]]))[0].astype(int)
    assert low[2] > low[0] + 100
    assert high[0] > high[2] + 100


def test_near_depth_is_red_far_is_blue_and_none_is_black() -> None:
    depth = np.array([[2.2, 60.0, 0.0]], np.float32)
    near, far, none = depth_picture(depth, near=2.0, far=80.0)[0].astype(int)
    assert near[0] > near[2]
    assert far[2] > far[0]
    assert none.tolist() == [0, 0, 0]


def test_a_picture_without_any_depth_is_black() -> None:
    assert depth_picture(np.zeros((2, 3), np.float32)).max() == 0


def test_error_is_dark_blue_where_equal_and_grey_where_it_does_not_count() -> None:
    truth = np.zeros((1, 3, 3), np.uint8)
    image = truth.copy()
    image[0, 1:] = 255
    picture = error_picture(image, truth, np.array([[True, True, False]])).astype(int)
    assert picture[0, 0].max() < 120
    assert picture[0, 1, 0] > 100 > picture[0, 1, 2]
    assert picture[0, 2].tolist() == [128, 128, 128]


def test_shrinking_averages_and_leaves_small_pictures_alone() -> None:
    image = np.zeros((2, 4, 3), np.uint8)
    image[:, ::2] = 200
    assert (shrink(image, 2) == 100).all()
    assert shrink(image, 8) is image


def test_a_film_of_odd_size_plays_with_even_size_and_keeps_its_colours(tmp_path: Path) -> None:
    images = [np.full((33, 51, 3), level, np.uint8) for level in (40, 120, 200)]
    with film(tmp_path / "film.mp4", pictures_per_second=12.5) as writer:
        for image in images:
            writer.add(image)
    with av.open(str(tmp_path / "film.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.width, stream.codec_context.height) == (52, 34)
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert float(stream.average_rate) == pytest.approx(12.5)
        levels = [frame.to_ndarray(format="rgb24").mean() for frame in container.decode(stream)]
    assert np.allclose(levels, [40, 120, 200], atol=6)


def test_a_film_that_fails_leaves_the_old_one_and_no_rest(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(b"old")

    def fail() -> None:
        with film(path) as writer:
            writer.add(np.zeros((16, 16, 3), np.uint8))
            raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        fail()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_pictures_of_different_sizes_do_not_make_a_film(tmp_path: Path) -> None:
    with film(tmp_path / "film.mp4") as writer:
        writer.add(np.zeros((16, 16, 3), np.uint8))
        with pytest.raises(ValueError, match="expected 16 x 16"):
            writer.add(np.zeros((32, 16, 3), np.uint8))
