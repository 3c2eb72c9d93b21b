import torch

from gsrecon.geometry.camera import Cameras
from gsrecon.geometry.rigid import inverse, se3_exp, transform_points
from gsrecon.scene.sight import may_be_seen

K = torch.tensor([[30.0, 0, 24], [0, 30.0, 16], [0, 0, 1]])


def looking(world_from_cam: torch.Tensor, model: str = "pinhole") -> Cameras:
    return Cameras(inverse(world_from_cam)[None], K[None], 48, 33, model)


def test_whatever_projects_into_the_picture_may_be_seen(generator):
    world_from_cam = se3_exp(torch.tensor([3.0, -1, 2, 0.4, 1.1, -0.3]))
    in_cam = torch.randn(4000, 3, generator=generator) * 10
    pixels = (in_cam @ K.T)[:, :2] / in_cam[:, 2:]
    inside = (in_cam[:, 2] > 0) & ((pixels > 0) & (pixels < torch.tensor([48.0, 33.0]))).all(dim=1)
    seen = may_be_seen(transform_points(world_from_cam, in_cam), 0.0, looking(world_from_cam))
    assert bool(seen[inside].all())
    assert inside.sum() < seen.sum() < 1.4 * inside.sum()


def test_reach_brings_back_what_stands_just_outside():
    points = torch.tensor([[0.0, 0.0, -1.0], [-9.0, 0.0, 10.0], [0.0, 0.0, 10.0]])
    camera = looking(torch.eye(4))
    assert may_be_seen(points, 0.0, camera).tolist() == [False, False, True]
    # Two pixels left of the edge is the plane 30 x + 26 z = 0, 0.25 m from the second point.
    assert may_be_seen(points, 0.15, camera).tolist() == [False, False, True]
    assert may_be_seen(points, torch.tensor([1.1, 0.3, 0.0]), camera).tolist() == [True, True, True]


def test_of_a_fisheye_nothing_is_known():
    assert may_be_seen(torch.tensor([[0.0, 0.0, -5.0]]), 0.0, looking(torch.eye(4), "fisheye")).all()
