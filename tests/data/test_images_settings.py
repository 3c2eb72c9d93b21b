"""`images.toml`: what it says is taken, and what it cannot mean is refused with file and key."""

import numpy as np
import pytest

from gsrecon.data.images_found import Picture, Pictures
from gsrecon.data.images_job import colmap_job, picture_pairs
from gsrecon.data.images_settings import (
    Baseline,
    Height,
    ImagesSettings,
    KnownCamera,
    Length,
    Speed,
    read_settings,
)
from gsrecon.errors import DatasetError


@pytest.fixture
def parse(tmp_path):
    def parsed(text):
        file = tmp_path / "images.toml"
        file.write_text(text)
        return read_settings(file)

    return parsed


def test_no_file_gives_the_defaults(tmp_path):
    assert read_settings(tmp_path / "images.toml") == ImagesSettings()


def test_everything_is_taken(parse, tmp_path):
    (tmp_path / "lidar").mkdir()
    settings = parse("""
        fps = 12
        pixel_centers = 0
        ego_camera = "front"
        [cameras.front]
        lens = "fisheye"
        K = [[500, 0, 319.5], [0, 510, 179.5], [0, 0, 1]]
        distortion = [0.1, 0, 0, 0.2]
        [scale]
        baseline_m = 0.5
        between = ["front", "left"]
        [lidar]
        folder = "lidar"
        camera = "front"
        cam_from_lidar = [[0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0], [0, 0, 0, 1]]
        [matching]
        overlap = 6
        features = 2000
        [video]
        pictures_per_second = 5
    """)
    front = settings.cameras["front"]
    assert front.K is not None
    assert front.K.tolist() == [[500, 0, 320], [0, 510, 180], [0, 0, 1]]
    assert front.distortion == (0.1, 0, 0, 0.2)
    assert settings.scale == Baseline(0.5, ("front", "left"))
    assert settings.lidar is not None
    assert settings.lidar.cam_from_lidar[2].tolist() == [1, 0, 0, 0]
    assert (settings.fps, settings.overlap, settings.features, settings.video_fps) == (12, 6, 2000, 5)


def test_the_scale_has_one_source(parse):
    assert parse("[scale]\nspeed_mps = 8").scale == Speed(8.0)
    assert parse("[scale]\nlength_m = 60.5").scale == Length(60.5)
    assert parse("[scale]\ncamera_height_m = 1.5").scale == Height(1.5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fps = 'fast'", r"images\.toml: fps: expected a number above 0, got \"fast\""),
        ("fps = 0", "fps: expected a number above 0, got 0"),
        ("speed = 3", "speed: unknown key; allowed here are fps, "),
        ("fps = ", r"is no valid TOML .* correct that line"),
        ("fps = 3\ntimestamps = 'a'", "fps and timestamps both give the times; keep one"),
        ("[scale]\nlength_m = 3\nspeed_mps = 2", "scale: expected one of baseline_m"),
        ("[scale]\nbaseline_m = 3", "scale: expected one of baseline_m"),
        (
            "[scale]\nbaseline_m = 3\nbetween = ['a', 'a']",
            r"scale\.between: expected the names of two cameras",
        ),
        (
            "[cameras.a]\nK = [[1,0,0],[0,1,0],[0,0,1]]",
            "the key pixel_centers is missing; add pixel_centers = 0",
        ),
        (
            "pixel_centers = 0\n[cameras.a]\nK = [[1,2,0],[0,1,0],[0,0,1]]",
            r"cameras\.a\.K: expected \[\[fx, 0, cx",
        ),
        ("[cameras.a]\nlens = 'wide'", r'cameras\.a\.lens: expected one of "auto", "pinhole"'),
        ("[cameras.a]\ndistortion = [1]", r"cameras\.a\.distortion: expected no distortion without K"),
        (
            "pixel_centers = 0\n[cameras.a]\nlens = 'radial'\nK = [[1,0,0],[0,1,0],[0,0,1]]",
            "expected distortion with 1 numbers for the lens radial",
        ),
        ("[masks]\nego = 'nowhere'", r"masks\.ego: there is no .*nowhere; restore it or remove the key"),
        ("[matching]\noverlap = 0", r"matching\.overlap: expected a whole number of at least 1"),
    ],
)
def test_mistakes_name_file_and_key(parse, text, message):
    with pytest.raises(DatasetError, match=message):
        parse(text)


def pictures(tmp_path, **cameras):
    return Pictures(
        tuple(
            Picture(camera, index, tmp_path / f"{index}.png", 100_000 * index)
            for camera, indices in cameras.items()
            for index in indices
        ),
        dict.fromkeys(cameras, (640, 360)),
        len(cameras) > 1,
        "",
    )


def test_neighbours_are_compared_and_some_far_ones(tmp_path):
    pairs = picture_pairs(pictures(tmp_path, a=range(20)), overlap=3)
    steps = {int(second[2:8]) - int(first[2:8]) for first, second in pairs}
    assert steps == {1, 2, 3, 4, 8, 16}
    assert len(pairs) == len(set(pairs)) == 19 + 18 + 17 + 16 + 12 + 4


def test_cameras_are_compared_near_the_same_index(tmp_path):
    pairs = picture_pairs(pictures(tmp_path, a=[0, 9], b=[2, 8, 20]), overlap=1)
    across = {pair for pair in pairs if pair[0][0] != pair[1][0]}
    assert across == {("a/000000.png", "b/000002.png"), ("a/000009.png", "b/000008.png")}


def test_known_lenses_stay_as_they_are(tmp_path):
    K = np.array([[500.0, 0, 320], [0, 510, 180], [0, 0, 1]])
    settings = ImagesSettings(
        cameras={
            "a": KnownCamera("pinhole", K),
            "b": KnownCamera("radial", K, (-0.1,)),
            "c": KnownCamera("fisheye"),
        }
    )
    cameras = colmap_job(pictures(tmp_path, a=[0], b=[0], c=[0], d=[0]), settings)["cameras"]
    assert cameras["a"] == {
        "model": "PINHOLE",
        "params": [500, 510, 320, 180],
        "constant": True,
        "simplify": False,
    }
    assert cameras["b"]["params"] == [500, 510, 320, 180, -0.1, 0, 0, 0]
    assert cameras["c"] == {
        "model": "OPENCV_FISHEYE",
        "params": None,
        "constant": False,
        "simplify": False,
    }
    assert cameras["d"]["simplify"]
