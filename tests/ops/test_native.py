"""Which kernels a tensor gets, on machines that are made up."""

import math
from types import SimpleNamespace

import pytest
import torch

from gsrecon.errors import BackendUnavailableError
from gsrecon.ops import _native
from gsrecon.ops.metrics import ssim


class FakeCuda:
    """Remembers where it was made."""

    def __init__(self, device, stream, allocate):
        self.device, self.stream = device, stream


@pytest.fixture
def two_gpus(monkeypatch):
    """Two GPUs, and kernels for them."""
    monkeypatch.setattr(_native, "cuda_problem", lambda: None)
    monkeypatch.setattr(_native, "kernels", lambda: SimpleNamespace(Cuda=FakeCuda))
    streams = {0: 7, 1: 8}
    monkeypatch.setattr(
        torch.cuda, "current_stream", lambda device: SimpleNamespace(cuda_stream=streams[device.index])
    )


class OnGpu(torch.Tensor):
    """A tensor that says it is on a GPU."""

    number: int
    is_cpu = False

    @property
    def device(self):
        return torch.device("cuda", self.number)


def tensor_on(number):
    tensor = torch.empty(1).as_subclass(OnGpu)
    tensor.number = number
    return tensor


@pytest.mark.parametrize("number", [0, 1])
def test_kernels_run_on_the_tensors_gpu_and_its_current_stream(two_gpus, number):
    place = _native.kernels_for(tensor_on(number))
    assert (place.device, place.stream) == (number, 7 + number)


def test_tensors_of_another_kind_are_refused_with_what_was_expected():
    place = _native.kernels_for(torch.empty(1))
    a, weights, figures = torch.rand(1, 4, 4, 3), (0.0, 1.0, 0.0), torch.empty(3)
    place.compare_pictures(a, a, None, *weights, figures, None)
    for wrong in (a.double(), a[0], a.transpose(1, 2), a.to("meta"), a.numpy(), None):
        with pytest.raises(TypeError, match=r"torch.Tensor\[dense float32, 4-d, on the CPU\]"):
            place.compare_pictures(a, wrong, None, *weights, figures, None)


def test_gradients_of_gradients_are_refused():
    image = torch.rand(1, 4, 4, 3, requires_grad=True)
    mean = ssim(image, torch.rand(1, 4, 4, 3))
    (gradient,) = torch.autograd.grad(mean, image, create_graph=True)
    with pytest.raises(RuntimeError, match="no gradients of these gradients"):
        gradient.sum().backward()


def test_a_gpu_without_kernels_says_why(monkeypatch):
    monkeypatch.setattr(_native, "cuda_problem", lambda: "there is no NVIDIA driver on this machine")
    with pytest.raises(BackendUnavailableError, match="tensors are on cuda:1, but there is no NVIDIA driver"):
        _native.kernels_for(tensor_on(1))


def test_a_device_that_nobody_draws_on_is_named():
    with pytest.raises(BackendUnavailableError, match="no backend works on tensors on meta"):
        _native.kernels_for(torch.empty(1, device="meta"))


def test_a_build_without_kernels_says_how_to_get_them(monkeypatch):
    monkeypatch.setattr(_native, "kernels", lambda: SimpleNamespace())
    assert "install a CUDA toolkit" in _native._find_cuda_problem()


@pytest.mark.parametrize("same_bits", [False, True])
def test_fresh_memory_has_the_shape_and_type_that_were_asked_for(same_bits):
    like = torch.zeros(2, dtype=torch.float64)
    torch.use_deterministic_algorithms(same_bits)
    try:
        for shape in ((), (3,), (0, 4), (2, 3, 5)):
            for dtype in (None, torch.uint8, torch.int64):
                memory = _native.fresh(like, shape, dtype)
                assert memory.shape == shape
                assert memory.dtype == (dtype or torch.float64)
                assert memory.is_contiguous()
    finally:
        torch.use_deterministic_algorithms(False)


def test_where_bits_are_to_be_the_same_torch_does_not_fill_fresh_memory_first():
    """That would write every result once more than there is to do."""
    like = torch.zeros(2)
    torch.use_deterministic_algorithms(True)
    try:
        assert values_filled_by(lambda: like.new_empty(100, 100)) == 10_000
        assert values_filled_by(lambda: _native.fresh(like, (100, 100))) == 0
    finally:
        torch.use_deterministic_algorithms(False)


def values_filled_by(work):
    with torch.profiler.profile(record_shapes=True) as profile:
        work()
    events = profile.key_averages(group_by_input_shape=True)
    return sum(math.prod(event.input_shapes[0]) for event in events if event.key == "aten::fill_")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_memory_for_a_large_gradient_is_of_the_tensors_type(dtype):
    large = torch.zeros(1 << 20, dtype=dtype)
    assert _native.pooled_like(large).dtype is dtype
    assert _native.pooled_like(large).shape == large.shape
