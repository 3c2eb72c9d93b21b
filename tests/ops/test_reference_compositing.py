import numpy as np
import pytest
import torch
from torch import Tensor

from gsrecon.geometry.camera import Cameras
from gsrecon.ops.reference import colors_seen, compose_poses, project, rasterize_reference
from gsrecon.ops.reference_compositing import strongest_object
from gsrecon.ops.settings import Rasterized, RasterizeSettings
from gsrecon.ops.splats import Splats
from tests.ops.front_to_back import paint
from tests.ops.random_scenes import SceneOptions, random_scene

ALL_OUTPUTS = RasterizeSettings(ids=True, median_depth=True)
SCALE = 0.2


def camera(width: int = 1, height: int = 1) -> Cameras:
    """Focal length 10 px, axis through the picture's middle, at the origin."""
    K = torch.tensor([[10.0, 0, width / 2], [0, 10, height / 2], [0, 0, 1]], dtype=torch.float64)
    return Cameras(torch.eye(4, dtype=torch.float64)[None], K[None], width, height)


def on_axis(opacities: list[float], depths: list[float] | None = None, **more: Tensor) -> Splats:
    """Gaussians on the optical axis, of colours (1, 0, 0), (0, 1, 0), (0, 0, 1), ... in turn."""
    n = len(opacities)
    means = torch.zeros(n, 3, dtype=torch.float64)
    means[:, 2] = torch.tensor(depths or list(range(1, n + 1)), dtype=torch.float64)
    return Splats(
        means=means,
        quats=torch.tensor([1.0, 0, 0, 0], dtype=torch.float64).expand(n, 4),
        scales=torch.full((n, 3), SCALE, dtype=torch.float64),
        opacities=torch.tensor(opacities, dtype=torch.float64),
        colors=torch.eye(3, dtype=torch.float64)[torch.arange(n) % 3],
        **more,
    )


def at_pixel(values: Tensor | None) -> list[float] | float:
    assert values is not None
    return values[0, 0, 0].tolist()


def test_two_gaussians_blend_front_to_back_over_the_background() -> None:
    background = torch.tensor([[0.1, 0.2, 0.4]], dtype=torch.float64)
    result = rasterize_reference(on_axis([0.5, 0.8], [2.0, 5.0]), camera(), ALL_OUTPUTS, background)
    assert at_pixel(result.image) == pytest.approx([0.5 + 0.01, 0.4 + 0.02, 0.04])
    assert at_pixel(result.alpha) == pytest.approx(0.9)
    assert at_pixel(result.depth) == pytest.approx((0.5 * 2 + 0.4 * 5) / 0.9)
    assert at_pixel(result.median_depth) == pytest.approx(2.0)


def test_the_order_of_the_list_does_not_matter_and_depth_does() -> None:
    result = rasterize_reference(on_axis([0.8, 0.5], [5.0, 2.0]), camera(), ALL_OUTPUTS)
    assert at_pixel(result.image) == pytest.approx([0.4, 0.5, 0])


def test_equal_depths_are_blended_in_the_order_of_the_list() -> None:
    result = rasterize_reference(on_axis([0.5, 0.5], [2.0, 2.0]), camera(), ALL_OUTPUTS)
    assert at_pixel(result.image) == pytest.approx([0.5, 0.25, 0])


def test_alpha_is_clamped_at_099_and_passes_no_gradient_there() -> None:
    splats = on_axis([1.0])
    splats.opacities.requires_grad_()
    result = rasterize_reference(splats, camera())
    assert at_pixel(result.alpha) == pytest.approx(0.99)
    result.alpha.sum().backward()
    assert splats.opacities.grad is not None
    assert splats.opacities.grad.item() == 0


def test_an_alpha_below_one_in_255_is_skipped() -> None:
    assert at_pixel(rasterize_reference(on_axis([1.01 / 255]), camera()).alpha) == pytest.approx(1.01 / 255)
    assert at_pixel(rasterize_reference(on_axis([0.99 / 255]), camera()).alpha) == 0


def test_a_pixel_stops_before_the_gaussian_that_would_bring_transmittance_to_1e_4() -> None:
    # 0.01 * 0.1 = 1e-3 is left; the third would leave 5e-5: neither it nor the fainter one behind is drawn.
    result = rasterize_reference(on_axis([0.99, 0.9, 0.95, 0.1]), camera())
    assert at_pixel(result.alpha) == pytest.approx(0.999)
    assert at_pixel(result.image) == pytest.approx([0.99, 0.009, 0])


def test_a_pixel_goes_on_while_transmittance_stays_above_1e_4() -> None:
    result = rasterize_reference(on_axis([0.99, 0.9, 0.85]), camera())
    assert at_pixel(result.alpha) == pytest.approx(1 - 0.01 * 0.1 * 0.15)


def test_pixel_centres_are_at_plus_one_half() -> None:
    cameras = camera(width=4, height=2)
    splats = on_axis([0.5], [1.0])
    splats.means[0, :2] = torch.tensor([0.05, 0.05])  # 0.5 px right of and below the middle (2, 1)
    result = rasterize_reference(splats, cameras)
    assert result.info.means2d[0, 0].tolist() == pytest.approx([2.5, 1.5])
    assert result.alpha.argmax().item() == 1 * 4 + 2
    assert result.alpha[0, 1, 2].item() == pytest.approx(0.5)


def test_a_pixel_one_standard_deviation_away_gets_the_bell_curve() -> None:
    result = rasterize_reference(
        on_axis([0.5], [1.0]), camera(width=5), RasterizeSettings(eps2d=0.0, mode="classic")
    )
    # 10 px / m * 0.2 m = 2 px standard deviation
    assert result.alpha[0, 0, 4].item() == pytest.approx(0.5 * np.exp(-0.5))


def test_where_almost_nothing_is_drawn_there_is_no_depth() -> None:
    faint = rasterize_reference(on_axis([0.009], [3.0]), camera(), ALL_OUTPUTS)
    assert at_pixel(faint.depth) == 0
    solid = rasterize_reference(on_axis([0.011], [3.0]), camera(), ALL_OUTPUTS)
    assert at_pixel(solid.depth) == pytest.approx(3.0)
    assert at_pixel(solid.median_depth) == 0


def test_median_depth_is_that_of_the_gaussian_that_stops_half_of_the_light() -> None:
    result = rasterize_reference(on_axis([0.3, 0.2, 0.2, 0.9]), camera(), ALL_OUTPUTS)
    # 0.7, 0.56, 0.448: the third
    assert at_pixel(result.median_depth) == pytest.approx(3.0)


def with_objects(opacities: list[float], objects: list[int]) -> Rasterized:
    poses = torch.eye(4, dtype=torch.float64).expand(1, max(objects) + 1, 4, 4)
    index = torch.tensor(objects, dtype=torch.int32)
    splats = on_axis(opacities, object_index=index, world_from_object=poses)
    return rasterize_reference(splats, camera(), ALL_OUTPUTS)


def test_the_object_whose_weights_sum_to_the_most_wins_not_the_strongest_gaussian() -> None:
    # weights 0.3 (1), 0.35 (2), 0.14 (1), rest 0.21
    assert at_pixel(with_objects([0.3, 0.5, 0.4], [1, 2, 1]).ids) == 1


def test_light_that_passes_competes_as_none() -> None:
    assert at_pixel(with_objects([0.3, 0.4], [0, 1]).ids) == -1
    assert at_pixel(rasterize_reference(on_axis([]), camera(), ALL_OUTPUTS).ids) == -1


def test_between_equal_sums_the_front_wins_and_none_lies_behind() -> None:
    assert at_pixel(with_objects([0.5], [2]).ids) == 2
    weights = torch.tensor([[0.0, 0.25, 0.125, 0.125, 0.25], [0.25, 0.125, 0.125, 0.125, 0.0]])
    objects = torch.tensor([2, 7, 4, 4, 2], dtype=torch.int32)
    assert strongest_object(weights, torch.tensor([0.25, 0.25]), objects).tolist() == [7, 2]
    assert strongest_object(weights, torch.tensor([0.26, 0.26]), objects).tolist() == [-1, -1]


def test_features_are_blended_like_colours_but_without_a_background() -> None:
    features = torch.tensor([[1.0, -3.0], [2.0, 10.0]], dtype=torch.float64)
    background = torch.ones(1, 3, dtype=torch.float64)
    splats = on_axis([0.5, 0.8], features=features)
    result = rasterize_reference(splats, camera(), ALL_OUTPUTS, background)
    assert at_pixel(result.features) == pytest.approx([0.5 + 0.8, -1.5 + 4.0])


def test_absgrad_sums_the_absolute_gradients_of_the_pixels() -> None:
    cameras = camera(width=6, height=5)
    splats = on_axis([0.7, 0.6], [2.0, 3.0])
    splats.means.requires_grad_()
    cotangent = torch.randn(1, 5, 6, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    result = rasterize_reference(splats, cameras, RasterizeSettings(absgrad=True))
    assert result.info.absgrad_probe is not None
    result.info.means2d.retain_grad()
    (result.image * cotangent).sum().backward()

    total, absolute = torch.zeros(1, 2, 2).double(), torch.zeros(1, 2, 2).double()
    for y in range(5):
        for x in range(6):
            one = rasterize_reference(splats, cameras)
            (gradient,) = torch.autograd.grad(
                (one.image[0, y, x] * cotangent[0, y, x]).sum(), one.info.means2d, allow_unused=True
            )
            total += gradient
            absolute += gradient.abs()
    torch.testing.assert_close(result.info.means2d.grad, total)
    torch.testing.assert_close(result.info.absgrad_probe.grad, absolute)


@pytest.mark.parametrize(
    "options",
    [
        SceneOptions(extremes=True, seed=1),
        SceneOptions(model="fisheye", distorted=True, mode="antialiased", features=3, objects=3, seed=2),
        SceneOptions(sh_degree=None, colors_per_camera=True, width=1, height=1, seed=3),
        SceneOptions(sh_degree=0, gaussians=400, width=50, height=17, extremes=True, objects=2, seed=4),
    ],
)
def test_pictures_agree_with_a_plain_loop_over_gaussians(options: SceneOptions) -> None:
    scene = random_scene(options)
    splats, cameras = scene.splats, scene.cameras
    with torch.no_grad():
        result = rasterize_reference(splats, cameras, scene.settings, scene.backgrounds)
    projected = project(
        splats.means,
        splats.quats,
        splats.scales,
        splats.opacities,
        compose_poses(cameras.viewmats, splats.world_from_object),
        splats.object_index,
        cameras.Ks,
        cameras.width,
        cameras.height,
        scene.settings,
        cameras.model,
        cameras.distortion,
    )
    colors = colors_seen(splats, projected.directions, scene.settings.sh_degree)
    objects = torch.zeros(len(splats)) if splats.object_index is None else splats.object_index
    assert result.depth is not None
    assert result.ids is not None
    assert result.median_depth is not None
    for c in range(len(cameras)):
        channels = [colors[c], projected.depths[c, :, None]]
        channels += [splats.features] if splats.features is not None else []
        values = torch.cat(channels, dim=-1).numpy()
        painted = paint(projected, c, values, objects.int().numpy(), cameras.width, cameras.height)
        background = 0 if scene.backgrounds is None else scene.backgrounds[c].numpy()
        left = painted.transmittance[..., None]
        sure = ~painted.fragile
        assert sure.mean() > 0.5
        np.testing.assert_allclose(
            result.image[c].numpy()[sure], (painted.weighted[..., :3] + left * background)[sure], atol=1e-12
        )
        np.testing.assert_allclose(result.alpha[c].numpy()[sure], 1 - painted.transmittance[sure], atol=1e-12)
        alpha = 1 - painted.transmittance
        depth = np.where(alpha >= 0.01, painted.weighted[..., 3] / np.maximum(alpha, 1e-9), 0)
        np.testing.assert_allclose(result.depth[c].numpy()[sure], depth[sure], atol=1e-10)
        if result.features is not None:
            np.testing.assert_allclose(
                result.features[c].numpy()[sure], painted.weighted[..., 4:][sure], atol=1e-12
            )
        sure_id, sure_median = ~painted.fragile_id, ~painted.fragile_median
        np.testing.assert_array_equal(result.ids[c].numpy()[sure_id], painted.ids[sure_id])
        np.testing.assert_allclose(
            result.median_depth[c].numpy()[sure_median], painted.median_depth[sure_median]
        )
