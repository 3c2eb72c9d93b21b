"""Rotations as recordings hold them: rounded, scaled, mirrored, broken."""

import numpy as np
import pytest

from gsrecon.geometry.recorded import is_rigid, nearest_rotation, printed_rotation

C, S = np.cos(0.3), np.sin(0.3)
TURN = np.array([[C, -S, 0.0], [S, C, 0.0], [0.0, 0.0, 1.0]])


def motion(rotation):
    pose = np.eye(4)
    pose[:3, :3] = rotation
    pose[:3, 3] = 1e6, -2.0, 3.0
    return pose


def test_motions_are_rigid_to_rounding():
    poses = np.stack(
        [
            motion(TURN),
            motion(np.round(TURN, 4)),
            motion(1.01 * TURN),
            motion(TURN @ np.diag([1.0, 1.0, -1.0])),
            motion(np.zeros((3, 3))),
        ]
    )
    assert is_rigid(poses).tolist() == [True, True, False, False, False]
    assert is_rigid(poses[0]).shape == ()


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("place", [(0, 0), (1, 3)])
def test_a_motion_with_a_broken_number_is_not_rigid(value, place):
    pose = motion(TURN)
    pose[place] = value
    assert not is_rigid(pose)


def test_the_nearest_rotation_undoes_rounding_and_scale():
    np.testing.assert_allclose(nearest_rotation(2.5 * TURN), TURN, atol=1e-12)
    found = nearest_rotation(np.round(TURN, 3))
    np.testing.assert_allclose(found @ found.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(found, TURN, atol=1e-3)


def test_the_nearest_rotation_to_a_sum_is_the_mean():
    np.testing.assert_allclose(nearest_rotation(TURN + TURN.T), np.eye(3), atol=1e-12)


def test_the_nearest_rotation_is_never_a_mirror():
    assert np.linalg.det(nearest_rotation(np.diag([1.0, 1.0, -0.5]))) == pytest.approx(1.0)


def test_a_printed_rotation_is_the_nearest_one():
    np.testing.assert_allclose(printed_rotation(np.round(TURN, 3)), TURN, atol=1e-3)


@pytest.mark.parametrize("matrix", [1.05 * TURN, np.zeros((3, 3)), TURN @ np.diag([1.0, 1.0, -1.0])])
def test_what_scales_or_mirrors_was_never_a_printed_rotation(matrix):
    with pytest.raises(ValueError, match="no rotation"):
        printed_rotation(matrix)
