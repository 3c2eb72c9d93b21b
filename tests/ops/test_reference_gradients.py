"""The reference's autograd against finite differences, away from every threshold, and its edge cases."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from gsrecon.geometry.camera import CameraModel, Cameras
from gsrecon.geometry.rigid import inverse, se3_exp
from gsrecon.ops.reference import rasterize_reference
from gsrecon.ops.settings import RasterizeMode, RasterizeSettings
from gsrecon.ops.splats import Splats
from tests.ops.agreement import on_se3
from tests.ops.random_scenes import SceneOptions, random_scene

INPUTS = (
    "means",
    "quats",
    "scales",
    "opacities",
    "sh0",
    "sh_rest",
    "features",
    "viewmats",
    "world_from_object",
    "backgrounds",
)


def smooth_scene() -> dict[str, Tensor]:
    """Four Gaussians that cover a picture of 4 x 3 pixels everywhere, of alphas between 0.1 and 0.6."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    n, cameras, objects = 4, 2, 2
    viewmats = se3_exp(0.1 * normal(cameras, 6))
    world_from_object = se3_exp(0.1 * normal(cameras, objects, 6))
    depths = torch.tensor([2.0, 2.7, 3.5, 4.1], dtype=torch.float64)
    means = torch.cat([0.1 * normal(n, 2), depths[:, None]], dim=-1)
    return {
        "means": means,
        "quats": normal(n, 4),
        "scales": 0.6 + 0.3 * torch.rand(n, 3, generator=generator, dtype=torch.float64),
        "opacities": 0.3 + 0.3 * torch.rand(n, generator=generator, dtype=torch.float64),
        "sh0": 1 + 0.2 * normal(n, 3),
        "sh_rest": 0.1 * normal(n, 15, 3),
        "features": normal(n, 2),
        "viewmats": viewmats,
        "world_from_object": world_from_object,
        "backgrounds": torch.rand(cameras, 3, generator=generator, dtype=torch.float64),
    }


def render(tensors: dict[str, Tensor], model: CameraModel, mode: RasterizeMode) -> tuple[Tensor, ...]:
    K = torch.tensor([[6.0, 0, 2.1], [0, 5, 1.4], [0, 0, 1]], dtype=torch.float64).expand(2, 3, 3)
    distortion = torch.tensor([[0.05, -0.01, 0.002, 0.001]], dtype=torch.float64).expand(2, 4)
    names = ("means", "quats", "scales", "opacities", "sh0", "sh_rest", "features", "world_from_object")
    splats = Splats(
        **{name: tensors[name] for name in names},
        object_index=torch.tensor([0, 1, 1, 0], dtype=torch.int32),
    )
    cameras = Cameras(tensors["viewmats"], K, 4, 3, model, distortion if model == "fisheye" else None)
    result = rasterize_reference(splats, cameras, RasterizeSettings(mode=mode), tensors["backgrounds"])
    assert result.depth is not None
    assert result.features is not None
    return result.image, result.alpha, result.depth, result.features


@pytest.mark.parametrize("model", ["pinhole", "fisheye"])
@pytest.mark.parametrize("mode", ["classic", "antialiased"])
def test_gradients_of_every_input_pass_a_finite_difference_check(model: str, mode: str) -> None:
    tensors = smooth_scene()
    generator = torch.Generator().manual_seed(1)
    lens: CameraModel = "fisheye" if model == "fisheye" else "pinhole"
    antialiased: RasterizeMode = "antialiased" if mode == "antialiased" else "classic"
    with torch.no_grad():
        pictures = render(tensors, lens, antialiased)
    weights = [torch.randn(p.shape, generator=generator, dtype=torch.float64) for p in pictures]
    assert 0.1 < pictures[1].min() < pictures[1].max() < 0.98

    def loss(*inputs: Tensor) -> Tensor:
        pictures = render(dict(zip(INPUTS, inputs, strict=True)), lens, antialiased)
        return torch.stack([(w * p).sum() for w, p in zip(weights, pictures, strict=True)]).sum()

    assert torch.autograd.gradcheck(
        loss, [tensors[name].requires_grad_() for name in INPUTS], atol=1e-5, fast_mode=True
    )


@pytest.mark.parametrize("name", ["viewmats", "world_from_object"])
def test_pose_gradients_on_se3_are_the_slopes_along_rigid_motions(name: str) -> None:
    tensors = smooth_scene()
    weights = torch.randn(2, 3, 4, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)

    def loss(tangents: Tensor) -> Tensor:
        moved = tensors | {name: se3_exp(tangents) @ tensors[name]}
        return (weights * render(moved, "pinhole", "classic")[0]).sum()

    tangents = torch.zeros(*tensors[name].shape[:-2], 6, dtype=torch.float64, requires_grad=True)
    (along_tangents,) = torch.autograd.grad(loss(tangents), tangents)
    poses = tensors[name].requires_grad_()
    (of_entries,) = torch.autograd.grad((weights * render(tensors, "pinhole", "classic")[0]).sum(), poses)
    torch.testing.assert_close(on_se3(of_entries, poses), along_tangents)


def test_moving_the_world_against_the_camera_leaves_no_gradient() -> None:
    # Camera and objects move together: the picture stays, so the two gradients cancel.
    tensors = smooth_scene()
    tangent = torch.zeros(6, dtype=torch.float64, requires_grad=True)
    motion = se3_exp(tangent)
    moved = tensors | {
        "viewmats": tensors["viewmats"] @ inverse(motion),
        "world_from_object": motion @ tensors["world_from_object"],
    }
    image, _, depth, _ = render(moved, "pinhole", "classic")
    (gradient,) = torch.autograd.grad((image**2).sum() + (depth**2).sum(), tangent)
    assert gradient.abs().max() < 1e-10


def test_no_gaussians_show_the_background_and_take_gradients() -> None:
    scene = random_scene(SceneOptions(gaussians=0, sh_degree=1, features=2))
    variant, leaves = scene.with_gradients(torch.float64)
    result = rasterize_reference(variant.splats, variant.cameras, variant.settings, variant.backgrounds)
    assert variant.backgrounds is not None
    torch.testing.assert_close(result.image, variant.backgrounds[:, None, None].expand_as(result.image))
    assert result.ids is not None
    assert (result.ids == -1).all()
    assert result.depth is not None
    (result.image.sum() + result.depth.sum()).backward()
    for name in ("means", "sh0", "viewmats"):
        gradient = leaves[name].grad
        assert gradient is not None
        assert (gradient == 0).all()


@pytest.mark.parametrize("extent", [1e-9, 1e-4, 1e3, 1e12])
def test_tiny_and_huge_gaussians_leave_finite_pictures_and_gradients(extent: float) -> None:
    for mode in ("classic", "antialiased"):
        scene = random_scene(SceneOptions(mode="antialiased" if mode == "antialiased" else "classic", seed=3))
        splats = replace(scene.splats, scales=torch.full_like(scene.splats.scales, extent))
        variant, leaves = replace(scene, splats=splats).with_gradients(torch.float32)
        result = rasterize_reference(variant.splats, variant.cameras, variant.settings, variant.backgrounds)
        assert result.depth is not None
        (result.image.sum() + result.depth.sum()).backward()
        assert result.image.isfinite().all()
        for name, leaf in leaves.items():
            assert leaf.grad is not None, name
            assert leaf.grad.isfinite().all(), name


def test_all_opacities_zero_draw_nothing() -> None:
    scene = random_scene(SceneOptions(backgrounds=False))
    splats = replace(scene.splats, opacities=torch.zeros_like(scene.splats.opacities))
    result = rasterize_reference(splats, scene.cameras, scene.settings)
    assert (result.image == 0).all()
    assert (result.alpha == 0).all()
    assert (result.info.radii == 0).all()


def test_each_camera_of_a_batch_gives_what_it_gives_alone() -> None:
    scene = random_scene(SceneOptions(cameras=3, sh_degree=2, seed=7))
    with torch.no_grad():
        together = rasterize_reference(scene.splats, scene.cameras, scene.settings, scene.backgrounds)
        for c in range(3):
            assert scene.backgrounds is not None
            alone = replace(
                scene.cameras, viewmats=scene.cameras.viewmats[c : c + 1], Ks=scene.cameras.Ks[c : c + 1]
            )
            result = rasterize_reference(scene.splats, alone, scene.settings, scene.backgrounds[c : c + 1])
            torch.testing.assert_close(result.image[0], together.image[c])


def test_appearance_given_twice_or_not_at_all_is_refused() -> None:
    scene = random_scene(SceneOptions(gaussians=4))
    colors = torch.ones(4, 3, dtype=torch.float64)
    for wrong in (replace(scene.splats, colors=colors), replace(scene.splats, sh0=None, sh_rest=None)):
        with pytest.raises(ValueError, match="expected either sh0 or colors"):
            rasterize_reference(wrong, scene.cameras)


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        ({"near_plane": -0.1}, "near_plane"),
        ({"near_plane": 2.0, "far_plane": 1.0}, "far_plane"),
        ({"radius_clip": -1.0}, "radius_clip"),
        ({"eps2d": -0.3}, "eps2d"),
        ({"sh_degree": 5}, "sh_degree"),
    ],
)
def test_settings_out_of_range_are_refused_by_name(wrong: dict, name: str) -> None:
    with pytest.raises(ValueError, match=name):
        RasterizeSettings(**wrong)
