import pytest
import torch

from gsrecon.gaussians.init import InitialGaussians, gaussians_from_points, thin_by_voxels
from gsrecon.geometry.spherical_harmonics import sh0_to_rgb


def test_gaussians_show_the_colours_of_their_points(generator):
    points, colors = torch.rand(50, 3, generator=generator), torch.rand(50, 3, generator=generator)
    gaussians = gaussians_from_points(points, colors, InitialGaussians(sh_degree=2, opacity=0.4))
    assert torch.equal(gaussians.means, points)
    assert torch.allclose(sh0_to_rgb(gaussians.sh0), colors, atol=1e-6)
    assert torch.allclose(gaussians.opacities, torch.full((50,), 0.4))
    assert gaussians.sh_degree == 2


def test_scales_follow_the_distance_to_the_neighbours():
    axis = torch.arange(5.0)
    points = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), dim=-1).reshape(-1, 3)
    config = InitialGaussians(scale_factor=0.5)
    gaussians = gaussians_from_points(points, torch.zeros_like(points), config)
    assert torch.allclose(gaussians.scales, torch.full_like(points, 0.5))


def test_nothing_cannot_become_gaussians():
    with pytest.raises(ValueError, match="at least one, got none"):
        gaussians_from_points(torch.zeros(0, 3), torch.zeros(0, 3), InitialGaussians())


def test_one_point_a_voxel_is_kept_the_first():
    points = torch.tensor([[0.1, 0, 0], [0.2, 0, 0], [-0.1, 0, 0], [1.1, 0, 0], [0.3, 0, 0.9]])
    assert thin_by_voxels(points, 1.0).tolist() == [0, 2, 3]
    assert thin_by_voxels(points, 0.0).tolist() == [0, 1, 2, 3, 4]
