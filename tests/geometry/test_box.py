"""Boxes by hand: which corner is which, and which boxes overlap."""

import math

import torch

from gsrecon.geometry.box import box_corners, boxes_overlap
from gsrecon.geometry.rigid import inverse, se3_exp, transform_points

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
    torch.testing.assert_close(corners.amin(0), torch.tensor([9.0, -2.0, 0.5]))


def test_corners_come_in_batches():
    poses = torch.eye(4).repeat(3, 1, 1)
    poses[:, 0, 3] = torch.arange(3.0)
    corners = box_corners(SIZE.expand(3, 3), poses)
    torch.testing.assert_close(corners[2, 0], torch.tensor([4.0, 1.0, 0.5]))


def test_boxes_overlap_where_and_only_where_a_point_is_in_both():
    generator = torch.Generator().manual_seed(3)
    tangents = torch.randn(400, 6, generator=generator, dtype=torch.float64) * torch.tensor(
        [1.6, 1.6, 0.8, 1, 1, 1]
    )
    sizes = 0.3 + 2 * torch.rand(2, 400, 3, generator=generator, dtype=torch.float64)
    poses = se3_exp(tangents)
    identity = torch.eye(4, dtype=torch.float64).expand(400, 4, 4)
    told = boxes_overlap(sizes[0], identity, sizes[1], poses)
    assert told.equal(boxes_overlap(sizes[1], poses, sizes[0], identity))
    steps = torch.linspace(-0.4999, 0.4999, 12, dtype=torch.float64)
    grid = torch.cartesian_prod(steps, steps, steps)
    for k in range(400):
        in_other = transform_points(inverse(poses[k]), grid * sizes[0, k])
        inside = (in_other.abs() <= 0.5 * sizes[1, k]).all(dim=1).any()
        in_one = transform_points(poses[k], grid * sizes[1, k])
        inside |= (in_one.abs() <= 0.5 * sizes[0, k]).all(dim=1).any()
        # The grid may miss a corner that is just inside.
        smaller = boxes_overlap(sizes[0, k] - 0.12, identity[k], sizes[1, k] - 0.12, poses[k])
        assert bool(told[k]) >= bool(inside)
        assert bool(inside) >= bool(smaller)


def test_parallel_boxes_that_only_touch_do_not_overlap():
    size, here, there = torch.tensor([4.0, 2.0, 1.5]), torch.eye(4), torch.eye(4)
    for offset, expected in ((3.9, True), (4.0, False), (4.1, False)):
        there[0, 3] = offset
        assert bool(boxes_overlap(size, here, size, there)) is expected
    there[:3, 3] = torch.tensor([0.0, 1.9, 1.6])
    assert not boxes_overlap(size, here, size, there)
