"""Boxes by hand: which corner is which, and what lies inside."""

import math

import torch

from gsrecon.geometry.box import box_corners, points_in_box
from gsrecon.geometry.rigid import se3_exp

SIZE = torch.tensor([4.0, 2.0, 1.0])


def test_first_corner_is_front_left_top_and_length_points_along_x():
    corners = box_corners(SIZE, torch.eye(4))
    torch.testing.assert_close(corners[0], torch.tensor([2.0, 1.0, 0.5]))
    torch.testing.assert_close(corners[6], torch.tensor([-2.0, -1.0, -0.5]))
    assert len({tuple(corner.tolist()) for corner in corners}) == 8


def test_a_box_heading_left_has_its_length_along_y():
    world_from_actor = se3_exp(torch.tensor([0.0, 0.0, 0.0, 0.0, 0.0, math.pi / 2]))
    world_from_actor[:3, 3] = torch.tensor([10.0, 0.0, 1.0])
    corners = box_corners(SIZE, world_from_actor)
    torch.testing.assert_close(corners.amax(0), torch.tensor([11.0, 2.0, 1.5]))
    points = torch.tensor([[10.0, 1.9, 1.0], [11.9, 0.0, 1.0], [10.0, 0.0, 1.6]])
    assert points_in_box(points, SIZE, world_from_actor).tolist() == [True, False, False]


def test_corners_come_in_batches():
    poses = torch.eye(4).repeat(3, 1, 1)
    poses[:, 0, 3] = torch.arange(3.0)
    corners = box_corners(SIZE.expand(3, 3), poses)
    torch.testing.assert_close(corners[2, 0], torch.tensor([4.0, 1.0, 0.5]))
