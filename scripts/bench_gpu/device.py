"""Where work runs: its clock and its memory counters."""

import contextlib
import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

import torch

Work = Callable[[], object]


class Lap(NamedTuple):
    """How long a piece of work took."""

    event_ms: float
    """On the device, between an event before and one after it."""
    wall_ms: float
    """On the CPU, from an idle device to an idle device."""


class Device(Protocol):
    """What the measurements need of a device."""

    @property
    def where(self) -> torch.device:
        """Where tensors are put."""
        ...

    def time(self, work: Work) -> Lap:
        """Runs work on the idle device and waits for it."""
        ...

    def peak_bytes(self, work: Work) -> int:
        """Runs work; the most memory allocated at a time beyond what was allocated before."""
        ...

    def release(self) -> None:
        """Hands back memory that nothing uses any more."""
        ...


class CudaDevice:
    """An NVIDIA GPU through torch."""

    def __init__(self, index: int = 0) -> None:
        self._device = torch.device("cuda", index)

    @property
    def where(self) -> torch.device:
        """Where tensors are put."""
        return self._device

    def time(self, work: Work) -> Lap:
        """Runs work on the idle device and waits for it."""
        before, after = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize(self._device)
        started = time.perf_counter()
        before.record()
        work()
        after.record()
        torch.cuda.synchronize(self._device)
        wall_ms = 1e3 * (time.perf_counter() - started)
        return Lap(before.elapsed_time(after), wall_ms)

    def peak_bytes(self, work: Work) -> int:
        """Runs work; the most memory allocated at a time beyond what was allocated before."""
        torch.cuda.synchronize(self._device)
        torch.cuda.reset_peak_memory_stats(self._device)
        before = torch.cuda.memory_allocated(self._device)
        work()
        torch.cuda.synchronize(self._device)
        return torch.cuda.max_memory_allocated(self._device) - before

    def release(self) -> None:
        """Hands back memory that nothing uses any more."""
        # On a device that has failed nothing can be handed back: what failed is told already.
        with contextlib.suppress(RuntimeError):
            torch.cuda.empty_cache()


_COPIES = 10


def copy_bandwidth(device: Device, size: int) -> float:
    """Bytes read and written a second [GB/s] when a large tensor of that many bytes is copied, the median."""
    source = torch.zeros(size, dtype=torch.uint8, device=device.where)
    target = torch.empty_like(source)
    target.copy_(source)
    laps = sorted(device.time(lambda: target.copy_(source)).event_ms for _ in range(_COPIES))
    return 2 * size / laps[_COPIES // 2] / 1e6
