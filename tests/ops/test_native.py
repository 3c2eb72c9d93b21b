"""Which kernels a tensor gets, on machines that are made up."""

from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import torch

from gsrecon.errors import BackendUnavailableError
from gsrecon.ops import _native

calls_made: list[tuple[int, int]] = []


class FakeCuda:
    """Remembers where it was made and on which device it was called."""

    def __init__(self, device, stream, allocate):
        self.device, self.stream = device, stream

    def composite(self, value):
        calls_made.append((self.device, torch.cuda.current_device()))
        return value


@pytest.fixture
def two_gpus(monkeypatch):
    """Two GPUs of which the first is current, and kernels for them."""
    current = [0]

    @contextmanager
    def device(wanted):
        before, current[0] = current[0], wanted.index
        yield
        current[0] = before

    monkeypatch.setattr(_native, "cuda_problem", lambda: None)
    monkeypatch.setattr(_native, "kernels", lambda: SimpleNamespace(Cuda=FakeCuda))
    monkeypatch.setattr(torch.cuda, "current_device", lambda: current[0])
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: SimpleNamespace(cuda_stream=7))
    monkeypatch.setattr(torch.cuda, "device", device)
    calls_made.clear()


class OnGpu(torch.Tensor):
    """A tensor that says it is on a GPU."""

    number: int

    @property
    def device(self):
        return torch.device("cuda", self.number)


def tensor_on(number):
    tensor = torch.empty(1).as_subclass(OnGpu)
    tensor.number = number
    return tensor


@pytest.mark.parametrize("number", [0, 1])
def test_kernels_run_with_the_tensors_gpu_as_the_current_one(two_gpus, number):
    assert _native.kernels_for(tensor_on(number)).composite(3) == 3
    assert calls_made == [(number, number)]
    assert torch.cuda.current_device() == 0


def test_both_kinds_tell_what_they_have(two_gpus):
    for number in (0, 1):
        module = _native.kernels_for(tensor_on(number))
        assert hasattr(module, "composite")
        assert not hasattr(module, "Tiler")


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
