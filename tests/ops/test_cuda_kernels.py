"""What is particular to the CUDA kernels, on the processor: real threads, chance, room, large Gaussians."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from gsrecon.errors import DeviceFailedError
from gsrecon.gaussians.density_mcmc import MCMCDensity, MCMCStrategy, relocate
from gsrecon.gaussians.gaussians import Gaussians
from gsrecon.geometry.camera import CameraModel
from gsrecon.ops import _native, lens, mcmc
from gsrecon.ops.adam import AdamStep, adam_rows
from gsrecon.ops.alone import draw_alone
from gsrecon.ops.cube_map import over_cube_map, over_cube_map_reference
from gsrecon.ops.depth_loss import log_depth_loss, log_depth_loss_reference
from gsrecon.ops.picture_loss import picture_loss, picture_loss_reference
from gsrecon.ops.rasterize import rasterize
from gsrecon.ops.reference import rasterize_reference
from gsrecon.ops.settings import Rasterized
from tests.ops.agreement import gradients, painted, relative_error, settled
from tests.ops.operators import Operators
from tests.ops.random_scenes import Scene, SceneOptions, random_scene
from tests.ops.shim import cuda_on_the_processor, shim_module

SMALL = SceneOptions(gaussians=12, cameras=1, width=18, height=17, objects=2, sh_degree=2)
KINDS = {
    "colours and depth": SMALL,
    "features": replace(SMALL, features=5, sh_degree=None),
    "fisheye, antialiased": replace(SMALL, model="fisheye", distorted=True, mode="antialiased", sh_degree=0),
}


def draw(scene: Scene) -> Rasterized:
    return rasterize(scene.splats, scene.cameras, scene.settings, scene.backgrounds)


def reference(scene: Scene) -> Rasterized:
    return rasterize_reference(scene.splats, scene.cameras, scene.settings, scene.backgrounds)


def random_weights(scene: Scene) -> dict[str, Tensor]:
    """Upstream gradients where rounding decides nothing."""
    generator = torch.Generator().manual_seed(1)
    sure = torch.from_numpy(np.stack([~p.fragile for p in painted(scene)]))
    with torch.no_grad():
        shapes = reference(scene)
    weights = {}
    for name in ("image", "alpha", "depth", "features"):
        if (picture := getattr(shapes, name)) is not None:
            keep = sure if picture.ndim == 3 else sure[..., None]
            weights[name] = torch.randn(picture.shape, generator=generator, dtype=torch.float64) * keep
    return weights


@contextmanager
def deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("same_bits", [False, True])
def test_fresh_memory_has_been_used_before(same_bits: bool) -> None:
    """On a GPU it holds what was there before: a kernel that leaves a place out is not to find zeros."""
    with cuda_on_the_processor(), deterministic() if same_bits else torch.enable_grad():
        assert _native.fresh(torch.zeros(1), (50, 3)).isnan().all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("same_bits", [False, True])
def test_rasterizer_on_real_threads_agrees_with_the_reference(kind: str, same_bits: bool) -> None:
    scene = settled(random_scene(KINDS[kind]))
    weights = random_weights(scene)
    expected, expected_gradients = gradients(reference, scene, torch.float64, weights)
    with cuda_on_the_processor("threads"), deterministic() if same_bits else torch.enable_grad():
        actual, actual_gradients = gradients(draw, scene, torch.float32, weights)
    sure = torch.from_numpy(np.stack([~p.fragile for p in painted(scene)]))
    for name in weights:
        assert relative_error(getattr(actual, name)[sure], getattr(expected, name)[sure], 0.1) < 1e-5, name
    for name, gradient in expected_gradients.items():
        assert relative_error(actual_gradients[name], gradient) < 1e-4, name
    assert actual.ids is not None
    assert expected.ids is not None
    sure_id = torch.from_numpy(np.stack([~p.fragile_id for p in painted(scene)]))
    assert torch.equal(actual.ids[sure_id], expected.ids[sure_id])


def test_other_kernels_on_real_threads_agree_with_the_reference(generator: torch.Generator) -> None:
    image, truth = (
        torch.rand(2, 19, 21, 3, generator=generator),
        torch.rand(2, 19, 21, 3, generator=generator),
    )
    leaf, exact = image.clone().requires_grad_(), image.double().requires_grad_()
    texels = torch.rand(6, 4, 4, 3, generator=generator)
    alpha, directions = torch.rand(19, 21, generator=generator), torch.randn(19, 21, 3, generator=generator)
    places = torch.randperm(2 * 19 * 21, generator=generator)[:21].int()
    adam = torch.rand(4, 70, 5, generator=generator)
    adam[0, ::3] = 0
    stepped, scene = adam.clone(), random_scene(replace(SMALL, objects=3))
    with cuda_on_the_processor("threads"):
        loss, _ = picture_loss(leaf, truth, None, 0.3)
        loss.backward()
        measured = log_depth_loss(
            depth := leaf.detach()[..., 0].requires_grad_(), places, truth[0, 0, :, 1], 0.5
        )
        measured.backward()
        sky = texels.clone().requires_grad_()
        shown = over_cube_map(image[0], alpha, sky, directions, torch.eye(3))
        (v_sky,) = torch.autograd.grad(shown.square().sum(), sky)
        adam_rows([AdamStep(3, 1e-2)] * 2, *(t.split([30, 40]) for t in stepped))
        single = scene.to(torch.float32)
        alone = draw_alone(single.splats, single.cameras, single.settings, 3)
    expected, _ = picture_loss_reference(exact, truth.double(), None, 0.3)
    expected.backward()
    assert leaf.grad is not None
    assert exact.grad is not None
    assert loss.item() == pytest.approx(expected.item(), abs=1e-6)
    assert relative_error(leaf.grad, exact.grad) < 1e-5
    exact_depth = depth.detach().double().requires_grad_()
    told = log_depth_loss_reference(exact_depth, places, truth[0, 0, :, 1].double(), 0.5)
    told.backward()
    assert depth.grad is not None
    assert exact_depth.grad is not None
    assert measured.item() == pytest.approx(told.item(), rel=1e-5)
    assert relative_error(depth.grad, exact_depth.grad) < 1e-5
    exact_sky = texels.double().requires_grad_()
    over = over_cube_map_reference(
        *(t.double() for t in (image[0], alpha)), exact_sky, directions.double(), torch.eye(3).double()
    )
    assert relative_error(shown, over) < 1e-5
    assert relative_error(v_sky, torch.autograd.grad(over.square().sum(), exact_sky)[0]) < 1e-4
    own = adam.double()
    adam_rows([AdamStep(3, 1e-2)], *([t] for t in own))
    assert relative_error(stepped, own) < 1e-5
    double = scene.to(torch.float64)
    for ours, theirs in zip(
        alone.alphas,
        draw_alone(double.splats, double.cameras, double.settings, 3, backend="reference").alphas,
        strict=True,
    ):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


def all_gradients(scene: Scene, engine: str) -> dict[str, Tensor]:
    with cuda_on_the_processor(engine):
        _, found = gradients(draw, scene, torch.float32, random_weights(scene))
    return found


@pytest.mark.parametrize("features", [0, 5])
def test_deterministic_gradients_are_the_same_bits_in_every_order_of_the_threads(features: int) -> None:
    options = replace(SMALL, gaussians=60, features=features, sh_degree=None, width=33, cameras=2)
    scene = random_scene(options)
    with deterministic():
        first, second = (all_gradients(scene, engine) for engine in ("fibers", "threads"))
    for name, gradient in first.items():
        assert torch.equal(gradient, second[name]), name
    by_chance = all_gradients(scene, "fibers")
    for name, gradient in first.items():
        assert relative_error(by_chance[name], gradient) < 1e-4, name


@pytest.mark.parametrize("features", [0, 5])
def test_lists_of_many_batches_agree_with_the_cpu_while_pixels_end_one_after_another(features: int) -> None:
    options = replace(SMALL, gaussians=2000, features=features, sh_degree=None, width=20, height=18)
    scene = random_scene(options)
    faint, large = 0.2 * scene.splats.opacities, 2.0 * scene.splats.scales
    scene = replace(scene, splats=replace(scene.splats, opacities=faint, scales=large))
    weights = random_weights(scene)
    expected, expected_gradients = gradients(draw, scene, torch.float32, weights)
    assert (expected.alpha > 0.9998).any()
    assert (expected.alpha < 0.9995).any()
    with cuda_on_the_processor():
        drawn, found = gradients(draw, scene, torch.float32, weights)
    assert drawn.info.entries is not None
    assert int(drawn.info.entries) > 4 * 2 * 256
    assert relative_error(drawn.image, expected.image, 0.1) < 1e-5
    for name, gradient in found.items():
        assert relative_error(gradient, expected_gradients[name]) < 1e-4, name


def test_room_for_more_pairs_than_there_are_changes_no_bit() -> None:
    scene = random_scene(SceneOptions(gaussians=80, cameras=2, width=70, height=50)).to(torch.float32)
    with cuda_on_the_processor():
        measured = draw(scene)
        assert measured.info.entries is not None
        count = int(measured.info.entries)
        roomy = draw(replace(scene, settings=replace(scene.settings, max_entries=3 * count)))
    for name in ("image", "alpha", "depth", "ids", "median_depth"):
        assert torch.equal(getattr(roomy, name), getattr(measured, name)), name
    assert roomy.info.entries is not None
    assert int(roomy.info.entries) == count


@pytest.mark.parametrize(("max_entries", "reads"), [(None, 1), (4000, 0)])
@pytest.mark.parametrize("model", ["pinhole", "fisheye"])
@pytest.mark.parametrize("same_bits", [False, True])
def test_nothing_is_read_back_but_the_one_size_and_with_room_given_nothing(
    monkeypatch: pytest.MonkeyPatch, max_entries: int | None, reads: int, model: CameraModel, same_bits: bool
) -> None:
    options = replace(SMALL, model=model, distorted=model == "fisheye", features=2)
    scene = random_scene(options).to(torch.float32)
    scene = replace(scene, settings=replace(scene.settings, max_entries=max_entries, absgrad=True))
    leaves, _ = scene.with_gradients(torch.float32)
    read = []
    monkeypatch.setattr(lens, "_tangents_of_roots", lens._tangents_by_search)  # as on a GPU
    with cuda_on_the_processor(), deterministic() if same_bits else torch.enable_grad():
        for reading in ("tolist", "item", "cpu", "numpy", "__bool__", "__int__", "__float__"):
            monkeypatch.setattr(Tensor, reading, noting(read, getattr(Tensor, reading)))
        with Operators() as seen:
            drawn = draw(leaves)
            (drawn.image.sum() + drawn.alpha.sum()).backward()
        monkeypatch.undo()
    assert len(read) == reads
    assert seen.names
    assert not seen.reading
    assert not seen.matrix_products


def noting(noted: list[str], function: Callable) -> Callable:
    def noted_call(*args: Any) -> Any:
        noted.append(function.__name__)
        return function(*args)

    return noted_call


def test_a_captured_picture_without_room_is_refused_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = random_scene(SMALL).to(torch.float32)
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)
    with cuda_on_the_processor(), torch.no_grad():
        monkeypatch.setattr(Tensor, "is_cuda", True)
        with pytest.raises(ValueError, match=r"^max_entries: needed where a CUDA graph captures"):
            draw(scene)


def test_pairs_that_have_no_room_are_left_out_and_counted() -> None:
    scene = random_scene(SceneOptions(gaussians=80, cameras=2, width=70, height=50)).to(torch.float32)
    room = 40
    small = replace(scene, settings=replace(scene.settings, max_entries=room))
    with cuda_on_the_processor(), deterministic():
        leaves = small.with_gradients(torch.float32)[0]
        result = draw(leaves)
        result.image.sum().backward()
    assert result.info.entries is not None
    assert int(result.info.entries) > room
    assert result.image.isfinite().all()
    gradient = leaves.splats.means.grad
    assert gradient is not None
    assert gradient.isfinite().all()


def test_gaussians_over_more_tiles_than_a_thread_writes_are_written_by_its_warp() -> None:
    scene = random_scene(
        SceneOptions(gaussians=9, cameras=1, width=230, height=170, sh_degree=None, backgrounds=False)
    )
    scales = torch.full_like(scene.splats.scales, 0.01)
    scales[:3] = 8.0  # over all 165 tiles
    scene = settled(replace(scene, splats=replace(scene.splats, scales=scales)))
    with cuda_on_the_processor(), torch.no_grad():
        drawn = draw(scene.to(torch.float32))
    assert drawn.info.entries is not None
    assert int(drawn.info.entries) > 165
    with torch.no_grad():
        expected = reference(scene)
    sure = torch.from_numpy(np.stack([~p.fragile for p in painted(scene)]))
    assert relative_error(drawn.image[sure], expected.image[sure], 0.1) < 1e-5


@pytest.mark.parametrize("features", [0, 5])
@pytest.mark.parametrize("same_bits", [False, True])
def test_gradients_of_gaussians_over_few_and_many_tiles_agree_with_the_cpu(
    same_bits: bool, features: int
) -> None:
    scene = random_scene(
        SceneOptions(gaussians=40, cameras=2, width=150, height=110, features=features, sh_degree=None)
    )
    sizes = torch.logspace(-2.0, 0.5, 40, dtype=scene.splats.scales.dtype)  # over one tile, and over all 70
    scales = scene.splats.scales / scene.splats.scales.mean(dim=1, keepdim=True) * sizes[:, None]
    scene = replace(scene, splats=replace(scene.splats, scales=scales))
    weights = random_weights(scene)
    drawn, expected = gradients(draw, scene, torch.float32, weights)
    with cuda_on_the_processor(), deterministic() if same_bits else torch.enable_grad():
        _, found = gradients(draw, scene, torch.float32, weights)
    assert int((drawn.info.radii > 150).all(-1).sum()) >= 2
    for name, gradient in expected.items():
        assert relative_error(found[name], gradient) < 1e-4, name


def test_an_object_number_out_of_range_is_not_drawn() -> None:
    scene = random_scene(replace(SMALL, gaussians=40)).to(torch.float32)
    assert scene.splats.object_index is not None
    wrong = scene.splats.object_index.clone()
    wrong[:20] = 7
    wrong[20:25] = -1
    rest = replace(scene.splats, opacities=scene.splats.opacities * (torch.arange(40) >= 25))
    with cuda_on_the_processor(), torch.no_grad():
        drawn = draw(replace(scene, splats=replace(scene.splats, object_index=wrong)))
        expected = draw(replace(scene, splats=rest))
    assert torch.equal(drawn.image, expected.image)
    assert (drawn.info.radii[:, :25] == 0).all()


def test_exploration_moves_faint_gaussians_as_on_the_cpu(generator: torch.Generator) -> None:
    count = 300
    raw = [torch.randn(count, width, generator=generator) for width in (3, 4, 3)]
    logits = torch.linspace(-8, 1, count)
    gaussians = Gaussians(*raw[:2], raw[2], logits, torch.zeros(count, 3), torch.zeros(count, 0, 3))
    moved, before = gaussians.means.clone(), gaussians.means.clone()
    draws = generator.get_state()
    MCMCStrategy(MCMCDensity(noise=1.0)).perturb(gaussians, 10.0, generator)
    generator.set_state(draws)
    faint = logits.sigmoid() < 0.1
    noise = torch.zeros(count, 3)
    noise[faint] = torch.randn(int(faint.sum()), 3, generator=generator)
    with cuda_on_the_processor():
        mcmc.explore(moved, *raw[1:], logits, noise, 10.0, MCMCDensity().dead_opacity)
    assert relative_error(moved - before, gaussians.means - before) < 1e-4
    assert torch.equal(moved[~faint], before[~faint])
    assert not torch.equal(moved[faint], before[faint])


def test_relocation_is_that_of_the_cpu(generator: torch.Generator) -> None:
    opacities = torch.rand(200, generator=generator) * 0.98 + 0.01
    copies = torch.randint(1, 60, (200,), generator=generator)
    expected = relocate(opacities, copies)
    with cuda_on_the_processor():
        actual = mcmc.relocate(opacities, copies)
    for ours, theirs in zip(actual, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("machine", "told"),
    [
        ({}, ""),
        ({"driver": 13010}, ""),
        ({"driver": 0}, "there is no NVIDIA driver on this machine"),
        (
            {"driver": 12080},
            "the NVIDIA driver is too old: it knows CUDA 12.8, these kernels need 13.0; update",
        ),
        ({"devices": 0}, "the NVIDIA driver sees no GPU"),
        ({"answer": 999}, "CUDA does not start: an error that is made up"),
    ],
)
def test_why_no_gpu_can_be_used_is_said_in_a_sentence(machine: dict[str, int], told: str) -> None:
    module = shim_module()
    module.pretend_machine(**machine)
    try:
        found = module.cuda_problem()
        assert found.startswith(told)
        assert bool(found) == bool(told)
    finally:
        module.pretend_machine()


def test_a_launch_that_fails_names_the_kernel_and_the_next_one_runs() -> None:
    module = shim_module()
    scene = random_scene(SMALL).to(torch.float32)
    with cuda_on_the_processor(), torch.no_grad():
        expected = draw(scene).image
        module.pretend_machine(answer=700)
        try:
            with pytest.raises(DeviceFailedError, match="project: an error that is made up.*--resume"):
                draw(scene)
        finally:
            module.pretend_machine()
        assert torch.equal(draw(scene).image, expected)


def test_memory_that_is_too_small_is_refused_before_anything_is_written() -> None:
    module = shim_module()
    place = module.Cuda(0, 0, lambda size: torch.empty(size // 2, dtype=torch.uint8))
    pictures, figures = torch.rand(1, 40, 40, 3), torch.empty(3)
    with pytest.raises(ValueError, match="allocate: gave less than was asked for"):
        place.compare_pictures(pictures, pictures, None, 0.0, 0.0, 1.0, figures, None)


def test_wrong_shapes_are_named() -> None:
    place = shim_module().Cuda(0, 0, lambda size: torch.empty(size, dtype=torch.uint8))
    pictures = torch.rand(1, 4, 4, 3)
    with pytest.raises(ValueError, match="figures: expected"):
        place.compare_pictures(pictures, pictures, None, 0.0, 0.0, 1.0, torch.empty(2), None)
