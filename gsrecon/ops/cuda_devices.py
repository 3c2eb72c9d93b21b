"""Which GPUs there are: from cuda-python where it is installed, else from torch and our own kernels."""

from dataclasses import dataclass
from typing import Any

import torch

from gsrecon.errors import BackendUnavailableError
from gsrecon.ops import _native


@dataclass(frozen=True)
class CudaDevice:
    """A GPU as its driver describes it."""

    number: int
    name: str
    capability: tuple[int, int]
    """Compute capability, (9, 0) for an H100."""
    memory: int
    """Bytes it has."""
    free_memory: int | None
    """Bytes of it that nobody uses; None where nothing tells."""


@dataclass(frozen=True)
class CudaFacts:
    """What is known of CUDA on this machine."""

    source: str
    """Who told: `cuda-python` or `torch`."""
    driver: tuple[int, int] | None
    """Newest CUDA the driver knows, (13, 0); None where nothing tells."""
    devices: tuple[CudaDevice, ...]


def cuda_facts() -> CudaFacts:
    """GPUs and driver; no devices where there are none. Never raises for a machine without a GPU.

    Raises:
        RuntimeError: A driver or a GPU that is there does not answer.
    """
    bindings = _bindings()
    if bindings is not None:
        return _from_bindings(*bindings)
    return _from_torch()


def _bindings() -> tuple[Any, Any] | None:
    """cuda-python's driver and runtime; None where it is not installed or finds no driver."""
    try:
        # The folder cuda/ of a checkout hides the package from pyright, not from Python.
        from cuda.bindings import driver, runtime  # pyright: ignore[reportAttributeAccessIssue]

        (status,) = driver.cuInit(0)
    except (ImportError, RuntimeError):
        return None
    return None if status != 0 else (driver, runtime)


def _from_bindings(driver: Any, runtime: Any) -> CudaFacts:
    version = _value(driver.cuDriverGetVersion())
    attribute = driver.CUdevice_attribute
    devices = []
    for number in range(_value(driver.cuDeviceGetCount())):
        handle = _value(driver.cuDeviceGet(number))
        capability = tuple(
            _value(driver.cuDeviceGetAttribute(which, handle))
            for which in (
                attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR,
                attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR,
            )
        )
        name = _value(driver.cuDeviceGetName(96, handle))
        runtime.cudaSetDevice(number)
        status, free, total = runtime.cudaMemGetInfo()
        devices.append(
            CudaDevice(
                number,
                name.split(b"\0")[0].decode(errors="replace"),
                (capability[0], capability[1]),
                total if status == 0 else _value(driver.cuDeviceTotalMem(handle)),
                free if status == 0 else None,
            )
        )
    return CudaFacts("cuda-python", _major_and_minor(version), tuple(devices))


def _value(answer: tuple[Any, Any]) -> Any:
    status, value = answer
    if status != 0:
        raise RuntimeError(f"the NVIDIA driver answered {status}; check it with nvidia-smi")
    return value


def _from_torch() -> CudaFacts:
    driver = _driver_our_kernels_find()
    if not torch.cuda.is_available():
        return CudaFacts("torch", driver, ())
    devices = []
    for number in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(number)
        free, total = torch.cuda.mem_get_info(number)
        devices.append(CudaDevice(number, properties.name, (properties.major, properties.minor), total, free))
    return CudaFacts("torch", driver, tuple(devices))


def _driver_our_kernels_find() -> tuple[int, int] | None:
    """Torch does not tell; None where there is no driver, or this build has no kernels to ask."""
    try:
        found = _native.has_cuda_kernels() and _native.kernels().cuda_versions()[0]
    except BackendUnavailableError:
        return None
    return _major_and_minor(found) if found else None


def _major_and_minor(version: int) -> tuple[int, int]:
    return version // 1000, version % 1000 // 10
