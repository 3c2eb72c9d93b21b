"""Exposure and pose corrections: held-out frames take theirs from their neighbours in time."""

import pytest
import torch

from gsrecon.geometry.rigid import inverse, se3_exp
from gsrecon.ops.between import between
from gsrecon.ops.mean_squares import weighted_mean_squares
from gsrecon.scene.appearance import Appearance
from gsrecon.scene.camera_refinement import CameraRefinement
from gsrecon.scene.knots import Knots


def test_values_are_exact_at_knots_linear_between_and_held_outside():
    knots = Knots([0.0, 1.0, 3.0])
    values = torch.tensor([[1.0], [3.0], [7.0]])
    asked = {-1.0: 1.0, 0.0: 1.0, 0.5: 2.0, 1.0: 3.0, 2.0: 5.0, 3.0: 7.0, 9.0: 7.0}
    assert [between(values, knots.locate(t)).item() for t in asked] == pytest.approx(list(asked.values()))


def test_exposure_of_a_held_out_picture_lies_between_those_of_its_neighbours():
    appearance = Appearance({"left": [0.0, 0.2], "right": [0.0]})
    appearance.picture_values[0] = torch.tensor([0.2, 0, 0, 0.1, 0, 0])
    appearance.picture_values[1] = torch.tensor([0.4, 0, 0, 0.3, 0, 0])
    appearance.picture_values[2] = torch.tensor([9.0, 9, 9, 9, 9, 9])
    appearance.camera_values[0, 1] = 1.0
    assert appearance.values("left", 0.1).tolist() == pytest.approx([0.3, 1.0, 0, 0.2, 0, 0])
    shown = appearance.apply(torch.full((1, 1, 3), 0.5), "left", 0.1)
    assert shown.flatten().tolist() == pytest.approx(
        [0.5 * torch.tensor(0.3).exp().item() + 0.2, 0.5 * torch.e, 0.5], rel=1e-5
    )


def test_a_novel_view_may_take_the_exposure_that_a_camera_has_on_the_whole():
    appearance = Appearance({"left": [0.0, 0.2], "right": [0.0]})
    appearance.picture_values[:, 3:] = torch.tensor([[0.1], [0.3], [5.0]])
    appearance.camera_values[0, 3:] = 0.25
    assert appearance.values("left", None).tolist() == pytest.approx([0, 0, 0, 0.45, 0.45, 0.45])
    shown = appearance.apply(torch.zeros(1, 1, 3), "left", None)
    assert shown.flatten().tolist() == pytest.approx([0.45] * 3)
    with pytest.raises(ValueError, match=r"left.*got 'up'"):
        appearance.apply(torch.zeros(1, 1, 3), "up", None)


def test_gradients_of_exposure_reach_only_the_neighbours():
    appearance = Appearance({"left": [0.0, 0.2, 0.4]})
    appearance.picture_values.requires_grad_()
    appearance.apply(torch.ones(2, 2, 3), "left", 0.1).sum().backward()
    assert appearance.picture_values.grad is not None
    assert appearance.picture_values.grad.abs().sum(dim=1).ne(0).tolist() == [True, True, False]


@pytest.fixture
def refinement() -> CameraRefinement:
    mounting = se3_exp(torch.tensor([1.0, 0.2, 1.5, 0.3, -0.2, 0.1], dtype=torch.float64))
    return CameraRefinement({"left": mounting, "right": torch.eye(4, dtype=torch.float64)}, [0.0, 1.0])


def test_no_correction_leaves_poses_as_recorded(refinement):
    pose = se3_exp(torch.tensor([3.0, 1, 2, 0.4, 0.5, 0.6], dtype=torch.float64))
    assert torch.allclose(refinement.refine(pose, "left", 0.3), pose, atol=1e-12)


def test_the_rig_moves_as_one_in_ego_axes(refinement):
    refinement.rig_translations[:] = torch.tensor([[0.0, 0.1, 0.0], [0.0, 0.3, 0.0]])
    world_from_ego = torch.eye(4, dtype=torch.float64)
    for camera, mounting in refinement._ego_from_cam.items():
        moved = refinement.refine(world_from_ego @ mounting, camera, 0.5)
        expected = (world_from_ego @ mounting)[:3, 3] + torch.tensor([0, 0.2, 0])
        assert torch.allclose(moved[:3, 3], expected, atol=1e-6)
        assert torch.allclose(moved[:3, :3], mounting[:3, :3], atol=1e-6)


def test_a_cameras_own_part_is_the_same_at_all_times(refinement):
    refinement.camera_rotations[0] = torch.tensor([0.0, 0.0, 0.1])
    pose = torch.eye(4, dtype=torch.float64)
    turned = [refinement.refine(pose, "left", t) for t in (0.0, 0.7)]
    assert torch.allclose(turned[0], turned[1])
    assert torch.allclose(turned[0], se3_exp(torch.tensor([0.0, 0, 0, 0, 0, 0.1]).double()), atol=1e-7)
    assert torch.allclose(refinement.refine(pose, "right", 0.0), pose)


def test_viewmats_of_training_are_the_inverse_of_the_refined_pose_with_the_same_gradients(refinement):
    generator = torch.Generator().manual_seed(4)
    for name, parameter in refinement.parameters().items():
        setattr(refinement, name, (0.1 * torch.randn(parameter.shape, generator=generator)).requires_grad_())
    pose = se3_exp(torch.tensor([300.0, 1, 2, 0.4, 0.5, 0.6], dtype=torch.float64))
    upstream = torch.randn(4, 4, generator=generator)
    for time_s in (0.0, 0.3, 1.0, 2.0):
        viewmats = refinement.viewmats(pose.numpy(), "left", time_s)
        refined = inverse(refinement.refine(pose, "left", time_s)).float()
        torch.testing.assert_close(viewmats[0], refined, atol=1e-4, rtol=1e-6)
        ours, theirs = (
            torch.autograd.grad(view, list(refinement.parameters().values()), upstream)
            for view in (viewmats[0], refined)
        )
        for gradient, expected in zip(ours, theirs, strict=True):
            torch.testing.assert_close(gradient, expected, atol=1e-4, rtol=1e-5)


def test_cameras_that_were_not_fitted_are_refused(refinement):
    pose = torch.eye(4, dtype=torch.float64)
    with pytest.raises(ValueError, match=r"left.*got 'up'"):
        refinement.refine(pose, "up", 0.0)
    with pytest.raises(ValueError, match=r"left.*got 'up'"):
        refinement.viewmats(pose.numpy(), "up", 0.0)


def test_penalties_are_mean_squares_in_their_units(refinement):
    refinement.rig_translations[0, 0] = 0.1
    refinement.camera_rotations[1, 2] = 0.02
    penalty = weighted_mean_squares(refinement.penalties(3.0)).item()
    assert penalty == pytest.approx(3 * (1 / 6 + 4 / 6))
    appearance = Appearance({"left": [0.0, 0.2], "right": [0.0]})
    appearance.camera_values[0, 0] = 2.0
    appearance.picture_values[2, 5] = 3.0
    penalty = weighted_mean_squares(appearance.penalties(0.1)).item()
    assert penalty == pytest.approx(0.1 * (4 / 12 + 9 / 18))


def test_gradients_of_poses_reach_rig_and_camera(refinement):
    for parameter in refinement.parameters().values():
        parameter.requires_grad_()
    refinement.refine(torch.eye(4, dtype=torch.float64), "left", 0.25)[0].sum().backward()
    assert refinement.rig_translations.grad.abs().sum(dim=1).ne(0).all()
    assert refinement.camera_rotations.grad[0].abs().sum() > 0
    assert refinement.camera_rotations.grad[1].abs().sum() == 0
