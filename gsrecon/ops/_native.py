"""The compiled kernels, and those for a tensor's device. Only this imports `gsrecon._C`."""

from functools import cache
from typing import Any

import torch
from torch import Tensor

from gsrecon.errors import BackendUnavailableError


def kernels():
    """The compiled module, whose functions are the CPU's kernels.

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
    device = tensor.device
    if device.type == "cpu":
        return kernels()
    if device.type != "cuda":
        raise BackendUnavailableError(
            f"no backend works on tensors on {device}; move them to the CPU with .cpu()"
        )
    problem = cuda_problem()
    if problem is not None:
        raise BackendUnavailableError(f"tensors are on {device}, but {problem}")
    place = kernels().Cuda(
        device.index,
        torch.cuda.current_stream(device).cuda_stream,
        lambda size: torch.empty(size, dtype=torch.uint8, device=device),
    )
    return place if device.index == torch.cuda.current_device() else _Elsewhere(place, device)


class _Elsewhere:
    """Kernels of a GPU that is not the current one: torch hands tensors over on the current one alone."""

    def __init__(self, place: Any, device: torch.device) -> None:
        self._place, self._device = place, device

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._place, name)

        def on_device(*arguments: Any) -> Any:
            with torch.cuda.device(self._device):
                return method(*arguments)

        return on_device


@cache
def cuda_problem() -> str | None:
    """Why the CUDA kernels cannot run here, as the end of a sentence; None where they can.

    Raises:
        BackendUnavailableError: when the extension does not load at all.
    """
    return _find_cuda_problem() or None


def is_compiled(*tensors: Tensor) -> bool:
    """Whether compiled kernels take such tensors: float32, all on the CPU, or all on a GPU that has some."""
    device = tensors[0].device
    if not all(t.dtype == torch.float32 and t.device == device for t in tensors):
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


_POOLED_FROM = 1 << 20
"""Floats from which a result's memory is pooled: 4 MiB."""


def pooled_like(tensor: Tensor | None, other: Tensor | None = None) -> Tensor:
    """Memory for the gradient of a tensor; of None, an empty tensor like `other`.

    Large arrays on the CPU come from a pool: the system would clear the pages of fresh memory, which takes
    longer than the work done in them. On a GPU torch's allocator keeps a pool by itself.
    """
    if tensor is None:
        assert other is not None
        return other.new_empty(0)
    if tensor.device.type == "cpu" and tensor.numel() >= _POOLED_FROM:
        return torch.from_numpy(kernels().pooled(tensor.numel())).view(tensor.shape)
    return torch.empty_like(tensor, memory_format=torch.contiguous_format)


def contiguous(tensor: Tensor | None) -> Tensor | None:
    """A dense tensor without a gradient; None stays None."""
    return None if tensor is None else tensor.detach().contiguous()


def arguments(*tensors: Tensor | None) -> list[Tensor | None]:
    """Tensors as the extension takes them: dense, without gradients."""
    return [contiguous(tensor) for tensor in tensors]
