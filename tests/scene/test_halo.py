"""What a group draws of its neighbours, and what is kept between pictures of a scene that stands still."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from gsrecon.gaussians.gaussians import Gaussians
from gsrecon.gaussians.merge import merged_by_voxels
from gsrecon.geometry.camera import Cameras
from gsrecon.geometry.paths import look_at
from gsrecon.geometry.rigid import inverse, quat_to_rotmat
from gsrecon.ops.rasterize import rasterize
from gsrecon.ops.settings import RasterizeSettings
from gsrecon.scene.graph import SceneGraph
from gsrecon.scene.halo import AFAR_M, Halo
from gsrecon.scene.static import StaticGroup

FOCAL = 200.0


def wall(generator: torch.Generator, count: int = 4000) -> Gaussians:
    """Small Gaussians on a wall at x = 0, 8 m wide and 4 m high, whose colour changes slowly."""
    means = torch.rand(count, 3, generator=generator) * torch.tensor([0.0, 8.0, 4.0])
    hue = torch.sin(means[:, 1] / 2)
    return Gaussians(
        means=means,
        quats=torch.tensor([1.0, 0, 0, 0]).repeat(count, 1),
        log_scales=torch.tensor([0.005, 0.06, 0.06]).log().repeat(count, 1),
        logit_opacities=torch.full((count,), 2.0),
        sh0=torch.stack([hue, -hue, 0 * hue], dim=1),
        sh_rest=torch.zeros(count, 3, 3),
    )


def camera(x: float, towards: float = 1.0) -> Cameras:
    """At y = 4 m, z = 2 m, looking along x or back."""
    place = torch.tensor([x, 4.0, 2.0], dtype=torch.float64)
    pose = look_at(place, place + torch.tensor([towards, 0.0, 0.0], dtype=torch.float64))
    K = torch.tensor([[FOCAL, 0, 60], [0, FOCAL, 40], [0, 0, 1.0]])
    return Cameras(inverse(pose)[None].float(), K[None], 120, 80)


def drawn(node: StaticGroup, cameras: Cameras):
    splats = node.splats_at(torch.zeros(1), None, cameras)
    return rasterize(splats, cameras, RasterizeSettings(mode="antialiased", eps2d=0.1)), len(splats)


def test_a_halo_is_drawn_in_full_near_by_merged_from_afar_and_not_at_all_behind(generator):
    gaussians = wall(generator)
    halo = Halo("halo", gaussians, FOCAL)
    assert drawn(halo, camera(-20.0))[1] == len(gaussians)
    far, count = drawn(halo, camera(-AFAR_M - 10.0))
    assert 0 < count < len(gaussians) / 5
    assert drawn(halo, camera(20.0))[1] == 0
    assert drawn(halo, camera(20.0, towards=-1.0))[1] == len(gaussians)
    assert len(halo.splats_at(torch.zeros(1))) == len(gaussians)
    full, _ = drawn(StaticGroup("full", gaussians), camera(-AFAR_M - 10.0))
    error = (far.image - full.image).square().mean()
    assert -10 * torch.log10(error) > 33
    assert (far.alpha - full.alpha).abs().mean() < 0.02


def test_merged_gaussians_have_the_mixtures_mean_covariance_and_colour(generator):
    count = 50
    gaussians = replace(
        wall(generator, count),
        quats=torch.randn(count, 4, generator=generator),
        log_scales=torch.randn(count, 3, generator=generator) * 0.3 - 2,
        sh0=torch.rand(count, 3, generator=generator),
    )
    merged = merged_by_voxels(gaussians, 100.0)
    assert len(merged) == 1
    sizes = gaussians.scales.sort(dim=1).values
    mass = (gaussians.opacities * sizes[:, 1] * sizes[:, 2]).double()
    share = mass / mass.sum()
    mean = (share[:, None] * gaussians.means).sum(dim=0)
    np.testing.assert_allclose(merged.means[0], mean, atol=1e-5)
    axes = quat_to_rotmat(gaussians.quats.double()) * gaussians.scales[:, None, :]
    apart = gaussians.means - mean
    mixture = axes @ axes.transpose(1, 2) + apart[:, :, None] * apart[:, None, :]
    expected = (share[:, None, None] * mixture).sum(dim=0)
    found_axes = quat_to_rotmat(merged.quats.double()) * merged.scales[:, None, :]
    np.testing.assert_allclose((found_axes @ found_axes.transpose(1, 2))[0], expected, atol=1e-4)
    np.testing.assert_allclose(merged.sh0[0], (share[:, None] * gaussians.sh0).sum(dim=0), atol=1e-5)


def test_voxels_that_hold_one_gaussian_keep_it(generator):
    gaussians = wall(generator, 30)
    merged = merged_by_voxels(gaussians, 1e-4)
    assert len(merged) == 30
    order = torch.cdist(merged.means, gaussians.means).argmin(dim=1)
    np.testing.assert_allclose(merged.opacities, gaussians.opacities[order], atol=1e-4)
    np.testing.assert_allclose(
        merged.scales.sort(dim=1).values, gaussians.scales[order].sort(dim=1).values, atol=1e-4
    )


def test_what_is_not_trained_is_activated_and_joined_once_until_it_changes(generator):
    nodes = [StaticGroup("a", wall(generator, 20)), StaticGroup("b", wall(generator, 10))]
    graph = SceneGraph(nodes)
    first = graph.splats_at(torch.zeros(1))
    assert graph.splats_at(torch.ones(1)) is first
    nodes[0].gaussians.log_scales.add_(1.0)
    changed = graph.splats_at(torch.zeros(1))
    assert changed is not first
    np.testing.assert_allclose(changed.scales[:20], first.scales[:20] * np.e, rtol=1e-5)
    nodes[1].gaussians = wall(generator, 7)
    assert len(graph.splats_at(torch.zeros(1))) == 27


def test_what_is_trained_is_activated_at_every_step(generator):
    graph = SceneGraph([StaticGroup("a", wall(generator, 20)), StaticGroup("b", wall(generator, 10))])
    graph.trainable()
    first, second = graph.splats_at(torch.zeros(1)), graph.splats_at(torch.zeros(1))
    assert first is not second
    first.scales.sum().backward()
    second.scales.sum().backward()
    assert graph["a"].gaussians.log_scales.grad is not None


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(3)
