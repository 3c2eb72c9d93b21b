"""The compiled kernels, and those for a tensor's device. Only this imports `gsrecon._C`."""

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

from gsrecon.errors import BackendUnavailableError


def kernels() -> Any:
    """The compiled module.

    Raises:
        BackendUnavailableError: when the extension is not built or does not load on this machine.
    """
    try:
        from gsrecon import _C  # pyright: ignore[reportAttributeAccessIssue] - compiled
    except ImportError as error:
        raise BackendUnavailableError(
            f"the compiled kernels do not load ({error}); install the package with `pip install .`"
        ) from error
    return _C


def kernels_for(tensor: Tensor) -> Any:
    """The kernels that work where a tensor is: the CPU's, or CUDA's on the current stream of its device.

    Both have the same functions with the same arguments.

    Raises:
        BackendUnavailableError: when there are none for that device.
    """
    if tensor.is_cpu:
        return _on_the_cpu()
    device = tensor.device
    if device.type != "cuda":
        raise BackendUnavailableError(
            f"no backend works on tensors on {device}; move them to the CPU with .cpu()"
        )
    problem = cuda_problem()
    if problem is not None:
        raise BackendUnavailableError(f"tensors are on {device}, but {problem}")
    return kernels().Cuda(
        device.index,
        torch.cuda.current_stream(device).cuda_stream,
        lambda size: fresh(tensor, (size,), torch.uint8),
    )


@cache
def _on_the_cpu() -> Any:
    return kernels().Cpu()


@cache
def cuda_problem() -> str | None:
    """Why the CUDA kernels cannot run here, as the end of a sentence; None where they can.

    Raises:
        BackendUnavailableError: when the extension does not load at all.
    """
    return _find_cuda_problem() or None


def is_compiled(*tensors: Tensor, dtype: torch.dtype = torch.float32) -> bool:
    """Whether compiled kernels take them: of one type, all on the CPU, or all on a GPU that has some."""
    device = tensors[0].device
    for tensor in tensors:  # `all` over a generator takes twice as long
        if tensor.dtype is not dtype or tensor.device != device:
            return False
    return device.type == "cpu" or (device.type == "cuda" and cuda_problem() is None)


def has_cuda_kernels() -> bool:
    """Whether this build has CUDA kernels, runnable or not."""
    return hasattr(kernels(), "Cuda")


def _find_cuda_problem() -> str:
    module = kernels()
    if not has_cuda_kernels():
        return (
            "this build of gsrecon has no CUDA kernels: no CUDA compiler was found when it was installed; "
            "install a CUDA toolkit (nvcc 12 or newer) and install gsrecon again"
        )
    problem = module.cuda_problem()
    if problem:
        return problem
    if not torch.cuda.is_available():
        return f"PyTorch {torch.__version__} cannot use the GPU; install a build of PyTorch with CUDA"
    return ""


def cpu_isa() -> str:
    """The instruction set the CPU kernels run on: avx512, avx2 or baseline.

    Raises:
        BackendUnavailableError: when the extension does not load, or `GSRECON_CPU_ISA` names a set this
            processor lacks.
    """
    try:
        return kernels().cpu_isa()
    except RuntimeError as error:
        raise BackendUnavailableError(f"{error}; unset or change the variable") from error


def fresh(like: Tensor, shape: Sequence[int], dtype: torch.dtype | None = None) -> Tensor:
    """Memory for what a kernel writes, all of it, where `like` is.

    Where algorithms are to be deterministic, torch fills what `torch.empty` gives; this stays as it is.

    Args:
        like: Gives the device, and the type where none is named.
        shape: Dimensions.
        dtype: Type of the numbers.
    """
    if not torch.are_deterministic_algorithms_enabled():
        return like.new_empty(shape, dtype=dtype)
    dtype = dtype or like.dtype
    storage = torch.UntypedStorage(dtype.itemsize * math.prod(shape), device=like.device)
    return like.new_empty(0, dtype=dtype).set_(storage, 0, torch.Size(shape))  # pyright: ignore


_POOLED_FROM = 1 << 20
"""Floats from which a result's memory is pooled: 4 MiB."""


def pooled(like: Tensor, shape: torch.Size | tuple[int, ...]) -> Tensor:
    """Memory for a gradient of that shape, of the type and where `like` is.

    Large arrays of float32 on the CPU come from a pool: the system would clear the pages of fresh memory,
    which takes longer than the work done in them. On a GPU torch's allocator keeps a pool by itself.
    """
    if like.is_cpu and (count := math.prod(shape)) >= _POOLED_FROM and like.dtype is torch.float32:
        return torch.from_numpy(kernels().pooled(count)).view(shape)
    return fresh(like, shape)


def pooled_like(tensor: Tensor) -> Tensor:
    """Memory for the gradient of a tensor."""
    return pooled(tensor, tensor.shape)


def dense(tensor: Tensor | None) -> Tensor | None:
    """A tensor as the extension takes it: contiguous. None stays None."""
    return tensor if tensor is None or tensor.is_contiguous() else tensor.contiguous()


def all_dense(*tensors: Tensor | None) -> list[Any]:
    """Tensors as the extension takes them."""
    return [dense(tensor) for tensor in tensors]
