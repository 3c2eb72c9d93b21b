"""GPUs as cuda-python describes them, with a driver that is made up."""

from types import SimpleNamespace

import pytest

from gsrecon.cli.doctor import gpu_facts
from gsrecon.ops import _native, cuda_devices
from gsrecon.ops.cuda_devices import CudaDevice, CudaFacts, cuda_facts

GIB = 2**30


def driver(devices: int = 1, count_status: int = 0) -> SimpleNamespace:
    return SimpleNamespace(
        CUdevice_attribute=SimpleNamespace(
            CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR="major",
            CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR="minor",
        ),
        cuDriverGetVersion=lambda: (0, 12080),
        cuDeviceGetCount=lambda: (count_status, devices),
        cuDeviceGet=lambda number: (0, number),
        cuDeviceGetAttribute=lambda which, _: (0, {"major": 9, "minor": 0}[which]),
        cuDeviceGetName=lambda length, _: (0, b"NVIDIA H100".ljust(length, b"\0")),
        cuDeviceTotalMem=lambda _: (0, 80 * GIB),
    )


def runtime(status: int = 0) -> SimpleNamespace:
    return SimpleNamespace(cudaSetDevice=lambda _: (0,), cudaMemGetInfo=lambda: (status, 70 * GIB, 79 * GIB))


def told(monkeypatch: pytest.MonkeyPatch, *bindings: SimpleNamespace) -> CudaFacts:
    monkeypatch.setattr(cuda_devices, "_bindings", lambda: bindings)
    return cuda_facts()


def test_a_gpu_is_described_with_capability_driver_and_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = told(monkeypatch, driver(2), runtime())
    assert facts.driver == (12, 8)
    assert facts.devices == tuple(
        CudaDevice(number, "NVIDIA H100", (9, 0), 79 * GIB, 70 * GIB) for number in (0, 1)
    )


def test_memory_that_cannot_be_asked_for_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    (device,) = told(monkeypatch, driver(), runtime(status=2)).devices
    assert device.memory == 80 * GIB
    assert device.free_memory is None


def test_a_driver_that_fails_says_where_to_look(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RuntimeError, match="nvidia-smi"):
        told(monkeypatch, driver(count_status=100), runtime())


@pytest.mark.parametrize(("number", "driver"), [(12080, (12, 8)), (0, None)])
def test_without_cuda_python_torch_tells_and_our_kernels_tell_the_driver(
    monkeypatch: pytest.MonkeyPatch, number: int, driver: tuple[int, int] | None
) -> None:
    monkeypatch.setattr(cuda_devices, "_bindings", lambda: None)
    built = SimpleNamespace(Cuda=object, cuda_versions=lambda: (number, 13000))
    monkeypatch.setattr(_native, "kernels", lambda: built)
    facts = cuda_facts()
    assert facts.source == "torch"
    assert facts.driver == driver


def test_without_cuda_python_and_kernels_nothing_tells_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_devices, "_bindings", lambda: None)
    monkeypatch.setattr(_native, "kernels", SimpleNamespace)
    assert cuda_facts().driver is None


def test_the_doctor_tells_everything_of_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_devices, "_bindings", lambda: (driver(), runtime()))
    said = {fact.name: fact.said for fact in gpu_facts()}
    assert said["driver"] == "knows CUDA up to 12.8"
    assert said["cuda:0"] == "NVIDIA H100, capability 9.0, 70.0 GiB free of 79.0 GiB"


def test_the_doctor_goes_on_where_the_driver_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_devices, "_bindings", lambda: (driver(count_status=999), runtime()))
    (fact,) = (fact for fact in gpu_facts() if fact.name == "gpu")
    assert not fact.fine
    assert "answered 999; check it with nvidia-smi" in fact.said
