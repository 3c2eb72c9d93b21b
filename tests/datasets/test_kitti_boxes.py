"""KITTI's boxes, both ways."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gsrecon.datasets.kitti_boxes import KittiBox, kitti_type, occlusion, tilt_deg


def upright(yaw: float, place: np.ndarray) -> np.ndarray:
    """A box that stands upright in the camera, its length turned by yaw from x to z."""
    pose = np.eye(4)
    pose[:3, 0] = [np.cos(yaw), 0, np.sin(yaw)]
    pose[:3, 2] = [0, -1, 0]
    pose[:3, 1] = np.cross(pose[:3, 2], pose[:3, 0])
    pose[:3, 3] = place
    return pose


@given(st.floats(-3.1, 3.1), st.floats(-20, 20), st.floats(-2, 2), st.floats(2, 60))
def test_an_upright_box_comes_back(yaw, x, y, z):
    pose = upright(yaw, np.array([x, y, z]))
    box = KittiBox.of(np.array([4.2, 1.8, 1.5]), pose)
    np.testing.assert_allclose(box.cam_from_actor, pose, atol=1e-9)
    np.testing.assert_allclose(box.size_lwh, [4.2, 1.8, 1.5])
    np.testing.assert_allclose(box.bottom_in_cam, [x, y + 0.75, z])
    assert tilt_deg(pose) == pytest.approx(0, abs=1e-5)
    assert -np.pi <= box.alpha < np.pi


def test_angles_are_kittis():
    # Facing the camera's x: 0. Facing away from the camera, along z: -pi / 2.
    size = np.array([4.0, 2.0, 1.5])
    assert KittiBox.of(size, upright(0.0, np.array([0.0, 0, 10]))).rotation_y == pytest.approx(0)
    ahead = KittiBox.of(size, upright(np.pi / 2, np.array([0.0, 0, 10])))
    assert ahead.rotation_y == pytest.approx(-np.pi / 2)
    assert ahead.alpha == pytest.approx(-np.pi / 2)
    aside = KittiBox.of(size, upright(np.pi / 2, np.array([10.0, 0, 10])))
    assert aside.alpha == pytest.approx(-np.pi / 2 - np.pi / 4)


def test_a_tilted_box_tells_what_is_lost():
    pose = upright(0.4, np.array([1.0, 1, 12]))
    a = np.radians(3.0)
    tilt = np.eye(4)
    tilt[:3, :3] = [[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]]
    assert tilt_deg(pose @ tilt) == pytest.approx(3.0)


def test_words_and_levels():
    assert kitti_type("vehicle.car") == "Car"
    assert kitti_type("human.pedestrian.adult") == "Pedestrian"
    assert kitti_type("vehicle.bus.rigid") == "Truck"
    assert kitti_type("Cyclist") == "Cyclist"
    assert kitti_type("movable_object.barrier") == "Misc"
    assert kitti_type("vehicle.bicycle") == "Cyclist"
    assert kitti_type("static_object.bicycle_rack") == "Misc"
    assert [occlusion(share) for share in (1.0, 0.8, 0.6, 0.2)] == [0, 0, 1, 2]
