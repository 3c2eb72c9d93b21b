"""Rotations and rigid motions: group axioms, conventions by hand, gradients at the identity."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gsrecon.geometry.rigid import (
    interpolate,
    inverse,
    quat_multiply,
    quat_to_rotmat,
    rotmat_to_quat,
    se3_exp,
    se3_log,
    transform_points,
)

coordinates = st.floats(-50.0, 50.0)
angles = st.floats(-1.7, 1.7)  # |w| stays below pi
tangents = st.tuples(coordinates, coordinates, coordinates, angles, angles, angles).map(
    lambda values: torch.tensor(values, dtype=torch.float64)
)
tiny = st.floats(-1e-6, 1e-6)
small_tangents = st.tuples(tiny, tiny, tiny, tiny, tiny, tiny).map(
    lambda values: torch.tensor(values, dtype=torch.float64)
)


@settings(deadline=None, max_examples=50)
@given(tangents, tangents, tangents)
def test_motions_form_a_group(a, b, c):
    x, y, z = se3_exp(a), se3_exp(b), se3_exp(c)
    identity = torch.eye(4, dtype=torch.float64)
    torch.testing.assert_close((x @ y) @ z, x @ (y @ z))
    torch.testing.assert_close(x @ inverse(x), identity, atol=1e-12, rtol=0)
    torch.testing.assert_close(inverse(x @ y), inverse(y) @ inverse(x))
    torch.testing.assert_close(x[:3, :3] @ x[:3, :3].T, torch.eye(3, dtype=torch.float64), atol=1e-13, rtol=0)
    assert torch.det(x[:3, :3]) == pytest.approx(1.0)


@settings(deadline=None, max_examples=100)
@given(st.one_of(tangents, small_tangents))
def test_log_undoes_exp(tangent):
    torch.testing.assert_close(se3_log(se3_exp(tangent)), tangent, atol=1e-11, rtol=1e-11)


@settings(deadline=None, max_examples=50)
@given(tangents)
def test_exp_is_the_matrix_exponential(tangent):
    x, y, z = tangent[3:].tolist()
    generator = torch.zeros(4, 4, dtype=torch.float64)
    generator[:3, :3] = torch.tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]], dtype=torch.float64)
    generator[:3, 3] = tangent[:3]
    torch.testing.assert_close(se3_exp(tangent), torch.matrix_exp(generator), atol=1e-10, rtol=1e-10)


@settings(deadline=None, max_examples=50)
@given(tangents, tangents)
def test_quaternion_product_is_the_product_of_rotations(a, b):
    first, second = se3_exp(a)[:3, :3], se3_exp(b)[:3, :3]
    product = quat_multiply(rotmat_to_quat(first), rotmat_to_quat(second))
    torch.testing.assert_close(quat_to_rotmat(product), first @ second, atol=1e-12, rtol=0)


def test_quaternions_are_wxyz_and_turn_right_handed():
    half = math.sqrt(0.5)
    about_z = quat_to_rotmat(torch.tensor([half, 0.0, 0.0, half]))
    torch.testing.assert_close(about_z @ torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0.0, 1.0, 0.0]))
    scaled = quat_to_rotmat(torch.tensor([3.0 * half, 0.0, 0.0, 3.0 * half]))
    torch.testing.assert_close(scaled, about_z)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_half_turns_convert_exactly(axis):
    rotation = -torch.eye(3, dtype=torch.float64)
    rotation[axis, axis] = 1.0
    quat = rotmat_to_quat(rotation)
    assert quat[axis + 1].abs() == 1.0
    torch.testing.assert_close(quat_to_rotmat(quat), rotation)


def test_exp_of_a_quarter_turn_about_z_moves_along_the_arc():
    motion = se3_exp(torch.tensor([1.0, 0.0, 0.0, 0.0, 0.0, math.pi / 2], dtype=torch.float64))
    # A unit speed along x while turning: an arc of radius 2 / pi.
    torch.testing.assert_close(motion[:3, 3], torch.tensor([2 / math.pi, 2 / math.pi, 0.0]).double())


def test_gradients_at_the_identity_are_finite_and_right():
    tangent = torch.zeros(6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda xi: se3_log(se3_exp(xi)), (tangent,))
    assert torch.autograd.gradcheck(se3_exp, (tangent,))


def test_float32_keeps_small_angles():
    tangent = torch.tensor([1.0, -2.0, 3.0, 1e-4, -2e-4, 3e-4])
    torch.testing.assert_close(se3_log(se3_exp(tangent)), tangent, atol=2e-7, rtol=1e-6)


def test_interpolation_keeps_the_line_and_halves_the_turn():
    start = torch.eye(4, dtype=torch.float64)
    end = se3_exp(torch.tensor([0.0, 0.0, 0.0, 0.0, 0.0, 1.0], dtype=torch.float64))
    end[:3, 3] = torch.tensor([4.0, 2.0, 0.0])
    middle = interpolate(start, end, 0.5)
    torch.testing.assert_close(middle[:3, 3], torch.tensor([2.0, 1.0, 0.0]).double())
    assert se3_log(middle)[5] == pytest.approx(0.5)
    torch.testing.assert_close(interpolate(start, end, 1.0), end)
    batch = interpolate(start.expand(3, 4, 4), end.expand(3, 4, 4), torch.tensor([0.0, 0.5, 1.0]))
    torch.testing.assert_close(batch[1], middle)


def test_points_follow_one_motion_or_a_batch_of_them():
    shift = torch.eye(4)
    shift[:3, 3] = torch.tensor([1.0, 2.0, 3.0])
    points = torch.zeros(5, 3)
    torch.testing.assert_close(transform_points(shift, points)[4], torch.tensor([1.0, 2.0, 3.0]))
    batch = torch.stack([shift, torch.eye(4)])
    moved = transform_points(batch, torch.zeros(2, 5, 3))
    assert moved[0, 0, 2] == 3.0
    assert moved[1, 0, 2] == 0.0
    with pytest.raises(ValueError, match="points: expected"):
        transform_points(batch[None], torch.zeros(2, 3))
