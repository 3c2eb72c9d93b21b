import math

import pytest
import torch

from gsrecon.geometry.rigid import assemble, se3_exp
from gsrecon.scene.trajectories import Trajectories


def pose(x: float, yaw: float = 0.0) -> torch.Tensor:
    turned = se3_exp(torch.tensor([0, 0, 0, 0, 0, yaw], dtype=torch.float64))
    return assemble(turned[:3, :3], torch.tensor([x, 0.0, 0.0], dtype=torch.float64))


def two() -> Trajectories:
    """One object turns a quarter over 2 s, one was seen once."""
    times = [torch.tensor([1.0, 3.0], dtype=torch.float64), torch.tensor([2.0], dtype=torch.float64)]
    poses = [torch.stack([pose(0.0), pose(4.0, math.pi / 2)]), pose(7.0)[None]]
    return Trajectories.start(times, poses, [(0.5, 3.5), (1.9, 2.1)], knot_interval_s=1.0)


def test_poses_between_keys_lie_on_the_line_and_the_shortest_arc():
    at = two().at(torch.tensor([1.5], dtype=torch.float64))
    assert at.shape == (1, 2, 4, 4)
    torch.testing.assert_close(at[0, 0], pose(1.0, math.pi / 8))


def test_at_a_key_the_pose_is_the_keys():
    torch.testing.assert_close(two().at(torch.tensor([3.0]))[0, 0], pose(4.0, math.pi / 2))


def test_beyond_the_ends_the_last_motion_goes_on():
    torch.testing.assert_close(two().at(torch.tensor([3.5]))[0, 0], pose(5.0, 0.625 * math.pi))


def test_at_an_infinite_end_of_its_span_an_object_stays_where_its_end_key_is():
    times = torch.tensor([1.0, 2.0, 2.1], dtype=torch.float64)
    poses = torch.stack([pose(0.0), pose(0.1, 0.1), pose(0.3, -0.1)])
    forever = Trajectories.start([times], [poses], [(-math.inf, math.inf)], knot_interval_s=0.5)
    for time_s, key in ((-9.0, 0), (0.5, 0), (1.0, 0), (2.0, 1), (2.1, 2), (2.6, 2), (9.0, 2)):
        at = forever.at(torch.tensor([time_s]))[0, 0]
        torch.testing.assert_close(at, poses[key], atol=1e-6, rtol=0)
    ended = Trajectories.start([times], [poses], [(0.5, 2.5)], knot_interval_s=0.5)
    assert torch.equal(forever.knot_times_s, ended.knot_times_s)


def test_an_object_seen_once_stays_where_it_was_seen():
    torch.testing.assert_close(two().at(torch.tensor([2.05]))[0, 1], pose(7.0))


def test_objects_are_there_within_their_spans_and_far_below_otherwise():
    track = two()
    times = torch.tensor([0.0, 2.0, 3.0])
    assert track.present(times).tolist() == [[False, False], [True, True], [True, False]]
    heights = track.at(times)[:, :, 2, 3]
    assert (heights < -1e6).tolist() == [[True, True], [False, False], [False, True]]


def test_corrections_move_along_the_objects_own_axes_and_are_linear_between_knots():
    track = two()
    assert track.knot_counts.tolist() == [2, 1]
    track.translations = torch.tensor([[0.0, 0, 0], [0.0, 0.5, 0], [0.0, 0, 0]])
    # A quarter turned, the object's left is the world's -x; halfway the correction is half of it.
    assert track.at(torch.tensor([3.0]))[0, 0, :3, 3].tolist() == pytest.approx([3.5, 0, 0], abs=1e-6)
    left = 0.25 * torch.tensor([-math.sqrt(0.5), math.sqrt(0.5)])
    halfway = track.at(torch.tensor([2.0]))[0, 0, :2, 3].float()
    torch.testing.assert_close(halfway, torch.tensor([2.0, 0.0]) + left)


def test_gradients_reach_the_corrections_of_objects_that_are_there():
    track = two()
    track.translations.requires_grad_()
    track.rotations.requires_grad_()
    track.at(torch.tensor([2.5]))[:, :, :3].sum().backward()
    assert (track.translations.grad[:2].abs().sum(dim=1) > 0).all()
    assert track.translations.grad[2].abs().sum() == 0
    assert track.rotations.grad.isfinite().all()


def test_roughness_is_the_rate_of_change_in_decimetres_and_hundredths():
    track = two()
    assert track.roughness() == 0
    track.translations = torch.tensor([[0.0, 0, 0], [0.1, 0, 0], [0.0, 0, 0]])
    # 1 dm over the 2 s between the knots, plus a tenth of the square of 1 dm, over three knots.
    assert track.roughness().item() == pytest.approx((0.25 + 0.1) / 3)
    track.translations = torch.zeros(3, 3)
    track.rotations = torch.tensor([[0.0, 0, 0], [0.0, 0, 0.02], [0.0, 0, 0]])
    assert track.roughness().item() == pytest.approx((1.0 + 0.4) / 3)


def test_keys_out_of_order_are_refused():
    times = [torch.tensor([1.0, 1.0], dtype=torch.float64)]
    with pytest.raises(ValueError, match=r"ascending order, got \[1.0, 1.0\] for object 0"):
        Trajectories.start(times, [torch.stack([pose(0), pose(1)])], [(1.0, 1.0)], 1.0)


def test_stored_trajectories_come_back():
    track = two()
    again = Trajectories.restored(track.tensors())
    times = torch.tensor([1.7, 2.0])
    assert torch.equal(again.at(times), track.at(times))
