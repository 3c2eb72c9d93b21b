"""Names of devices."""

import pytest
import torch

from gsrecon.errors import BackendUnavailableError, SpecError
from gsrecon.ops import device
from gsrecon.ops.device import pick_device


@pytest.fixture(autouse=True)
def forgotten():
    """What was found out about this machine is found out again."""
    device._gpu_by_itself.cache_clear()
    yield
    device._gpu_by_itself.cache_clear()


@pytest.fixture
def two_gpus(monkeypatch):
    """A machine with two GPUs, as far as torch tells, and kernels for them."""
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(device, "cuda_problem", lambda: None)


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(device, "cuda_problem", lambda: "there is no NVIDIA driver on this machine")


@pytest.mark.parametrize(
    ("name", "found"),
    [("auto", "cuda:0"), ("cuda", "cuda:0"), ("cuda:1", "cuda:1"), ("cpu", "cpu"), ("cpu:0", "cpu")],
)
def test_a_gpu_is_found_with_its_number(two_gpus, name, found):
    assert pick_device(name) == torch.device(found)


def test_auto_is_the_cpu_where_there_is_no_gpu(no_gpu):
    assert pick_device("auto") == torch.device("cpu")


def test_auto_is_the_cpu_where_the_backend_or_the_build_is(two_gpus, monkeypatch):
    assert pick_device("auto", backend="cpu") == torch.device("cpu")
    monkeypatch.setattr(device, "cuda_problem", lambda: "this build of gsrecon has no CUDA kernels")
    assert pick_device("auto") == torch.device("cpu")
    assert pick_device("cuda", backend="reference") == torch.device("cuda", 0)
    with pytest.raises(
        BackendUnavailableError, match="device cuda: this build of gsrecon has no CUDA kernels"
    ):
        pick_device("cuda")


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "", "meta", "cuda:-1"])
def test_an_unknown_name_is_refused(two_gpus, name):
    with pytest.raises(SpecError, match="device: expected 'auto', 'cpu', 'cuda' or 'cuda:N', got"):
        pick_device(name)


def test_a_gpu_that_is_not_there_is_named_with_those_that_are(two_gpus):
    with pytest.raises(BackendUnavailableError, match="no cuda:2; torch finds cuda:0, cuda:1"):
        pick_device("cuda:2")


def test_the_cpus_backend_does_not_draw_on_a_gpu(two_gpus):
    with pytest.raises(SpecError, match="backend 'cpu' does not draw on 'cuda'"):
        pick_device("cuda", backend="cpu")


def test_what_is_missing_for_a_gpu_is_said(no_gpu, monkeypatch):
    monkeypatch.setattr(torch.version, "cuda", None)
    with pytest.raises(BackendUnavailableError, match="has no CUDA; install one that has"):
        pick_device("cuda")
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    with pytest.raises(BackendUnavailableError, match="torch finds no GPU"):
        pick_device("cuda:0")


def test_falling_back_to_the_cpu_is_said_once_in_one_sentence(two_gpus, monkeypatch, caplog):
    monkeypatch.setattr(device, "cuda_problem", lambda: "the NVIDIA driver is too old")
    with caplog.at_level("INFO", logger="gsrecon"):
        for _ in range(3):
            assert pick_device("auto") == torch.device("cpu")
    assert caplog.messages == ["working on the CPU: the NVIDIA driver is too old"]


def test_where_neither_the_build_nor_torch_knows_gpus_nothing_is_said(no_gpu, monkeypatch, caplog):
    monkeypatch.setattr(device, "cuda_problem", lambda: "this build of gsrecon has no CUDA kernels")
    monkeypatch.setattr(device, "has_cuda_kernels", lambda: False)
    with caplog.at_level("INFO", logger="gsrecon"):
        pick_device("auto")
    assert caplog.messages == []
