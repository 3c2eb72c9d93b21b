"""Errors of a GPU, raised by hand."""

from types import SimpleNamespace

import pytest
import torch

from gsrecon.errors import BackendUnavailableError, DeviceFailedError, DeviceMemoryError
from gsrecon.ops.device_errors import device_errors, fitting_gaussians, fitting_pixels, told_of_device
from gsrecon.ops.rasterize import rasterize
from tests.ops.random_scenes import SceneOptions, random_scene

GPU = torch.device("cuda", 0)
KINDS = {"ours": type("CudaError", (RuntimeError,), {}), "torch": RuntimeError}
"""How our kernels tell that CUDA failed, and how torch does."""


@pytest.fixture
def small_gpu(monkeypatch):
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda _: SimpleNamespace(total_memory=8 * 2**30)
    )


def test_too_little_memory_says_what_fits_and_which_settings_help(small_gpu):
    with pytest.raises(DeviceMemoryError) as told, device_errors(9_000_000, 6, 1600, 900, GPU):
        raise torch.OutOfMemoryError("CUDA out of memory")
    message = str(told.value)
    fitting = fitting_gaussians(8 * 2**30, 6, 1600 * 900)
    assert "8 GiB are not enough to draw 9,000,000 Gaussians into 6 pictures of 1600x900" in message
    assert f"about {fitting:,} Gaussians" in message
    assert 0 < fitting < 9_000_000
    for setting in ("density.cap", "image_scale", "groups"):
        assert setting in message
    assert isinstance(told.value.__cause__, torch.OutOfMemoryError)


def test_what_fits_needs_no_more_than_the_memory():
    memory = 16 * 2**30
    pixels = fitting_pixels(memory, 2, 1_000_000)
    assert fitting_gaussians(memory, 2, pixels) == pytest.approx(1_000_000, abs=1000)
    assert fitting_gaussians(1000, 2, pixels) == 0
    assert fitting_pixels(1000, 2, 1_000_000) == 0


@pytest.mark.parametrize("failure", KINDS)
def test_a_device_that_is_lost_leaves_what_is_on_disk_and_says_how_to_go_on(failure):
    with (
        pytest.raises(DeviceFailedError, match=r"illegal memory access.*intact.*--resume"),
        device_errors(1, 1, 2, 2, GPU),
    ):
        raise KINDS[failure]("CUDA error: an illegal memory access was encountered")


@pytest.mark.parametrize("failure", KINDS)
@pytest.mark.parametrize("said", ["out of memory", "CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`"])
def test_memory_that_a_kernel_lacks_is_too_little_memory_and_no_failed_device(small_gpu, failure, said):
    with pytest.raises(DeviceMemoryError, match=r"8 GiB are not enough"), device_errors(1, 1, 2, 2, GPU):
        raise KINDS[failure](f"CUDA error: {said}")


@pytest.mark.parametrize(
    "said",
    [
        "project: no kernel image is available for execution on the device",
        "sort: the provided PTX was compiled with an unsupported toolchain.",
    ],
)
def test_kernels_that_are_not_for_the_gpu_or_its_driver_say_what_to_do(said):
    with (
        pytest.raises(BackendUnavailableError, match=r"driver is too old.*gsrecon doctor.*install gsrecon"),
        device_errors(1, 1, 2, 2, GPU),
    ):
        raise KINDS["ours"](said)


def test_too_little_memory_where_nothing_is_drawn_says_which_settings_help():
    told = told_of_device(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB."))
    assert isinstance(told, DeviceMemoryError)
    for setting in ("density.cap", "image_scale", "groups"):
        assert setting in str(told)
    assert told_of_device(RuntimeError("out of memory, says the network")) is None


def test_other_errors_pass_as_they_are():
    with pytest.raises(RuntimeError, match="^sizes differ$"), device_errors(1, 1, 2, 2, GPU):
        raise RuntimeError("sizes differ")


def test_tensors_on_two_devices_are_named():
    scene = random_scene(SceneOptions(gaussians=3)).to(torch.float32)
    splats = scene.splats
    splats = type(splats)(**{**vars(splats), "scales": torch.empty_like(splats.scales, device="meta")})
    with pytest.raises(ValueError, match="splats.scales: expected a tensor on cpu.*got meta"):
        rasterize(splats, scene.cameras, scene.settings)


def test_a_background_on_another_device_is_named():
    scene = random_scene(SceneOptions(gaussians=3)).to(torch.float32)
    with pytest.raises(ValueError, match="^backgrounds: expected a tensor on cpu.*got meta"):
        rasterize(scene.splats, scene.cameras, scene.settings, torch.zeros(2, 3, device="meta"))


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        ("object_index", lambda t: t.long(), r"object_index: expected int32 \[N\], got torch.int64 \[3\]"),
        ("opacities", lambda t: t[:, None], r"opacities: expected 1-d, got \[3, 1\]"),
    ],
)
def test_tensors_of_another_type_or_shape_are_named(name, change, told):
    scene = random_scene(SceneOptions(gaussians=3, objects=2)).to(torch.float32)
    # Not by `replace`: in tests alone, types are checked where splats are made.
    object.__setattr__(scene.splats, name, change(getattr(scene.splats, name)))
    with pytest.raises(ValueError, match=told):
        rasterize(scene.splats, scene.cameras, scene.settings)


def test_a_backend_for_another_device_says_how_to_move():
    scene = random_scene(SceneOptions(gaussians=3)).to(torch.float32)
    with pytest.raises(Exception, match=r"cuda backend draws tensors on cuda, got cpu; .*\.cuda\(\)"):
        rasterize(scene.splats, scene.cameras, backend="cuda")
