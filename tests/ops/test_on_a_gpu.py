"""What only a GPU can show: streams, captured steps, no waiting, the same bits, and memory that runs out.

`pytest -m gpu` runs these and, on the device, every test of the compiled backends.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from gsrecon.errors import DeviceMemoryError
from gsrecon.geometry.camera import CameraModel
from gsrecon.ops import _native
from gsrecon.ops.adam import AdamStep, adam_rows
from gsrecon.ops.depth_loss import log_depth_loss
from gsrecon.ops.picture_loss import picture_loss
from gsrecon.ops.rasterize import rasterize
from gsrecon.ops.screen_statistics import ScreenStatistics, add_screen_statistics
from gsrecon.ops.settings import Rasterized, RasterizeSettings
from tests.ops.conftest import Compiled
from tests.ops.random_scenes import Scene, SceneOptions, random_scene

pytestmark = pytest.mark.gpu
STREET = SceneOptions(gaussians=400, cameras=2, width=120, height=90, objects=2, seed=2)


@pytest.fixture(scope="module", autouse=True)
def gpu() -> Compiled:
    """The GPU's kernels, or a skip that says why there are none."""
    if (problem := _native.cuda_problem()) is not None:
        pytest.skip(problem)
    return Compiled("gpu", torch.device("cuda", 0), "cuda")


@pytest.fixture
def scene(gpu: Compiled) -> Scene:
    return gpu.moved(random_scene(STREET).to(torch.float32))


@contextmanager
def deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


def draw(scene: Scene, settings: RasterizeSettings) -> Rasterized:
    return rasterize(scene.splats, scene.cameras, settings, scene.backgrounds, backend="cuda")


def leaves_of(scene: Scene) -> tuple[Scene, list[Tensor]]:
    leaves, named = scene.with_gradients(torch.float32)
    return leaves, list(named.values())


def room(scene: Scene) -> RasterizeSettings:
    """Settings with room for twice the pairs there are."""
    with torch.no_grad():
        drawn = draw(scene, scene.settings)
    assert drawn.info.entries is not None
    return replace(scene.settings, max_entries=2 * int(drawn.info.entries))


def test_two_runs_give_the_same_bits_where_they_are_asked_to(scene: Scene) -> None:
    found = []
    for _ in range(3):
        leaves, parameters = leaves_of(scene)
        with deterministic():
            drawn = draw(leaves, scene.settings)
            (drawn.image.square().sum() + drawn.alpha.sum()).backward()
        found.append([p.grad for p in parameters if p.grad is not None])
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


def test_work_goes_to_the_current_stream(scene: Scene) -> None:
    expected = draw(scene, scene.settings)
    torch.cuda.synchronize()
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        torch.cuda._sleep(20_000_000)  # whoever runs elsewhere runs ahead
        splats = replace(scene.splats, means=scene.splats.means + 0.0)
        drawn = draw(replace(scene, splats=splats), scene.settings)
    stream.synchronize()
    assert torch.equal(drawn.image, expected.image)


@pytest.mark.filterwarnings("ignore:Synchronization debug mode")  # torch calls it a prototype
@pytest.mark.parametrize("model", ["pinhole", "fisheye"])
def test_with_room_given_nothing_waits_for_the_gpu(gpu: Compiled, model: CameraModel) -> None:
    options = replace(STREET, model=model, distorted=model == "fisheye")
    scene = gpu.moved(random_scene(options).to(torch.float32))
    settings = replace(room(scene), ids=False, median_depth=False)
    leaves, parameters = leaves_of(scene)
    truth = torch.zeros(*scene.cameras.viewmats.shape[:1], 90, 120, 3, dtype=torch.uint8, device="cuda")
    counts, measured = truth[..., 0] == 0, torch.ones(100, device="cuda")
    places = torch.arange(100, dtype=torch.int32, device="cuda")
    try:
        torch.cuda.set_sync_debug_mode("error")
        drawn = draw(leaves, settings)
        loss, _ = picture_loss(drawn.image, truth, counts, 0.2)
        loss = loss + log_depth_loss(drawn.depth, places, measured, 0.5) + drawn.alpha.mean()
        loss.backward()
        trained = [parameter for parameter in parameters if parameter.grad is not None]
        first, second = ([torch.zeros_like(parameter) for parameter in trained] for _ in range(2))
        steps = [AdamStep(1, 1e-3)] * len(trained)
        adam_rows(steps, [parameter.grad for parameter in trained], trained, first, second)
        probe = drawn.info.absgrad_probe
        assert probe is not None
        statistics = ScreenStatistics.zeros(len(leaves.splats.means), probe.device)
        add_screen_statistics(probe.grad, drawn.info.radii, STREET.width, STREET.height, statistics)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_a_step_can_be_captured_and_replayed(scene: Scene) -> None:
    settings = replace(room(scene), ids=False, median_depth=False)
    leaves, parameters = leaves_of(scene)
    means = leaves.splats.means
    moments = torch.zeros_like(means), torch.zeros_like(means)
    schedule = torch.tensor([1e-3, 1.0], device=means.device)
    start = means.detach().clone()

    def step() -> None:
        for parameter in parameters:
            parameter.grad = None
        draw(leaves, settings).image.square().mean().backward()
        assert means.grad is not None
        step = AdamStep(1, 0.0, schedule=schedule)
        adam_rows([step], [means.grad], [means], *([moment] for moment in moments))

    def reset() -> None:
        with torch.no_grad():
            for tensor, value in ((means, start), (moments[0], 0.0), (moments[1], 0.0)):
                tensor.copy_(value) if isinstance(value, Tensor) else tensor.fill_(value)

    with deterministic():
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                step()
        torch.cuda.current_stream().wait_stream(side)
        reset()
        for _ in range(3):
            step()
        expected = means.detach().clone()
        reset()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            step()
        reset()
        for _ in range(3):
            graph.replay()
        torch.cuda.synchronize()
    assert torch.equal(means.detach(), expected)
    assert not torch.equal(expected, start)


def test_memory_that_runs_out_says_what_fits_and_leaves_the_device_usable(scene: Scene) -> None:
    free, _ = torch.cuda.mem_get_info()
    blocked = torch.empty(max(0, free - 300 * 2**20), dtype=torch.uint8, device="cuda")
    try:
        with pytest.raises(DeviceMemoryError, match="density.cap"):
            draw(replace(scene, cameras=replace(scene.cameras, width=8000, height=8000)), scene.settings)
    finally:
        del blocked
        torch.cuda.empty_cache()  # other processes need some of the card, too
    assert draw(scene, scene.settings).image.isfinite().all()


def test_compute_sanitizer_finds_nothing() -> None:
    tool = shutil.which("compute-sanitizer") or shutil.which("compute-sanitizer", path="/usr/local/cuda/bin")
    if tool is None:
        pytest.skip("compute-sanitizer is not installed")
    program = (
        "import torch\n"
        "from tests.ops.random_scenes import SceneOptions, random_scene\n"
        "from tests.ops.conftest import Compiled\n"
        "scene = random_scene(SceneOptions(gaussians=60, cameras=2, objects=2, features=2))\n"
        "for same_bits in (False, True):\n"
        "    torch.use_deterministic_algorithms(same_bits)\n"
        "    leaves, _ = scene.with_gradients(torch.float32)\n"
        "    drawn = Compiled('gpu', torch.device('cuda', 0), 'cuda').draw(leaves)\n"
        "    (drawn.image.sum() + drawn.alpha.sum() + drawn.features.sum()).backward()\n"
        "torch.cuda.synchronize()\n"
    )
    # Without torch's own pool every array has its own bounds.
    environment = {**os.environ, "PYTORCH_NO_CUDA_MEMORY_CACHING": "1"}
    # Calls that torch tries and does without are not our affair.
    for check, *more in (("memcheck", "--report-api-errors", "no"), ("racecheck",)):
        options = (
            "--tool",
            check,
            *more,
            "--error-exitcode",
            "9",
            "--kernel-name",
            "kernel_substring=gsrecon",
        )
        done = subprocess.run(
            (tool, *options, sys.executable, "-c", program),
            capture_output=True, text=True, check=False, timeout=150, env=environment,
        )  # fmt: skip
        said = done.stdout + done.stderr
        if "Device not supported" in said:
            pytest.skip("compute-sanitizer does not support this device or its virtual machine")
        assert done.returncode == 0, f"{check}:\n{said[-5000:]}"
