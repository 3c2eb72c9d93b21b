import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from gsrecon.geometry.camera import Cameras
from gsrecon.geometry.rigid import inverse, quat_to_rotmat, rotmat_to_quat, se3_exp, transform_points
from gsrecon.ops import lens
from gsrecon.ops.lens import fisheye, fisheye_widest_tangent, pinhole
from gsrecon.ops.reference import Projected, colors_seen, compose_poses, project, rasterize_reference
from gsrecon.ops.settings import RasterizeSettings
from gsrecon.ops.splats import Splats
from tests.ops.random_scenes import Scene, SceneOptions, random_scene

EXACT = {"atol": 1e-10, "rtol": 1e-10}


def projected(scene: Scene, **settings: float) -> Projected:
    splats, cameras = scene.splats, scene.cameras
    return project(
        splats.means,
        splats.quats,
        splats.scales,
        splats.opacities,
        compose_poses(cameras.viewmats, splats.world_from_object),
        splats.object_index,
        cameras.Ks,
        cameras.width,
        cameras.height,
        replace(scene.settings, **settings),
        cameras.model,
        cameras.distortion,
    )


def one_gaussian(
    mean: tuple[float, float, float],
    *,
    quat: tuple[float, float, float, float] = (1, 0, 0, 0),
    scales: tuple[float, float, float] = (0.1, 0.1, 0.1),
    opacity: float = 0.9,
    **settings: float,
) -> Projected:
    """One Gaussian before a camera of 20 x 10 pixels, focal lengths 10 and 20, principal point (11, 4)."""
    K = torch.tensor([[10.0, 0, 11], [0, 20, 4], [0, 0, 1]], dtype=torch.float64)
    return project(
        torch.tensor([mean], dtype=torch.float64),
        torch.tensor([quat], dtype=torch.float64),
        torch.tensor([scales], dtype=torch.float64),
        torch.tensor([opacity], dtype=torch.float64),
        torch.eye(4, dtype=torch.float64).reshape(1, 1, 4, 4),
        None,
        K[None],
        20,
        10,
        RasterizeSettings(**settings),
    )


def culled(result: Projected) -> bool:
    return bool((result.radii == 0).all())


def covariance(result: Projected) -> Tensor:
    xx, xy, yy = result.conics[0, 0].unbind(-1)
    return torch.linalg.inv(torch.stack([torch.stack([xx, xy]), torch.stack([xy, yy])]))


def test_axes_are_x_right_y_down_z_forward() -> None:
    result = one_gaussian((1.0, 0.5, 2.0))
    assert result.means2d[0, 0].tolist() == pytest.approx([10 * 0.5 + 11, 20 * 0.25 + 4])
    assert result.depths.item() == 2.0


def test_covariance_on_the_axis_is_scaled_by_focal_length_over_depth_and_blurred() -> None:
    result = one_gaussian((0, 0, 2.0), scales=(0.4, 0.3, 9.0))
    expected = torch.tensor([[(10 / 2 * 0.4) ** 2 + 0.3, 0], [0, (20 / 2 * 0.3) ** 2 + 0.3]])
    torch.testing.assert_close(covariance(result), expected.double())


def test_quaternions_are_wxyz_and_turn_counterclockwise_about_their_axis() -> None:
    # 90 degrees about z takes the long x axis to y.
    half = math.sqrt(0.5)
    turned = one_gaussian((0, 0, 2.0), quat=(half, 0, 0, half), scales=(0.4, 0.1, 0.1))
    straight = one_gaussian((0, 0, 2.0), scales=(0.1, 0.4, 0.1))
    torch.testing.assert_close(turned.conics, straight.conics)
    # 45 degrees from x towards y (down in the picture): x and y correlate.
    eighth = math.pi / 8
    tilted = one_gaussian(
        (0, 0, 2.0), quat=(3 * math.cos(eighth), 0, 0, 3 * math.sin(eighth)), scales=(0.4, 0.1, 0.1)
    )
    assert covariance(tilted)[0, 1].item() == pytest.approx(5 * 10 * 0.5 * (0.4**2 - 0.1**2))


def test_radii_are_where_alpha_falls_to_one_in_255_rounded_up() -> None:
    opacity = 0.6
    result = one_gaussian((0, 0, 2.0), scales=(0.4, 0.3, 0.1), opacity=opacity)
    reach = math.sqrt(2 * math.log(255 * opacity))
    deviations = math.sqrt(4 + 0.3), math.sqrt(9 + 0.3)
    assert result.radii[0, 0].tolist() == [math.ceil(reach * d) for d in deviations]


def test_antialiasing_scales_opacity_by_the_root_of_the_determinants_ratio() -> None:
    result = one_gaussian((0, 0, 2.0), scales=(0.1, 0.02, 0.1), mode="antialiased")
    xx, yy = (5 * 0.1) ** 2, (10 * 0.02) ** 2
    assert result.opacities.item() == pytest.approx(0.9 * math.sqrt(xx * yy / ((xx + 0.3) * (yy + 0.3))))


def test_outside_the_margin_the_pinhole_jacobian_is_held() -> None:
    # The right edge is at x / z = 0.9, half a width is 1: held from 0.9 + 0.3 on.
    Ks = torch.tensor([[[10.0, 0, 11], [0, 20, 4], [0, 0, 1]]], dtype=torch.float64)
    points = torch.tensor(
        [[[1.1, 0, 1.0], [1.3, 0, 1.0], [-1.3, 0, 1.0], [-1.5, 0, 1.0]]], dtype=torch.float64
    )
    pixels, jacobians = pinhole(points, Ks, 20, 10)
    assert (-jacobians[0, :, 0, 2] / 10).tolist() == pytest.approx([1.1, 1.2, -1.3, -1.4])
    assert pixels[0, :, 0].tolist() == pytest.approx([22.0, 24.0, -2.0, -4.0])


@pytest.mark.parametrize("extremes", [False, True])
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("model", ["pinhole", "fisheye"])
def test_projection_agrees_with_that_of_gsplat(model: str, seed: int, extremes: bool) -> None:
    oracle = pytest.importorskip("gsplat.cuda._torch_impl", reason="gsplat is not installed: no oracle")
    scene = random_scene(
        SceneOptions(
            model="fisheye" if model == "fisheye" else "pinhole", gaussians=300, extremes=extremes, seed=seed
        )
    )
    splats, cameras = scene.splats, scene.cameras
    for mode in ("classic", "antialiased"):
        ours = projected(replace(scene, settings=replace(scene.settings, mode=mode)))
        covariances, _ = oracle._quat_scale_to_covar_preci(splats.quats, splats.scales, True, False)
        radii, means2d, depths, conics, compensations = oracle._fully_fused_projection(
            splats.means,
            covariances,
            cameras.viewmats,
            cameras.Ks,
            cameras.width,
            cameras.height,
            near_plane=0.125,
            far_plane=100.0,
            calc_compensations=mode == "antialiased",
            camera_model=model,
        )
        seen = (ours.radii > 0).all(-1)
        assert seen.sum() > 100
        assert (radii[seen] > 0).all(), "what we draw, gsplat draws"
        # gsplat's torch code adds 1e-7 here and there in the fisheye lens; its radii do not know opacities.
        tolerance = EXACT if model == "pinhole" else {"atol": 1e-5, "rtol": 1e-4}
        torch.testing.assert_close(ours.means2d[seen], means2d[seen], **tolerance)
        torch.testing.assert_close(ours.depths[seen], depths[seen], **EXACT)
        torch.testing.assert_close(ours.conics[seen], conics[seen], **tolerance)
        opacities = splats.opacities.expand_as(depths)
        if compensations is not None:
            opacities = opacities * compensations
        torch.testing.assert_close(ours.opacities[seen], opacities[seen], **tolerance)
        assert (ours.radii[seen] <= radii[seen]).all()
        missed = (radii > 0).all(-1) & ~seen
        reach = (2 * (255 * opacities).clamp(min=1).log()).sqrt()
        invisible = (opacities < 1 / 255) | (splats.quats == 0).all(-1) | (reach < 3.3)
        assert invisible[missed].all(), "what we leave out cannot be seen"


def test_gradients_of_projection_agree_with_those_of_gsplat() -> None:
    oracle = pytest.importorskip("gsplat.cuda._torch_impl", reason="gsplat is not installed: no oracle")
    scene, leaves = random_scene(SceneOptions(gaussians=200, seed=9)).with_gradients(torch.float64)
    splats, cameras = scene.splats, scene.cameras
    ours = projected(scene)
    covariances, _ = oracle._quat_scale_to_covar_preci(splats.quats, splats.scales, True, False)
    _, means2d, depths, conics, _ = oracle._fully_fused_projection(
        splats.means, covariances, cameras.viewmats, cameras.Ks, cameras.width, cameras.height
    )
    seen = (ours.radii > 0).all(-1)
    generator = torch.Generator().manual_seed(1)
    weights = [
        torch.randn(t.shape, generator=generator, dtype=torch.float64) for t in (means2d, depths, conics)
    ]
    names = ["means", "quats", "scales", "viewmats"]
    inputs = [leaves[name] for name in names]
    losses = [
        sum((w * t)[seen].sum() for w, t in zip(weights, outputs, strict=True))
        for outputs in ((ours.means2d, ours.depths, ours.conics), (means2d, depths, conics))
    ]
    expected = torch.autograd.grad(losses[1], inputs)
    torch.testing.assert_close(torch.autograd.grad(losses[0], inputs), expected, **EXACT)


@pytest.mark.parametrize("k", [None, (0.1, -0.02, 0.003, -0.0001)])
def test_a_fisheye_point_lands_at_the_polynomial_of_its_angle(k: tuple[float, ...] | None) -> None:
    Ks = torch.tensor([[[100.0, 0, 50], [0, 120, 40], [0, 0, 1]]], dtype=torch.float64)
    theta, azimuth = 0.9, 0.4
    point = torch.tensor(
        [math.sin(theta) * math.cos(azimuth), math.sin(theta) * math.sin(azimuth), math.cos(theta)]
    ).double()
    distortion = None if k is None else torch.tensor([k], dtype=torch.float64)
    pixels, _ = fisheye(3 * point[None, None], Ks, distortion)
    radius = theta * (1 + sum(c * theta ** (2 * i + 2) for i, c in enumerate(k or ())))
    expected = [100 * radius * math.cos(azimuth) + 50, 120 * radius * math.sin(azimuth) + 40]
    assert pixels[0, 0].tolist() == pytest.approx(expected)


@pytest.mark.parametrize("offset", [0.0, 1e-9, 1e-4, 0.17, 0.1733, 0.6, 4.0])
def test_the_fisheye_jacobian_is_the_derivative_of_the_pixel(offset: float) -> None:
    Ks = torch.tensor([[[100.0, 0, 50], [0, 120, 40], [0, 0, 1]]], dtype=torch.float64)
    distortion = torch.tensor([[0.1, -0.02, 0.003, -0.0001]], dtype=torch.float64)
    points = torch.tensor([[[offset, -0.3 * offset, 1.0], [1.5 * offset, offset, 1.7]]], dtype=torch.float64)
    points.requires_grad_()
    pixels, jacobians = fisheye(points, Ks, distortion)
    for row in range(2):
        (gradient,) = torch.autograd.grad(pixels[..., row].sum(), points, retain_graph=True)
        torch.testing.assert_close(jacobians[..., row, :], gradient, **EXACT)
    assert torch.autograd.gradcheck(lambda p: fisheye(p, Ks, distortion), points)


def test_the_fold_of_a_fisheye_is_found_without_reading_the_lens_back(generator: torch.Generator) -> None:
    spread = torch.tensor([0.3, 0.1, 0.03, 0.01], dtype=torch.float64)
    distortion = torch.randn(300, 4, generator=generator, dtype=torch.float64) * spread
    expected = lens._tangents_of_roots(distortion)
    assert 50 < expected.isfinite().sum() < 250
    found = lens._tangents_by_search(distortion)
    # A slope that touches zero between two places of the search is no fold worth the name.
    missed = found.isinf() & expected.isfinite()
    assert missed.sum() <= 2
    torch.testing.assert_close(found[~missed], expected[~missed], rtol=1e-9, atol=0)


def test_past_the_angle_where_a_fisheye_folds_back_nothing_is_drawn() -> None:
    # 1 - 0.6 theta^2 stops r = theta - 0.2 theta^3 at theta = 1.29 rad.
    distortion = torch.tensor([[-0.2, 0, 0, 0], [0, 0, 0, 0], [0.3, 0.1, 0, 0]], dtype=torch.float64)
    widest = fisheye_widest_tangent(distortion, 3)
    assert widest.tolist() == pytest.approx([math.tan(math.sqrt(1 / 0.6)), math.inf, math.inf])
    angles = torch.tensor([1.28, 1.30], dtype=torch.float64)
    splats = Splats(
        means=torch.stack([angles.sin(), torch.zeros(2).double(), angles.cos()], dim=-1) * 5,
        quats=torch.tensor([[1.0, 0, 0, 0]] * 2, dtype=torch.float64),
        scales=torch.full((2, 3), 0.1, dtype=torch.float64),
        opacities=torch.ones(2, dtype=torch.float64),
        colors=torch.ones(2, 3, dtype=torch.float64),
    )
    K = torch.tensor([[20.0, 0, 32], [0, 20, 32], [0, 0, 1]], dtype=torch.float64)
    cameras = Cameras(torch.eye(4).double()[None], K[None], 64, 64, "fisheye", distortion[:1])
    radii = rasterize_reference(splats, cameras).info.radii[0]
    assert (radii > 0).all(-1).tolist() == [True, False]


def test_the_near_and_far_planes_belong_to_what_is_seen() -> None:
    for z, expected in [
        (0.25, False),
        (0.2499, True),
        (8.0, False),
        (8.001, True),
        (-1.0, True),
        (0.0, True),
    ]:
        result = one_gaussian((0, 0, z), scales=(0.05, 0.05, 0.05), near_plane=0.25, far_plane=8.0)
        assert culled(result) is expected, z
    assert culled(one_gaussian((0, 0, 0.0), near_plane=0.0))
    assert culled(one_gaussian((0, 0, -1.0), near_plane=0.0))


def test_gaussians_with_radii_up_to_radius_clip_are_left_out() -> None:
    radii = one_gaussian((0, 0, 2.0), scales=(0.3, 0.05, 0.1)).radii[0, 0].tolist()
    assert radii[0] != radii[1]
    assert culled(one_gaussian((0, 0, 2.0), scales=(0.3, 0.05, 0.1), radius_clip=float(max(radii))))
    assert not culled(one_gaussian((0, 0, 2.0), scales=(0.3, 0.05, 0.1), radius_clip=float(max(radii)) - 1))


def test_gaussians_whose_support_ends_outside_the_picture_are_left_out() -> None:
    # 11 px left of the centre is the left edge.
    radius = one_gaussian((0, 0, 2.0)).radii[0, 0, 0].item()
    assert culled(one_gaussian((-2 * (11 + radius) / 10 - 0.2, 0, 2.0)))
    assert not culled(one_gaussian((-2 * (11 + radius) / 10 + 0.2, 0, 2.0)))


@pytest.mark.parametrize(
    "change",
    [
        {"quat": (0.0, 0.0, 0.0, 0.0)},
        {"mean": (math.nan, 0, 2.0)},
        {"mean": (math.inf, 0, 2.0)},
        {"scales": (math.inf, 0.1, 0.1)},
        {"scales": (1e200, 1e200, 1e200)},
        {"quat": (math.nan, 0, 0, 1.0)},
        {"opacity": math.nan},
        {"opacity": 0.0},
        {"opacity": 0.0039},
        {"scales": (0.0, 0.0, 0.0), "eps2d": 0.0},
        {"scales": (0.0, 0.0, 0.0), "mode": "antialiased"},
    ],
)
def test_what_cannot_be_drawn_is_culled_and_leaves_zeros(change: dict) -> None:
    result = one_gaussian(**({"mean": (0, 0, 2.0)} | change))
    assert culled(result)
    for values in (result.means2d, result.depths, result.conics, result.opacities, result.directions):
        assert (values == 0).all()


@pytest.mark.parametrize("model", ["pinhole", "fisheye"])
@pytest.mark.parametrize("mode", ["classic", "antialiased"])
def test_undefined_gaussians_leave_the_gradients_of_the_others_alone(model: str, mode: str) -> None:
    options = SceneOptions(
        model="fisheye" if model == "fisheye" else "pinhole", extremes=True, objects=2, seed=6
    )
    scene = random_scene(replace(options, mode="antialiased" if mode == "antialiased" else "classic"))
    bad = torch.arange(len(scene.splats)) % 5 == 2
    broken = scene.splats
    for name, value in [
        ("means", torch.nan),
        ("scales", torch.inf),
        ("quats", 0.0),
        ("opacities", torch.nan),
    ]:
        tensor = getattr(broken, name).clone()
        tensor[bad] = value
        broken = replace(broken, **{name: tensor})
    kept = {}
    for name in ("means", "quats", "scales", "opacities", "sh0", "sh_rest", "object_index"):
        kept[name] = getattr(scene.splats, name)[~bad]
    gradients = []
    for splats in (broken, replace(scene.splats, **kept)):
        variant, leaves = replace(scene, splats=splats).with_gradients(torch.float64)
        result = rasterize_reference(variant.splats, variant.cameras, variant.settings, variant.backgrounds)
        assert result.depth is not None
        (result.image.sum() + result.depth.sum()).backward()
        gradients.append({name: leaf.grad for name, leaf in leaves.items()})
    for name, gradient in gradients[0].items():
        assert gradient is not None
        assert gradient.isfinite().all(), name
        own = gradient[~bad] if name in kept else gradient
        torch.testing.assert_close(own, gradients[1][name], **EXACT)
        if name in kept:
            assert (gradient[bad] == 0).all()


def test_moving_world_and_camera_together_changes_nothing() -> None:
    scene = random_scene(SceneOptions(gaussians=150, sh_degree=0, seed=11))
    motion = se3_exp(torch.tensor([3.0, -40.0, 7.0, 0.3, -1.1, 0.5], dtype=torch.float64))
    splats = scene.splats
    turned = rotmat_to_quat(motion[:3, :3] @ quat_to_rotmat(splats.quats))
    moved = replace(splats, means=transform_points(motion, splats.means), quats=turned)
    cameras = replace(scene.cameras, viewmats=scene.cameras.viewmats @ inverse(motion))
    with torch.no_grad():
        here = rasterize_reference(splats, scene.cameras, scene.settings).image
        there = rasterize_reference(moved, cameras, scene.settings).image
    torch.testing.assert_close(here, there, atol=1e-9, rtol=0)


def test_harmonics_are_seen_in_the_objects_own_frame() -> None:
    scene = random_scene(SceneOptions(objects=3, seed=12))
    splats, cameras = scene.splats, scene.cameras
    assert splats.world_from_object is not None
    assert splats.object_index is not None
    result = projected(scene)
    centres_in_world = torch.linalg.inv(cameras.viewmats)[:, None, :, 3:]
    centres_in_object = (torch.linalg.inv(splats.world_from_object) @ centres_in_world)[..., :3, 0]
    expected = splats.means - centres_in_object[:, splats.object_index.long()]
    seen = (result.radii > 0).all(-1)
    assert seen.sum() > 100
    # Poses are rounded to float32, so that the rigid inverse is not the general one to the last digit.
    torch.testing.assert_close(result.directions[seen], expected[seen], atol=1e-4, rtol=0)
    assert (colors_seen(splats, result.directions, None) >= 0).all()


def test_an_object_pose_is_the_same_as_moving_its_gaussians() -> None:
    scene = random_scene(SceneOptions(objects=2, sh_degree=None, seed=13, cameras=1))
    splats = scene.splats
    assert splats.world_from_object is not None
    assert splats.object_index is not None
    poses = splats.world_from_object[0, splats.object_index.long()]
    world = replace(
        splats,
        means=(poses[:, :3, :3] @ splats.means[..., None])[..., 0] + poses[:, :3, 3],
        quats=rotmat_to_quat(poses[:, :3, :3] @ quat_to_rotmat(splats.quats)),
        object_index=None,
        world_from_object=None,
    )
    with torch.no_grad():
        apart = rasterize_reference(splats, scene.cameras, scene.settings)
        together = rasterize_reference(world, scene.cameras, scene.settings)
    # Poses are rounded to float32, so their rotations are not exactly orthonormal.
    torch.testing.assert_close(apart.image, together.image, atol=1e-4, rtol=0)


def test_kilometres_from_the_origin_float32_pictures_stay_as_they_are() -> None:
    scene = random_scene(SceneOptions(objects=2, sh_degree=None, seed=14, gaussians=60))
    assert scene.splats.world_from_object is not None
    shift = torch.eye(4, dtype=torch.float64)
    shift[:3, 3] = torch.tensor([65536.0, -32768.0, 128.0])
    far_poses = (shift @ scene.splats.world_from_object).requires_grad_()
    far_cameras = replace(scene.cameras, viewmats=scene.cameras.viewmats @ inverse(shift))
    near = scene.to(torch.float32).splats
    far = replace(near, world_from_object=far_poses)
    here = rasterize_reference(near, scene.cameras, scene.settings).image
    there = rasterize_reference(far, far_cameras, scene.settings).image
    assert there.dtype == torch.float32
    torch.testing.assert_close(here, there, atol=1e-4, rtol=0)
