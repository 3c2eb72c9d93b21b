"""Up, forward and metres from camera poses and points alone: exact on made-up drives."""

import numpy as np
import pytest
import torch

from gsrecon.data import images_scale
from gsrecon.data.images_scale import camera_height, lidar_ratios, path_length
from gsrecon.data.images_world import choose_ego_camera, find_axes
from gsrecon.geometry.rigid import se3_exp

# Columns are the camera's right, down and ahead in a world with x ahead, y left, z up.
AHEAD = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])


def turned(yaw=0.0, pitch=0.0):
    """A rotation to the left about z after one down about y [rad]."""
    c, s, d, e = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ np.array([[d, 0, e], [0, 1, 0], [-e, 0, d]])


def drive(headings, mount, step=1.0):
    """Poses of a camera on a car that drives along its heading on the plane."""
    poses = np.tile(np.eye(4), (len(headings), 1, 1))
    place = np.zeros(3)
    for i, heading in enumerate(headings):
        poses[i, :3, :3] = turned(heading) @ mount
        poses[i, :3, 3] = place
        place = place + step * turned(heading)[:, 0]
    return poses


def any_frame(generator):
    """A rotation that hides which way is up."""
    return se3_exp(torch.randn(6, generator=generator, dtype=torch.float64)).numpy()[:3, :3]


STRAIGHT, BEND = np.zeros(30), np.linspace(0, 1.2, 30)


@pytest.mark.parametrize("headings", [STRAIGHT, BEND], ids=["straight", "bend"])
@pytest.mark.parametrize("pitch", [0.0, 0.1])
@pytest.mark.parametrize("yaw", [0.0, 0.9, np.pi], ids=["front", "front left", "back"])
def test_axes_do_not_depend_on_the_frame_the_poses_come_in(generator, headings, yaw, pitch):
    mount = turned(yaw, pitch) @ AHEAD
    hidden = any_frame(generator)
    poses = drive(headings, mount)
    poses[:, :3, :3] = hidden @ poses[:, :3, :3]
    poses[:, :3, 3] = poses[:, :3, 3] @ hidden.T
    axes = find_axes(poses)
    # The car drives along x at first: the world is the one it was made in, up to the first chord of the bend.
    tolerance = 0.05 if headings is BEND else 0.003
    np.testing.assert_allclose(axes.world_from_source @ hidden, np.eye(3), atol=tolerance)
    np.testing.assert_allclose((axes.world_from_source @ hidden)[2], [0, 0, 1], atol=0.003)
    np.testing.assert_allclose(axes.ego_from_cam, mount, atol=tolerance)


def test_a_side_camera_on_a_straight_road_takes_its_own_up(generator):
    hidden = any_frame(generator)
    poses = drive(STRAIGHT, turned(np.pi / 2) @ AHEAD)
    poses[:, :3, :3] = hidden @ poses[:, :3, :3]
    poses[:, :3, 3] = poses[:, :3, 3] @ hidden.T
    axes = find_axes(poses)
    np.testing.assert_allclose(axes.world_from_source @ hidden, np.eye(3), atol=1e-6)


def test_a_camera_that_stands_looks_ahead():
    poses = np.tile(np.eye(4), (5, 1, 1))
    poses[:, :3, :3] = AHEAD
    axes = find_axes(poses)
    np.testing.assert_allclose(axes.world_from_source, np.eye(3), atol=1e-9)
    np.testing.assert_allclose(axes.ego_from_cam, AHEAD, atol=1e-9)


def test_trembling_while_the_car_stands_does_not_turn_the_world(generator):
    poses = np.concatenate([drive(STRAIGHT, AHEAD), np.tile(np.eye(4), (60, 1, 1))])
    poses[30:, :3, :3] = AHEAD
    poses[30:, :3, 3] = poses[29, :3, 3] + 0.01 * torch.randn(60, 3, generator=generator).double().numpy()
    np.testing.assert_allclose(find_axes(poses).world_from_source, np.eye(3), atol=0.01)


def test_the_ego_sits_in_the_camera_that_looks_ahead():
    poses = {
        name: drive(BEND, turned(yaw) @ AHEAD)
        for name, yaw in (("back", np.pi), ("left", 1.0), ("front", 0.0))
    }
    assert choose_ego_camera(poses) == "front"


def test_a_path_is_as_long_as_its_steps():
    assert path_length(np.array([[0.0, 0, 0], [3, 4, 0], [3, 4, 2]])) == 7.0


def test_the_road_is_found_under_the_camera_among_walls_and_cars(generator):
    positions = np.stack([np.arange(0, 30.0), np.zeros(30), np.full(30, 2.0)], axis=1)

    def points(count, low, high):
        shares = torch.rand(count, 3, generator=generator, dtype=torch.float64).numpy()
        return np.array(low) + shares * (np.array(high) - np.array(low))

    road = points(300, [0, -4, 0.48], [30, 4, 0.52])
    walls = points(500, [0, 6, 0.5], [30, 6.5, 9])
    cars = points(200, [0, 2, 0.7], [30, 4, 2.0])
    height = camera_height(np.concatenate([road, walls, cars]), positions)
    assert height == pytest.approx(1.5, rel=0.02)


def test_without_a_road_there_is_no_height():
    positions = np.zeros((3, 3))
    assert camera_height(np.zeros((0, 3)), positions) is None
    assert camera_height(np.ones((100, 3)), positions) is None


def test_lidar_on_the_same_ray_tells_the_scale(monkeypatch):
    # A wall 10 m away; the model has it at 4 units, and one point where the lidar sees nothing.
    y, x = np.mgrid[-2:2:81j, -2:2:81j]
    wall = np.stack([x.ravel(), y.ravel(), np.full(x.size, 10.0)], axis=1)
    points = np.array([[0.1, 0.1, 4.0], [-0.5, 0.3, 4.0], [3.0, 0.0, 4.0], [0.0, 0.0, -4.0]])
    np.testing.assert_allclose(lidar_ratios(points, wall), [2.5, 2.5])
    monkeypatch.setattr(images_scale, "_MOST_DISTANCES", 1)  # a row at a time
    np.testing.assert_allclose(lidar_ratios(points, wall), [2.5, 2.5])


def test_lidar_at_an_edge_is_not_asked():
    edge = np.array([[0.0, 0, 10], [0.01, 0, 10], [0.02, 0, 20]])
    assert len(lidar_ratios(np.array([[0.0, 0, 4.0]]), edge)) == 0
