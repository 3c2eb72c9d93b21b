"""The own car is what stays while the world moves; the road, lane lines and the sky are not."""

from dataclasses import replace

import numpy as np
import pytest

from gsrecon.data import own_car
from gsrecon.data.kitti import read_kitti_odometry, read_kitti_raw
from gsrecon.data.nuscenes import read_nuscenes
from gsrecon.data.own_car import OwnCarSettings, find_own_car, with_own_car
from gsrecon.data.own_car_outline import best_outline
from gsrecon.data.toy import ToyConfig, make_toy
from gsrecon.data.undistort import RadialTangentialLens

WIDTH, HEIGHT = 240, 136
Y, X = np.mgrid[0:HEIGHT, 0:WIDTH]
BONNET = Y > 112 + 14 * ((X - 120) / 120) ** 2
CORNER = Y > 150 - 0.35 * X


@pytest.fixture(scope="module")
def street():
    config = ToyConfig(
        length_m=20.0, cameras=2, width=WIDTH, height=HEIGHT, samples_per_pixel=2, lidar_beams=0
    )
    return make_toy(config, cache=None).log


def painted(log, shape, paint):
    """The log with a part of the own car in every picture, and the sensor's noise."""

    def picture(frame):
        noise = np.random.default_rng(frame.timestamp_us).normal(0, 1.5, (HEIGHT, WIDTH, 3))
        pixels = np.where(shape[..., None], paint, log.image(frame)) + noise
        return replace(frame, image=pixels.clip(0, 255).astype(np.uint8))

    return replace(log, frames=tuple(picture(frame) for frame in log.frames))


def textured():
    waves = np.stack([60 + 40 * np.sin(X / 6 + k) * np.cos(Y / 5) for k in range(3)], axis=-1)
    return waves + np.random.default_rng(0).normal(0, 10, (HEIGHT, WIDTH, 1))


def plain():
    return np.broadcast_to([40.0, 45.0, 90.0], (HEIGHT, WIDTH, 3))


def overlap(one, other):
    return (one & other).sum() / (one | other).sum()


@pytest.mark.parametrize("paint", [textured(), plain()], ids=["textured", "plain"])
@pytest.mark.parametrize("camera", ["front", "front_left"])
def test_a_bonnet_is_found(street, camera, paint):
    log = painted(street, BONNET, paint)
    assert overlap(find_own_car(log, camera), BONNET) >= 0.9


def test_a_flank_that_fills_a_corner_is_found(street):
    assert overlap(find_own_car(painted(street, CORNER, textured()), "front"), CORNER) >= 0.9


@pytest.mark.parametrize("camera", ["front", "front_left"])
def test_a_camera_that_does_not_see_the_car_gets_an_empty_mask(street, camera):
    mask = find_own_car(street, camera)
    assert mask.shape == (HEIGHT, WIDTH)
    assert not mask.any()


def test_a_car_that_stands_tells_nothing(street):
    still = replace(
        street,
        frames=tuple(
            replace(frame, world_from_cam=street.cameras[frame.camera].ego_from_cam)
            for frame in street.frames
        ),
    )
    assert find_own_car(painted(still, BONNET, textured()), "front") is None


def test_a_few_pictures_are_not_enough(street):
    assert find_own_car(street.select(stop=5), "front") is None
    assert find_own_car(street.select(stop=5), "front", OwnCarSettings(fewest_pairs=3)) is not None


def test_an_unknown_camera_is_named(street):
    with pytest.raises(ValueError, match="expected one of"):
        find_own_car(street, "roof")


def test_masks_are_added_where_there_are_none(street):
    log = painted(street, BONNET, textured())
    given = np.zeros((HEIGHT, WIDTH), bool)
    given[-1] = True
    log = replace(
        log,
        frames=tuple(
            replace(frame, masks={"ego": given}) if frame.camera == "front_left" else frame
            for frame in log.frames
        ),
    )
    masked = with_own_car(log)
    front = next(frame for frame in masked.frames if frame.camera == "front")
    left = next(frame for frame in masked.frames if frame.camera == "front_left")
    assert overlap(masked.mask(front, "ego"), BONNET) >= 0.9
    assert np.array_equal(masked.mask(left, "ego"), given)
    assert not masked.valid(front)[BONNET].all()


def test_the_mask_of_a_bent_lens_is_where_it_was_found(street, monkeypatch):
    """It is found in undistorted pictures; the log undistorts the masks that its frames hold."""
    monkeypatch.setattr(own_car, "find_own_car", lambda *_: BONNET)
    camera = street.cameras["front"]
    coefficients = (-0.28, 0.07, 0.001, -0.0006, 0.0)
    lens = RadialTangentialLens.widest(camera.K, coefficients, WIDTH, HEIGHT)
    bent = replace(camera, K=lens.K_undistorted, recorded_lens=lens)
    log = replace(street.select(["front"]), cameras={"front": bent})
    masked = with_own_car(log)
    found = masked.mask(masked.frames[0], "ego")
    assert found[BONNET].all()
    assert (found != BONNET).mean() < 0.005


def test_an_outline_follows_evidence_and_snaps_to_an_edge():
    own = np.full((40, 60), -0.5)
    own[30:] = 0.0  # plain paint says nothing
    own[36:] = 0.5
    edge = np.zeros((40, 60))
    edge[29:31] = 1.0
    mask = best_outline(own, edge)
    assert mask[30:].all()
    assert not mask[:30].any()


def test_an_outline_without_evidence_lies_below_the_picture():
    assert not best_outline(np.full((20, 30), -0.05), np.zeros((20, 30))).any()


def test_kitti_cameras_do_not_see_their_car(shared_data):
    raw = read_kitti_raw(shared_data / "kitti_raw/2011_09_26/2011_09_26_drive_0001_sync")
    gray = read_kitti_odometry(shared_data / "kitti_odo_gray" / "KITTI_sequence_1")
    assert not find_own_car(raw, "image_02").any()
    assert not find_own_car(gray, next(iter(gray.cameras))).any()


def test_three_real_pictures_are_too_few(shared_data):
    pytest.importorskip("nuscenes", reason="the extra nuscenes is not installed")
    log = read_nuscenes(shared_data / "nuscenes_ddad")
    assert find_own_car(log, "CAM_BACK") is None
    # Two pairs already find most of what it sees.
    truth = log.mask(next(frame for frame in log.frames if frame.camera == "CAM_BACK"), "ego")
    found = find_own_car(log, "CAM_BACK", OwnCarSettings(fewest_pairs=2))
    assert (found & truth).sum() > 0.8 * truth.sum()
    assert overlap(found, truth) > 0.5
