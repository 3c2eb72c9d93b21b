"""Undistortion: agrees with OpenCV, shows no pixel that nobody recorded, and reaches the drive's pictures."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

from gsrecon.data.folder import read_folder, write_folder
from gsrecon.data.log import CameraFrame
from gsrecon.data.undistort import RadialTangentialLens, recorded_pixels, widest_pinhole
from gsrecon.errors import DatasetError
from tests.data.conftest import save_png

WIDTH, HEIGHT = 96, 64
K = np.array([[60.0, 0, 50.3], [0, 62.0, 30.1], [0, 0, 1]])
LENSES = {
    "barrel": (-0.28, 0.07, 0.001, -0.0006, 0.0),
    "pincushion": (0.12, 0.03, -0.001, 0.002, 0.004),
    "turns back": (-0.3, 0.0, 0.0, 0.0, 0.0),
    "none": (0.0, 0.0, 0.0, 0.0, 0.0),
}


def lens(name, K_undistorted=None):
    if K_undistorted is None:
        return RadialTangentialLens.widest(K, LENSES[name], WIDTH, HEIGHT)
    return RadialTangentialLens(K, LENSES[name], WIDTH, HEIGHT, K_undistorted)


def smooth_picture():
    x, y = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    waves = [np.sin(x / 7 + k) * np.cos(y / 9 - k) for k in range(3)]
    return np.round(127 + 120 * np.stack(waves, axis=-1)).astype(np.uint8)


def integer_centres(matrix):
    """OpenCV counts pixel centres at integers."""
    shifted = matrix.copy()
    shifted[:2, 2] -= 0.5
    return shifted


@pytest.mark.parametrize("name", ["barrel", "pincushion", "none"])
def test_pixels_go_where_opencv_puts_them(name):
    chosen = lens(name).K_undistorted
    maps = cv2.initUndistortRectifyMap(
        integer_centres(K),
        np.array(LENSES[name]),
        None,
        integer_centres(chosen),
        (WIDTH, HEIGHT),
        cv2.CV_32FC1,
    )
    x, y = np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5)
    ours = recorded_pixels(np.stack([x.ravel(), y.ravel()], axis=1), chosen, K, LENSES[name])
    theirs = np.stack(maps, axis=-1).reshape(-1, 2) + 0.5
    assert np.allclose(ours, theirs, atol=1e-4)


@pytest.mark.parametrize("name", ["barrel", "pincushion"])
def test_pictures_are_what_opencv_makes_of_them(name):
    picture = smooth_picture()
    chosen = lens(name).K_undistorted
    theirs = cv2.undistort(picture, integer_centres(K), np.array(LENSES[name]), None, integer_centres(chosen))
    ours = lens(name).undistort(picture)
    inner = (slice(2, -2), slice(2, -2))  # OpenCV takes black from beyond the border, we the border itself
    difference = np.abs(ours.astype(int) - theirs.astype(int))[inner]
    assert difference.max() <= 2  # OpenCV interpolates in 32nds of a pixel


@pytest.mark.parametrize("name", list(LENSES))
def test_the_widest_pinhole_shows_recorded_pixels_only_and_no_wider_one_does(name):
    assert lens(name).seen.all()
    wider = lens(name).K_undistorted.copy()
    wider[0, 0] *= 0.98
    wider[1, 1] *= 0.98
    assert not lens(name, wider).seen.all()


def test_a_lens_without_distortion_changes_nothing():
    # Border pixels reach half a pixel beyond their centres, so the whole picture is seen a touch wider.
    same = lens("none", K)
    assert np.array_equal(same.undistort(smooth_picture()), smooth_picture())
    ids = np.arange(WIDTH * HEIGHT, dtype=np.int32).reshape(HEIGHT, WIDTH)
    assert np.array_equal(same.undistort_ids(ids), ids)


@pytest.mark.parametrize("name", list(LENSES))
def test_a_mask_bent_as_it_would_be_recorded_comes_back(name):
    x, y = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    mask = y > 45 + 6 * ((x - WIDTH / 2) / (WIDTH / 2)) ** 2
    recorded = lens(name).distort_ids(mask)
    assert recorded.dtype == bool
    again = lens(name).undistort_ids(recorded.astype(np.int32))
    assert again[mask].all()
    changed = again != mask
    # Recorded pixels between both sides of the outline count as inside: at most its next row.
    assert not changed[:-1][~mask[1:]].any()
    assert changed.mean() < 0.005


def test_ids_of_places_nobody_recorded_are_not_kept():
    wide = K.copy()
    wide[0, 0], wide[1, 1] = 40.0, 40.0
    made = lens("barrel", wide)
    ids = np.where(made.seen, 0, 9).astype(np.int32)
    assert ids.any()
    assert not made.distort_ids(ids).any()


def test_a_straight_line_in_the_world_is_straight_again():
    t = np.linspace(-1, 1, 400)
    line = np.stack([0.3 + 0.1 * t, 0.4 * t], axis=1)  # through the normalized picture
    straight = line * [K[0, 0], K[1, 1]] + K[:2, 2]
    bent = recorded_pixels(straight, K, K, LENSES["barrel"])
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    x, y = np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5)
    distance = np.hypot(x[..., None] - bent[:, 0], y[..., None] - bent[:, 1]).min(axis=-1)
    picture[distance < 1.0] = 255
    result = lens("barrel", K).undistort(picture)[..., 0] > 127
    rows, columns = np.nonzero(result)
    away = (columns + 0.5 - K[0, 2]) / K[0, 0] - (0.3 + 0.25 * (rows + 0.5 - K[1, 2]) / K[1, 1])
    assert len(rows) > 40
    assert np.abs(away).max() * K[0, 0] < 1.6


def test_what_lies_beyond_the_turning_point_is_unseen():
    # r (1 - 0.3 r^2) turns back at r = 1 / sqrt(0.9); beyond it the picture would show ghosts of its middle.
    wide = K.copy()
    wide[0, 0], wide[1, 1] = 20.0, 20.0
    made = lens("turns back", wide)
    x, y = np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5)
    radius = np.hypot((x - K[0, 2]) / 20, (y - K[1, 2]) / 20)
    assert not made.seen[radius > 1 / np.sqrt(0.9)].any()
    assert made.seen[radius < 0.5].all()
    assert (made.undistort(np.full((HEIGHT, WIDTH, 3), 200, np.uint8))[~made.seen] == 0).all()


def test_a_lens_that_folds_over_is_refused():
    with pytest.raises(ValueError, match="near a pinhole"):
        widest_pinhole(K - [[0, 0, 500], [0, 0, 0], [0, 0, 0]], LENSES["barrel"], WIDTH, HEIGHT)


@pytest.fixture
def bent_drive(tmp_path):
    """A drive folder with one radial-tangential camera, a mask and an id picture."""
    folder = tmp_path / "bent"
    save_png(folder / "0.png", smooth_picture())
    ids = np.zeros((HEIGHT, WIDTH), np.uint8)
    ids[50:] = 7
    save_png(folder / "bonnet.png", ids)
    camera = {
        "width": WIDTH,
        "height": HEIGHT,
        "K": K.tolist(),
        "model": "radial-tangential",
        "distortion": list(LENSES["barrel"]),
    }
    frame = {
        "camera": "front",
        "image": "0.png",
        "timestamp_us": 0,
        "world_from_cam": np.eye(4).tolist(),
        "masks": {"ego": "bonnet.png"},
    }
    document = {"format_version": 1, "pixel_centers": 0.5, "cameras": {"front": camera}, "frames": [frame]}
    (folder / "drive.json").write_text(json.dumps(document))
    return folder


def change_camera(folder, **values):
    document = json.loads((folder / "drive.json").read_text())
    document["cameras"]["front"] |= values
    (folder / "drive.json").write_text(json.dumps(document))


def test_a_drive_folder_gives_undistorted_pictures_masks_and_k(bent_drive):
    log = read_folder(bent_drive)
    camera, frame = log.cameras["front"], log.frames[0]
    assert camera.model == "pinhole"
    assert camera.distortion is None
    assert np.array_equal(camera.K, lens("barrel").K_undistorted)
    assert np.array_equal(log.image(frame), lens("barrel").undistort(smooth_picture()))
    ids = np.zeros((HEIGHT, WIDTH), np.int32)
    ids[50:] = 7
    expected = lens("barrel").undistort_ids(ids)
    assert np.array_equal(log.mask(frame, "ego"), expected != 0)
    assert np.array_equal(log.ids(frame, "ego"), expected)
    assert np.array_equal(log.valid(frame), expected == 0)


def test_four_coefficients_are_k1_k2_p1_p2(bent_drive):
    change_camera(bent_drive, distortion=[-0.28, 0.07, 0.001, -0.0006])
    assert np.array_equal(read_folder(bent_drive).cameras["front"].K, lens("barrel").K_undistorted)


def test_with_a_k_of_ones_own_unseen_pixels_never_count(bent_drive):
    wide = K.copy()
    wide[0, 0], wide[1, 1] = 40.0, 40.0
    change_camera(bent_drive, K_undistorted=wide.tolist())
    log = read_folder(bent_drive)
    seen = lens("barrel", wide).seen
    assert not seen.all()
    assert np.array_equal(log.cameras["front"].K, wide)
    assert not log.valid(log.frames[0])[~seen].any()
    small = log.at_scale(0.5)
    blocks = seen.reshape(HEIGHT // 2, 2, WIDTH // 2, 2).all(axis=(1, 3))
    assert not small.valid(small.frames[0])[~blocks].any()
    assert small.valid(small.frames[0])[blocks].any()
    middle = log.cropped(64, 40)
    assert not middle.valid(middle.frames[0])[~seen[12:52, 16:80]].any()


def test_pictures_are_resized_and_cropped_after_they_are_undistorted(bent_drive):
    log = read_folder(bent_drive)
    whole = log.image(log.frames[0])
    small = log.at_scale(0.5)
    means = whole.reshape(HEIGHT // 2, 2, WIDTH // 2, 2, 3).astype(float).mean(axis=(1, 3))
    assert np.abs(small.image(small.frames[0]) - means).max() <= 0.5
    assert np.allclose(small.cameras["front"].K, np.diag([0.5, 0.5, 1]) @ log.cameras["front"].K)
    middle = log.cropped(64, 40)
    assert np.array_equal(middle.image(middle.frames[0]), whole[12:52, 16:80])


def test_bent_drives_are_written_with_their_lens_and_read_back_equal(bent_drive, tmp_path):
    log = read_folder(bent_drive)
    again = read_folder(write_folder(log, tmp_path / "again"))
    assert np.array_equal(again.cameras["front"].K, log.cameras["front"].K)
    assert np.array_equal(again.image(again.frames[0]), log.image(log.frames[0]))
    assert np.array_equal(again.mask(again.frames[0], "ego"), log.mask(log.frames[0], "ego"))


def test_resized_bent_drives_are_written_as_pinhole_and_keep_what_counts(bent_drive, tmp_path):
    wide = K.copy()
    wide[0, 0], wide[1, 1] = 40.0, 40.0
    change_camera(bent_drive, K_undistorted=wide.tolist())
    small = read_folder(bent_drive).at_scale(0.5)
    again = read_folder(write_folder(small, tmp_path / "small"))
    assert again.cameras["front"].recorded_lens is None
    assert np.array_equal(again.image(again.frames[0]), small.image(small.frames[0]))
    assert np.array_equal(again.valid(again.frames[0]), small.valid(small.frames[0]))


def test_pixels_in_memory_are_undistorted_too(bent_drive):
    log = read_folder(bent_drive)
    frame = log.frames[0]
    held = CameraFrame("front", 0, 0, frame.world_from_cam, smooth_picture())
    assert np.array_equal(replace(log, frames=(held,)).image(held), log.image(frame))


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"distortion": [0.1, 0.2]}, "cameras.front.distortion: expected k1, k2, p1, p2"),
        ({"model": "pinhole"}, "cameras.front.distortion: expected none for a pinhole"),
        ({"distortion": [-90.0, 0, 0, 0]}, "cameras.front.distortion: expected"),
        ({"K_undistorted": [[1, 0, 0], [0, 1, 0]]}, "cameras.front.K_undistorted: expected 3 x 3"),
        ({"model": "fisheye", "distortion": [0, 0, 0, 0], "K_undistorted": K.tolist()}, "K_undistorted"),
    ],
)
def test_mistakes_in_a_lens_are_one_sentence(bent_drive, values, sentence):
    change_camera(bent_drive, **values)
    with pytest.raises(DatasetError, match=sentence.replace(".", r"\.")):
        read_folder(bent_drive)


def test_a_radial_tangential_camera_needs_its_coefficients(bent_drive):
    document = json.loads((bent_drive / "drive.json").read_text())
    del document["cameras"]["front"]["distortion"]
    (bent_drive / "drive.json").write_text(json.dumps(document))
    with pytest.raises(DatasetError, match="distortion"):
        read_folder(bent_drive)
