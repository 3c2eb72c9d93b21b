"""Similarities: numbers worked out by hand, exact recovery, and outliers that must not matter."""

import math

import pytest
import torch

from gsrecon.geometry.rigid import se3_exp
from gsrecon.geometry.sim3 import Sim3, fit_motions, fit_points, trajectory_error

# A quarter turn to the left about z: x becomes y.
QUARTER = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]], dtype=torch.float64)
KNOWN = Sim3(2.0, QUARTER, torch.tensor([10.0, 0, -1], dtype=torch.float64))


def some_points(generator, count=20):
    return torch.randn(count, 3, generator=generator, dtype=torch.float64)


def some_poses(generator, count=20):
    tangents = torch.randn(count, 6, generator=generator, dtype=torch.float64)
    return se3_exp(tangents)


def require_same(found, expected, tolerance=1e-9):
    assert found.scale == pytest.approx(expected.scale, abs=tolerance)
    torch.testing.assert_close(found.rotation, expected.rotation, atol=tolerance, rtol=0)
    torch.testing.assert_close(found.translation, expected.translation, atol=tolerance, rtol=0)


def test_a_point_is_turned_scaled_and_moved():
    moved = KNOWN.points(torch.tensor([[1.0, 2, 3]]))
    # The turn gives (-2, 1, 3), the scale (-4, 2, 6), the translation (6, 2, 5).
    torch.testing.assert_close(moved, torch.tensor([[6.0, 2, 5]], dtype=torch.float64))


def test_poses_stay_rigid():
    pose = torch.eye(4)[None].clone()
    pose[0, :3, 3] = torch.tensor([1.0, 2, 3])
    moved = KNOWN.motions(pose)[0]
    torch.testing.assert_close(moved[:3, :3], QUARTER)
    torch.testing.assert_close(moved[:3, 3], torch.tensor([6.0, 2, 5], dtype=torch.float64))


def test_the_inverse_leads_back(generator):
    points = some_points(generator)
    torch.testing.assert_close(KNOWN.inverse().points(KNOWN.points(points)), points)


def test_three_points_give_the_similarity_worked_out_by_hand():
    source = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]])
    target = torch.tensor([[10.0, 0, -1], [10, 2, -1], [8, 0, -1]])
    require_same(fit_points(source, target), KNOWN)


def test_points_moved_by_a_similarity_give_it_back(generator):
    points = some_points(generator)
    require_same(fit_points(points, KNOWN.points(points)), KNOWN)


def test_without_scale_the_points_keep_their_size():
    source = torch.tensor([[-1.0, 0, 0], [1, 0, 0], [0, 2, 0], [0, -2, 0]])
    found = fit_points(source, 3 * source, with_scale=False)
    require_same(found, Sim3(1.0, torch.eye(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64)))


def test_mirrored_points_are_answered_with_a_rotation(generator):
    points = some_points(generator)
    found = fit_points(points, points * torch.tensor([1.0, 1, -1]))
    assert float(torch.linalg.det(found.rotation)) == pytest.approx(1.0)


def test_a_pair_without_weight_has_no_say(generator):
    points = some_points(generator)
    target = KNOWN.points(points)
    target[3] += 100
    weights = torch.ones(len(points))
    weights[3] = 0
    require_same(fit_points(points, target, weights), KNOWN)


def test_a_straight_drive_keeps_its_roll(generator):
    source = torch.eye(4, dtype=torch.float64).repeat(10, 1, 1)
    source[:, 0, 3] = torch.arange(10)
    require_same(fit_motions(source, KNOWN.motions(source)), KNOWN)


def test_trajectories_with_some_wild_poses_are_aligned_by_the_others(generator):
    source = some_poses(generator, 30)
    target = KNOWN.motions(source)
    target[::5] = some_poses(generator, 6)
    require_same(fit_motions(source, target), KNOWN, 1e-6)


def test_the_trajectory_error_of_a_shifted_corner():
    # A square of side 2 with every other corner lifted by 1 and sunk by 1 is best left where it is.
    square = torch.tensor([[1.0, 1, 0], [-1, 1, 0], [-1, -1, 0], [1, -1, 0]])
    lifted = square + torch.tensor([[0.0, 0, 1], [0, 0, -1], [0, 0, 1], [0, 0, -1]])
    error, distances = trajectory_error(square, lifted)
    assert error == pytest.approx(1.0)
    torch.testing.assert_close(distances, torch.ones(4, dtype=torch.float64))


def test_what_cannot_be_aligned_is_said():
    two = torch.eye(3)[:2]
    with pytest.raises(ValueError, match="at least 3 points with weight, got 2"):
        fit_points(two, two)
    with pytest.raises(ValueError, match="all in one place"):
        fit_points(torch.ones(4, 3), torch.eye(4, 3))
    still = torch.eye(4).repeat(3, 1, 1)
    with pytest.raises(ValueError, match="stands still"):
        fit_motions(still, still)
    assert math.isclose(fit_motions(still, still, with_scale=False).scale, 1.0)
