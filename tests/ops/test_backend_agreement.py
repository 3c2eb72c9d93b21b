"""The compiled backends in float32 against the reference in float64: values and gradients of every input."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gsrecon.geometry.camera import Cameras
from gsrecon.ops.rasterize import rasterize
from gsrecon.ops.reference import rasterize_reference
from gsrecon.ops.settings import Rasterized, RasterizeSettings
from gsrecon.ops.splats import Splats
from tests.ops.agreement import gradients, on_cpu, painted, relative_error, settled
from tests.ops.conftest import Compiled
from tests.ops.random_scenes import Scene, SceneOptions, random_scene

PICTURES = ("image", "alpha", "depth", "features")


def reference(scene: Scene) -> Rasterized:
    return rasterize_reference(scene.splats, scene.cameras, scene.settings, scene.backgrounds)


@st.composite
def scene_options(draw: st.DrawFn) -> SceneOptions:
    model = draw(st.sampled_from(["pinhole", "fisheye"]))
    degree = draw(st.sampled_from([None, 0, 1, 2, 3, 4]))
    return SceneOptions(
        gaussians=draw(st.sampled_from([1, 7, 60, 150])),
        cameras=draw(st.integers(1, 3)),
        width=draw(st.sampled_from([1, 5, 16, 37, 64])),
        height=draw(st.sampled_from([1, 3, 16, 29, 33])),
        model=model,
        distorted=model == "fisheye" and draw(st.booleans()),
        mode=draw(st.sampled_from(["classic", "antialiased"])),
        sh_degree=degree,
        used_sh_degree=None if degree is None else draw(st.sampled_from([None, *range(degree + 1)])),
        colors_per_camera=degree is None and draw(st.booleans()),
        features=draw(st.sampled_from([0, 1, 4, 9])),
        objects=draw(st.integers(1, 3)),
        backgrounds=draw(st.booleans()),
        extremes=draw(st.booleans()),
        seed=draw(st.integers(0, 10_000)),
    )


def random_weights(result: Rasterized, keep: Tensor, seed: int) -> dict[str, Tensor]:
    """Random upstream gradients [C, H, W, ...] of every picture, zero where `keep` [C, H, W] is not set."""
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for name in PICTURES:
        picture = getattr(result, name)
        if picture is not None:
            weight = torch.randn(picture.shape, generator=generator, dtype=torch.float64)
            weights[name] = weight * (keep if picture.ndim == 3 else keep[..., None])
    weights["depth"] *= 0.1
    return weights


@settings(max_examples=30, deadline=None, derandomize=True)
@given(options=scene_options())
def test_away_from_thresholds_values_agree_to_1e_5_and_gradients_to_1e_4(
    compiled: Compiled, options: SceneOptions
) -> None:
    scene = settled(random_scene(options))
    pictures = painted(scene)
    sure = torch.from_numpy(np.stack([~p.fragile for p in pictures]))
    with torch.no_grad():
        shapes = reference(scene)
    weights = random_weights(shapes, sure, options.seed)
    expected, expected_gradients = gradients(reference, scene, torch.float64, weights)
    actual, actual_gradients = gradients(compiled.draw, scene, torch.float32, weights)

    for name in PICTURES:
        theirs, ours = getattr(expected, name), getattr(actual, name)
        assert (theirs is None) == (ours is None)
        if theirs is not None:
            assert relative_error(ours[sure], theirs[sure], typical=0.1) < 1e-5, name
    assert actual.ids is not None
    assert actual.median_depth is not None
    sure_id = torch.from_numpy(np.stack([~p.fragile_id for p in pictures]))
    assert actual.ids.dtype == torch.int32
    assert expected.ids is not None
    assert torch.equal(actual.ids[sure_id], expected.ids[sure_id])
    sure_median = torch.from_numpy(np.stack([~p.fragile_median for p in pictures]))
    assert expected.median_depth is not None
    assert relative_error(actual.median_depth[sure_median], expected.median_depth[sure_median]) < 1e-5

    ours, theirs = actual.info, expected.info
    seen = (theirs.radii > 0).all(-1)
    assert torch.equal((ours.radii > 0).all(-1), seen)
    assert ((ours.radii - theirs.radii).abs() <= 1).all()
    for name in ("means2d", "depths", "conics", "opacities"):
        assert relative_error(getattr(ours, name)[seen], getattr(theirs, name)[seen]) < 1e-4, name

    assert actual_gradients.keys() == expected_gradients.keys()
    for name, gradient in expected_gradients.items():
        assert relative_error(actual_gradients[name], gradient) < 1e-4, name


@settings(max_examples=15, deadline=None, derandomize=True)
@given(options=scene_options())
def test_with_thresholds_999_values_of_1000_agree_to_2e_4_and_gradients_to_2e_3(
    compiled: Compiled, options: SceneOptions
) -> None:
    scene = random_scene(options)
    with torch.no_grad():
        shapes = reference(scene)
    weights = random_weights(shapes, torch.ones_like(shapes.alpha, dtype=torch.bool), options.seed)
    expected, expected_gradients = gradients(reference, scene, torch.float64, weights)
    actual, actual_gradients = gradients(compiled.draw, scene, torch.float32, weights)
    for name in PICTURES:
        theirs, ours = getattr(expected, name), getattr(actual, name)
        if theirs is not None:
            close = (ours - theirs).abs() <= 2e-4 * theirs.abs().clamp(min=1)
            # One value may differ in pictures of fewer than a thousand.
            assert (~close).sum() <= max(1.0, 0.001 * close.numel()), name
    for name, gradient in expected_gradients.items():
        assert relative_error(actual_gradients[name], gradient) < 2e-3, name


def without_gaussians(scene: Scene) -> Scene:
    splats = scene.splats
    emptied = {
        name: value[:0]
        for name in (
            "means",
            "quats",
            "scales",
            "opacities",
            "sh0",
            "sh_rest",
            "colors",
            "features",
            "object_index",
        )
        if (value := getattr(splats, name)) is not None
    }
    return replace(scene, splats=replace(splats, **emptied))


def with_values(**values: float) -> Scene:
    scene = random_scene(SceneOptions(objects=2, features=2, seed=3))
    changed = {name: torch.full_like(getattr(scene.splats, name), value) for name, value in values.items()}
    return replace(scene, splats=replace(scene.splats, **changed))


def on_the_near_plane() -> Scene:
    """Gaussians at z equal to the near plane exactly, a float above and a float below."""
    scene = random_scene(SceneOptions(gaussians=3, cameras=1, sh_degree=0, width=9, height=9, seed=4))
    cameras = replace(scene.cameras, viewmats=torch.eye(4, dtype=torch.float64)[None])
    near = torch.tensor(0.125)
    z = torch.stack([near, torch.nextafter(near, near * 2), torch.nextafter(near, near * 0)]).double()
    means = torch.zeros(3, 3, dtype=torch.float64)
    means[:, 2] = z
    scales = torch.tensor([0.0078125, 0.015625, 0.00390625], dtype=torch.float64).expand(3, 3)
    splats = replace(scene.splats, means=means, scales=scales)
    return replace(scene, splats=splats, cameras=cameras)


def behind_the_camera() -> Scene:
    scene = random_scene(SceneOptions(sh_degree=1, cameras=1, seed=5))
    flip = torch.diag(torch.tensor([-1.0, 1.0, -1.0, 1.0])).double()
    return replace(scene, cameras=replace(scene.cameras, viewmats=flip @ scene.cameras.viewmats))


def past_the_fold_of_a_fisheye() -> Scene:
    scene = random_scene(SceneOptions(model="fisheye", distorted=True, cameras=2, gaussians=200, seed=6))
    assert scene.cameras.distortion is not None
    folding = torch.zeros_like(scene.cameras.distortion)
    folding[:, 0] = -0.5
    Ks = scene.cameras.Ks.clone()
    Ks[:, :2, :2] *= 1.5
    return replace(scene, cameras=replace(scene.cameras, distortion=folding, Ks=Ks))


EDGES = {
    "no Gaussians": lambda: without_gaussians(random_scene(SceneOptions(objects=2, features=2))),
    "no Gaussians, plain colours": lambda: without_gaussians(random_scene(SceneOptions(sh_degree=None))),
    "all opacities zero": lambda: with_values(opacities=0.0),
    "all quaternions zero": lambda: with_values(quats=0.0),
    "all scales zero": lambda: with_values(scales=0.0),
    "tiny": lambda: with_values(scales=1e-6),
    "huge": lambda: with_values(scales=1e3),
    "not numbers": lambda: with_values(means=torch.nan),
    "infinite scales": lambda: with_values(scales=torch.inf),
    "on the near plane": on_the_near_plane,
    "behind the camera": behind_the_camera,
    "past the fold of a fisheye": past_the_fold_of_a_fisheye,
    "one pixel": lambda: random_scene(SceneOptions(width=1, height=1, extremes=True)),
    "one row": lambda: random_scene(SceneOptions(width=131, height=1, extremes=True)),
    "one column": lambda: random_scene(SceneOptions(width=1, height=131, extremes=True)),
    "sizes no tile divides": lambda: random_scene(SceneOptions(width=67, height=41, gaussians=60)),
}


@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize("mode", ["classic", "antialiased"])
def test_edge_cases_agree_and_leave_finite_gradients(compiled: Compiled, edge: str, mode: str) -> None:
    scene = EDGES[edge]()
    wanted = replace(scene.settings, mode="antialiased" if mode == "antialiased" else "classic")
    scene = settled(replace(scene, settings=wanted)) if edge != "on the near plane" else scene
    sure = torch.from_numpy(np.stack([~p.fragile for p in painted(scene)]))
    with torch.no_grad():
        shapes = reference(scene)
    weights = random_weights(shapes, sure, 1)
    expected, expected_gradients = gradients(reference, scene, torch.float64, weights)
    actual, actual_gradients = gradients(compiled.draw, scene, torch.float32, weights)
    assert torch.equal(actual.info.radii > 0, expected.info.radii > 0)
    for name in PICTURES:
        if getattr(expected, name) is not None:
            assert relative_error(getattr(actual, name)[sure], getattr(expected, name)[sure], 0.1) < 1e-5, (
                name
            )
    for name, gradient in expected_gradients.items():
        assert relative_error(actual_gradients[name], gradient) < 2e-4, name


def test_equal_depths_are_blended_in_the_order_of_the_list(compiled: Compiled) -> None:
    n = 40
    generator = torch.Generator().manual_seed(8)
    scene = random_scene(SceneOptions(gaussians=n, cameras=1, sh_degree=None, width=20, height=20, seed=8))
    means = torch.zeros(n, 3, dtype=torch.float64)
    means[:, :2] = (torch.rand(n, 2, generator=generator) - 0.5).double()
    means[:, 2] = 2.0
    cameras = replace(scene.cameras, viewmats=torch.eye(4, dtype=torch.float64)[None])
    splats = replace(scene.splats, means=means, scales=torch.full_like(means, 0.25))
    scene = replace(scene, splats=splats, cameras=cameras)
    sure = torch.from_numpy(np.stack([~p.fragile for p in painted(scene)]))
    with torch.no_grad():
        drawn = on_cpu(compiled.draw(scene.to(torch.float32)))
        assert relative_error(drawn.image[sure], reference(scene).image[sure]) < 1e-5


def test_outputs_that_are_not_asked_for_are_none(compiled: Compiled) -> None:
    scene = random_scene(SceneOptions(gaussians=5)).to(torch.float32)
    result = compiled.draw(replace(scene, settings=RasterizeSettings(depth=False)))
    assert result.depth is None
    assert result.ids is None
    assert result.median_depth is None
    assert result.features is None
    assert result.info.absgrad_probe is None


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_appearance_given_twice_or_not_at_all_is_refused(backend: str) -> None:
    scene = random_scene(SceneOptions(gaussians=4)).to(torch.float32)
    splats: Splats = scene.splats
    for wrong in (replace(splats, colors=torch.ones(4, 3)), replace(splats, sh0=None, sh_rest=None)):
        with pytest.raises(ValueError, match="sh0"):
            rasterize(wrong, scene.cameras, backend="cpu" if backend == "cpu" else "reference")


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_pictures_of_no_camera_are_refused(backend: str) -> None:
    scene = random_scene(SceneOptions(gaussians=4)).to(torch.float32)
    nowhere = replace(scene.cameras, viewmats=torch.zeros(0, 4, 4), Ks=torch.zeros(0, 3, 3))
    with pytest.raises(ValueError, match="cameras: expected at least one"):
        rasterize(scene.splats, nowhere, backend="cpu" if backend == "cpu" else "reference")


def test_more_harmonics_than_are_held_are_refused() -> None:
    scene = random_scene(SceneOptions(gaussians=4, sh_degree=1)).to(torch.float32)
    for backend in ("cpu", "reference"):
        with pytest.raises(ValueError, match=r"sh_degree|degree"):
            rasterize(
                scene.splats,
                scene.cameras,
                RasterizeSettings(sh_degree=3),
                backend="cpu" if backend == "cpu" else "reference",
            )


@pytest.mark.parametrize("behind", [1, 3])
def test_what_is_seen_through_more_objects_than_a_pixel_tells_apart_has_its_number(
    compiled: Compiled, behind: int
) -> None:
    """Nine veils, each an object and fainter than the one before, and what is behind them in some layers."""
    count = 9 + behind
    z = torch.linspace(2.0, 6.0, count)
    opacities = torch.cat([torch.linspace(0.05, 0.01, 9), torch.full((behind,), 0.6)])
    splats = Splats(
        means=torch.stack([torch.zeros(count), torch.zeros(count), z], dim=1),
        quats=torch.tensor([[1.0, 0.0, 0.0, 0.0]]).expand(count, 4),
        scales=torch.full((count, 3), 30.0),
        opacities=opacities,
        colors=torch.ones(count, 3),
        object_index=torch.arange(count).clamp(max=9).int(),
        world_from_object=torch.eye(4).expand(1, 10, 4, 4),
    )
    K = torch.tensor([[[20.0, 0.0, 8.0], [0.0, 20.0, 8.0], [0.0, 0.0, 1.0]]])
    cameras = Cameras(torch.eye(4)[None], K, 16, 16)
    scene = Scene(splats, cameras, RasterizeSettings(ids=True), None)
    drawn, expected = compiled.draw(scene), reference(scene)
    assert drawn.ids is not None
    assert expected.ids is not None
    assert torch.equal(drawn.ids.cpu(), expected.ids)
    assert (expected.ids == 9).all()
