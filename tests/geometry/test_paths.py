"""Camera paths: shifts in the vehicle's frame, orbits, smooth resampling."""

import math

import pytest
import torch

from gsrecon.geometry.paths import CameraPath, at, look_at, orbit, recorded_path, resample, shift_left
from gsrecon.geometry.rigid import inverse, se3_exp

EGO_FROM_FRONT = torch.tensor(
    [[0.0, 0, 1, 1.5], [-1, 0, 0, 0], [0, -1, 0, 1.6], [0, 0, 0, 1]], dtype=torch.float64
)


def drive_along_x(count: int = 5) -> CameraPath:
    """A front camera on a vehicle that drives 1 m per 0.1 s along world x."""
    world_from_ego = torch.eye(4, dtype=torch.float64).repeat(count, 1, 1)
    world_from_ego[:, 0, 3] = torch.arange(count, dtype=torch.float64)
    return recorded_path(torch.arange(count) * 0.1 + 3.0, world_from_ego @ EGO_FROM_FRONT)


def curve(generator: torch.Generator, count: int = 6) -> CameraPath:
    """Poses that turn and move unevenly."""
    steps = torch.rand(count, 6, dtype=torch.float64, generator=generator) * 0.5
    poses = [torch.eye(4, dtype=torch.float64)]
    for step in steps[1:]:
        poses.append(poses[-1] @ se3_exp(step))
    times = torch.rand(count, dtype=torch.float64, generator=generator).add(0.1).cumsum(0)
    return recorded_path(times, torch.stack(poses))


def test_shift_left_of_a_front_camera_moves_it_along_the_vehicles_y() -> None:
    path = drive_along_x()
    moved = shift_left(path, 1.5, EGO_FROM_FRONT)
    step = moved.world_from_cam[:, :3, 3] - path.world_from_cam[:, :3, 3]
    assert torch.allclose(step, torch.tensor([0.0, 1.5, 0.0], dtype=torch.float64).expand(5, 3))
    assert torch.equal(moved.world_from_cam[:, :3, :3], path.world_from_cam[:, :3, :3])


def test_without_a_mounting_a_forward_camera_moves_to_its_own_left() -> None:
    path = drive_along_x()
    with_mounting, without = shift_left(path, 1.0, EGO_FROM_FRONT), shift_left(path, 1.0)
    assert torch.allclose(with_mounting.world_from_cam, without.world_from_cam)


def test_a_side_camera_moves_to_the_vehicles_left_and_not_to_its_own() -> None:
    # Looks to the vehicle's left: cam z = ego y, cam x = ego x, cam y = -ego z.
    ego_from_side = torch.tensor(
        [[1.0, 0, 0, 0], [0, 0, 1, 0.8], [0, -1, 0, 1.6], [0, 0, 0, 1]], dtype=torch.float64
    )
    path = recorded_path(torch.tensor([0.0]), ego_from_side[None])
    moved = shift_left(path, 2.0, ego_from_side)
    assert torch.allclose(moved.world_from_cam[0, :3, 3], torch.tensor([0.0, 2.8, 1.6]).double())


def test_look_at_puts_the_target_in_the_middle_and_up_upwards() -> None:
    pose = look_at(torch.tensor([1.0, 2.0, 3.0]).double(), torch.tensor([4.0, 6.0, 3.0]).double())
    target = inverse(pose) @ torch.tensor([4.0, 6.0, 3.0, 1.0]).double()
    assert torch.allclose(target[:3], torch.tensor([0.0, 0.0, 5.0]).double(), atol=1e-12)
    assert torch.allclose(pose[:3, 1], torch.tensor([0.0, 0.0, -1.0]).double())
    assert torch.linalg.det(pose[:3, :3]).item() == pytest.approx(1.0)


def test_look_at_straight_down_is_still_a_rotation() -> None:
    pose = look_at(torch.tensor([0.0, 0.0, 5.0]).double(), torch.zeros(3).double())
    assert torch.allclose(pose[:3, :3] @ pose[:3, :3].T, torch.eye(3).double())
    assert torch.allclose(pose[:3, 1], torch.tensor([-1.0, 0.0, 0.0]).double())


def test_look_at_its_own_position_is_refused() -> None:
    with pytest.raises(ValueError, match="away from the position"):
        look_at(torch.zeros(3), torch.zeros(3))


def test_orbit_keeps_radius_and_height_and_looks_at_the_point() -> None:
    point = torch.tensor([10.0, -2.0, 1.0])
    path = orbit(point, radius=6.0, height=2.0, turns=1.0, count=8, seconds=4.0, time_s=1.5)
    offset = path.world_from_cam[:, :3, 3] - point
    assert torch.allclose(offset[:, :2].norm(dim=-1), torch.full((8,), 6.0).double())
    assert torch.allclose(offset[:, 2], torch.full((8,), 2.0).double())
    assert torch.allclose(offset[0], torch.tensor([-6.0, 0.0, 2.0]).double(), atol=1e-9)
    in_cam = inverse(path.world_from_cam) @ torch.cat([point.double(), torch.ones(1).double()])
    assert torch.allclose(in_cam[:, :2], torch.zeros(8, 2).double(), atol=1e-9)
    assert (in_cam[:, 2] > 0).all()
    assert (path.times_s == 1.5).all()


def test_resampling_passes_through_every_recorded_pose(generator: torch.Generator) -> None:
    path = curve(generator)
    again = at(path, path.shown_s)
    assert torch.allclose(again.world_from_cam, path.world_from_cam, atol=1e-9)
    assert torch.allclose(again.times_s, path.times_s)


def test_resampling_an_even_straight_drive_stays_even_and_straight() -> None:
    path = resample(drive_along_x(), 50.0)
    assert len(path) == 21
    assert torch.allclose(path.world_from_cam[:, 0, 3], 1.5 + 0.2 * torch.arange(21).double())
    assert torch.allclose(path.times_s, 3.0 + 0.02 * torch.arange(21).double())
    assert path.pictures_per_second == pytest.approx(50.0)


def test_resampled_motion_has_no_jump_in_velocity_at_a_pose(generator: torch.Generator) -> None:
    path = curve(generator)
    h = 1e-4
    for knot in path.shown_s[1:-1]:
        poses = at(path, torch.stack([knot - h, knot, knot + h])).world_from_cam
        before, after = (poses[1] - poses[0]) / h, (poses[2] - poses[1]) / h
        assert (before - after).abs().max() < 5e-2 * max(1.0, float(before.abs().max()))


def test_resampling_commutes_with_a_rigid_motion_of_the_world(generator: torch.Generator) -> None:
    path = curve(generator)
    new_from_world = se3_exp(torch.tensor([3.0, -1.0, 2.0, 0.3, -0.8, 1.1], dtype=torch.float64))
    moved = CameraPath(new_from_world @ path.world_from_cam, path.times_s, path.shown_s)
    expected = new_from_world @ resample(path, 30.0).world_from_cam
    assert torch.allclose(resample(moved, 30.0).world_from_cam, expected, atol=1e-9)


def test_a_path_whose_film_clock_stands_still_is_refused() -> None:
    with pytest.raises(ValueError, match="strictly increasing"):
        CameraPath(torch.eye(4).repeat(2, 1, 1), torch.zeros(2), torch.zeros(2))


def test_one_pose_stays_one_pose() -> None:
    path = recorded_path(torch.tensor([2.0]), torch.eye(4)[None])
    assert len(resample(path, 25.0)) == 1
    assert math.isclose(path.pictures_per_second, 10.0)
