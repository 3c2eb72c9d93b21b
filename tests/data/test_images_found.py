"""Folders of plain pictures: cameras, order, times, and one sentence for each mistake."""

import numpy as np
import pytest
from PIL import ExifTags, Image

from gsrecon.data.images_found import ONE_CAMERA, arrange, find_streams, natural
from gsrecon.data.images_settings import ImagesSettings, read_settings
from gsrecon.errors import DatasetError


def save(folder, *names, size=(12, 8)):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        Image.fromarray(np.zeros((size[1], size[0], 3), np.uint8)).save(folder / name)


NOTHING = ImagesSettings()


def found(folder, settings=NOTHING):
    streams = find_streams(folder, settings)
    return arrange(
        {camera: [(file, None) for file in files] for camera, files in streams.items()}, folder, settings
    )


def test_numbers_in_names_count(tmp_path):
    save(tmp_path, "a10.png", "a2.png", "a1.jpg")
    assert [path.name for path in find_streams(tmp_path, ImagesSettings())[ONE_CAMERA]] == [
        "a1.jpg",
        "a2.png",
        "a10.png",
    ]
    assert natural("b") > natural("a10") > natural("a9")


def test_pictures_in_the_folder_are_one_camera_at_ten_a_second(tmp_path):
    save(tmp_path, "0.png", "1.png", "2.png")
    pictures = found(tmp_path)
    assert [(p.camera, p.index, p.timestamp_us) for p in pictures.all] == [
        (ONE_CAMERA, 0, 0),
        (ONE_CAMERA, 1, 100_000),
        (ONE_CAMERA, 2, 200_000),
    ]
    assert pictures.sizes == {ONE_CAMERA: (12, 8)}
    assert pictures.clock == "10 pictures a second are assumed"


def test_each_sub_folder_is_a_camera_and_equal_names_belong_together(tmp_path):
    save(tmp_path / "left", "000.png", "001.png", "003.png")
    save(tmp_path / "right", "001.png", "002.png", "003.png")
    save(tmp_path / ".hidden", "000.png")
    pictures = found(tmp_path, ImagesSettings(fps=2.0))
    assert pictures.together
    assert [p.index for p in pictures.of("left")] == [0, 1, 3]
    assert [p.index for p in pictures.of("right")] == [1, 2, 3]
    assert [p.timestamp_us for p in pictures.of("right")] == [500_000, 1_000_000, 1_500_000]


def test_equal_numbers_belong_together_where_names_differ(tmp_path):
    save(tmp_path / "left", "left_7.png", "left_8.png")
    save(tmp_path / "right", "right_08.png", "right_09.png")
    pictures = found(tmp_path)
    assert pictures.together
    assert [p.index for p in pictures.of("right")] == [1, 2]


def test_cameras_without_common_names_are_counted_apart(tmp_path):
    save(tmp_path / "left", "1532402927612460.png", "1532402927712460.png")
    save(tmp_path / "right", "1532402927604844.png", "1532402927704844.png")
    pictures = found(tmp_path)
    assert not pictures.together
    assert [p.index for p in pictures.of("right")] == [0, 1]


def test_times_come_from_a_file_by_name_or_by_place(tmp_path):
    save(tmp_path / "a", "1.png", "2.png")
    save(tmp_path / "b", "1.png", "2.png")
    times = tmp_path / "times.txt"
    times.write_text("a/1.png 5\na/2 5.1\nb/1.png 5.01\nb/2.png 5.11\n")
    (tmp_path / "images.toml").write_text('timestamps = "times.txt"')
    settings = read_settings(tmp_path / "images.toml")
    assert [p.timestamp_us for p in found(tmp_path, settings).all] == [
        5_000_000,
        5_100_000,
        5_010_000,
        5_110_000,
    ]
    times.write_text("0\n0.25\n")
    assert [p.timestamp_us for p in found(tmp_path, settings).all] == [0, 250_000, 0, 250_000]
    times.write_text("0\n")
    with pytest.raises(
        DatasetError, match=r"times\.txt: has 1 times, but .*2\.png is picture 1; add the others"
    ):
        found(tmp_path, settings)
    times.write_text("a/1.png 0\n")
    with pytest.raises(DatasetError, match=r"times\.txt: there is no time for a/2\.png; add its line"):
        found(tmp_path, settings)
    times.write_text("soon\n")
    with pytest.raises(DatasetError, match="expected lines 'SECONDS' or 'PICTURE SECONDS'"):
        found(tmp_path, settings)


def test_two_pictures_of_one_camera_may_not_have_one_time(tmp_path):
    save(tmp_path, "1.png", "2.png", "3.png")
    (tmp_path / "times.txt").write_text("0\n1\n1\n")
    settings = ImagesSettings(timestamps=tmp_path / "times.txt")
    with pytest.raises(DatasetError, match=r"3\.png: has the time of 2\.png \(1 s\); give every picture"):
        found(tmp_path, settings)


def test_a_turned_picture_has_the_size_it_is_seen_in(tmp_path):
    save(tmp_path, "1.png", "2.png")
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.new("RGB", (8, 12)).save(tmp_path / "3.jpg", exif=exif)
    assert found(tmp_path).sizes == {ONE_CAMERA: (12, 8)}


def test_times_ascend_in_the_order_of_the_pictures(tmp_path):
    save(tmp_path, "1.png", "2.png", "3.png")
    (tmp_path / "times.txt").write_text("0\n2\n1\n")
    settings = ImagesSettings(timestamps=tmp_path / "times.txt")
    with pytest.raises(
        DatasetError, match=r"3\.png: its time, 1 s, lies before that of 2\.png, 2 s; correct"
    ):
        found(tmp_path, settings)


@pytest.mark.parametrize("line", ["nan", "inf", "2.png nan", "1e300"])
def test_a_time_that_is_no_number_is_refused(tmp_path, line):
    save(tmp_path, "1.png", "2.png", "3.png")
    (tmp_path / "times.txt").write_text(f"{line}\n" * 3)
    with pytest.raises(DatasetError, match=r"times\.txt: expected lines 'SECONDS' or 'PICTURE SECONDS'"):
        found(tmp_path, ImagesSettings(timestamps=tmp_path / "times.txt"))


def test_masks_are_found_by_picture_and_by_camera(tmp_path):
    save(tmp_path / "front", "1.png", "2.png", "3.png")
    save(tmp_path / "masks" / "moving" / "front", "2.png")
    save(tmp_path / "masks" / "own", "front.png")
    (tmp_path / "images.toml").write_text('[masks]\nmoving = "masks/moving"\nego = "masks/own"\n')
    pictures = found(tmp_path, read_settings(tmp_path / "images.toml")).all
    assert sorted(pictures[1].masks) == ["ego", "moving"]
    assert sorted(pictures[0].masks) == ["ego"]
    assert pictures[0].masks["ego"].name == "front.png"


def test_faults_of_a_folder_are_one_sentence_each(tmp_path):
    with pytest.raises(DatasetError, match="there is no such folder or video"):
        found(tmp_path / "nowhere")
    with pytest.raises(DatasetError, match="no pictures .* or videos in it"):
        found(tmp_path)
    save(tmp_path, "1.png", "2.png")
    with pytest.raises(DatasetError, match="2 pictures are too few for a scene; give at least 3"):
        found(tmp_path)
    save(tmp_path, "3.png", size=(13, 8))
    with pytest.raises(DatasetError, match=r"3\.png: is 13 x 8, but 1\.png of the same camera is 12 x 8"):
        found(tmp_path)
    (tmp_path / "3.png").write_bytes(b"no picture")
    with pytest.raises(DatasetError, match=r"3\.png: is no picture .* copy it again"):
        found(tmp_path)
    save(tmp_path / "left", "1.png")
    with pytest.raises(DatasetError, match="holds pictures and also left; move the pictures"):
        found(tmp_path)


def test_a_camera_that_is_not_there_is_named(tmp_path):
    save(tmp_path, "1.png", "2.png", "3.png")
    with pytest.raises(DatasetError, match=r"images\.toml names the camera front, but there are camera;"):
        found(tmp_path, ImagesSettings(ego_camera="front"))


def test_cameras_may_keep_their_pictures_in_a_folder_data(tmp_path):
    save(tmp_path / "image_02" / "data", "0.png", "1.png")
    save(tmp_path / "image_03" / "data", "0.png", "1.png")
    assert [(p.camera, p.index) for p in found(tmp_path).all] == [
        ("image_02", 0),
        ("image_02", 1),
        ("image_03", 0),
        ("image_03", 1),
    ]
