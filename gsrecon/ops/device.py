"""Which device tensors live on, from a name."""

import logging
from functools import cache

import torch

from gsrecon.errors import BackendUnavailableError, SpecError
from gsrecon.ops._native import cuda_problem, has_cuda_kernels

_log = logging.getLogger(__name__)

_ON_CPU = "cpu"
"""The device, and the backend that draws on no other one."""


def pick_device(name: str, backend: str = "auto") -> torch.device:
    """The device of a name.

    Args:
        name: `cpu`, `cuda` for the first GPU, `cuda:1` for the second; `auto` is the first GPU where gsrecon
            has kernels for it, else the CPU.
        backend: Rasterizer backend that will draw there, see `rasterize`; `cpu` keeps everything on the CPU.

    Raises:
        SpecError: The name is unknown, or the backend does not draw on this device.
        BackendUnavailableError: There is no such device here.
    """
    if name == "auto":
        if backend in ("cuda", "gsplat"):
            return _gpu(0)
        if backend == _ON_CPU or not _gpu_by_itself():
            return torch.device(_ON_CPU)
        return _gpu(0)
    device = _named(name)
    if device.type == _ON_CPU:
        return torch.device(_ON_CPU)
    if backend == _ON_CPU:
        raise SpecError(f"device: the backend 'cpu' does not draw on {name!r}; choose another of the two")
    device = _gpu(device.index or 0)
    problem = cuda_problem() if backend in ("auto", "cuda") else None
    if problem is not None:
        raise BackendUnavailableError(f"device {name}: {problem}")
    return device


def generator_on(device: torch.device, generator: torch.Generator) -> torch.Generator:
    """A generator for random numbers by the row, which are too many to be brought to a GPU in every step.

    The generator itself where the device is its own; else a new one there, with a seed that it draws: such
    numbers depend on the kind of device.
    """
    if device.type == generator.device.type:
        return generator
    seed = int(torch.randint(2**62, (), generator=generator))
    return torch.Generator(device=device).manual_seed(seed)


@cache
def _gpu_by_itself() -> bool:
    """Whether a GPU can be used without being asked for; where kernels or torch are made for one, why not."""
    problem = cuda_problem()
    if problem is not None and (has_cuda_kernels() or torch.cuda.is_available()):
        _log.info("working on the CPU: %s", problem)
    return problem is None


def _named(name: str) -> torch.device:
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in (_ON_CPU, "cuda"):
        raise SpecError(f"device: expected 'auto', 'cpu', 'cuda' or 'cuda:N', got {name!r}")
    return device


def _gpu(number: int) -> torch.device:
    """With its number, so that it compares equal to the device of its tensors."""
    if torch.version.cuda is None:
        raise BackendUnavailableError(
            f"device: this torch ({torch.__version__}) has no CUDA; install one that has, or use 'cpu'"
        )
    if not torch.cuda.is_available():
        raise BackendUnavailableError(
            "device: torch finds no GPU that it can use; check the driver with nvidia-smi, or use 'cpu'"
        )
    count = torch.cuda.device_count()
    if number >= count:
        known = ", ".join(f"cuda:{k}" for k in range(count))
        raise BackendUnavailableError(f"device: there is no cuda:{number}; torch finds {known}")
    return torch.device("cuda", number)
