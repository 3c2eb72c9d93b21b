"""Pieces of work timed in turns: what disturbs the machine for a while disturbs all alike."""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any, Protocol

from scripts.bench_gpu.deadline import Deadline
from scripts.bench_gpu.device import Device, Lap, Work


class Forgetful(Protocol):
    """What leaves gradients behind."""

    def forget(self) -> None:
        """Drops them."""
        ...


@dataclass(frozen=True)
class Contestant:
    """A piece of work of one side."""

    work: Work
    owner: Forgetful


@dataclass(frozen=True)
class Plan:
    """How often everything runs."""

    warmup: int
    runs: int


def in_turns(
    device: Device, contestants: Mapping[str, Contestant], plan: Plan, deadline: Deadline
) -> dict[str, dict[str, Any]]:
    """Times of each side [ms] and its peak memory [bytes]; of a side that fails, the error.

    When the time is up, the rounds measured so far count.
    """
    running, found = dict(contestants), {}
    laps: dict[str, list[Lap]] = {name: [] for name in contestants}
    peaks: dict[str, int] = {}
    for number in range(plan.warmup + plan.runs):
        if number > plan.warmup and deadline.is_over():
            break
        for name, side in list(running.items()):
            try:
                if number == plan.warmup:  # everything is loaded by then, and no time is taken of this run
                    peaks[name] = device.peak_bytes(side.work)
                    side.owner.forget()
                lap = device.time(side.work)
                laps[name] += [lap] if number >= plan.warmup else []
            except Exception as error:  # out of memory, a kernel that does not run: the others go on
                found[name] = {"error": told(error)}
                del running[name]
            side.owner.forget()
            if name in found:
                device.release()
    for name in running:
        found[name] = {
            "event_ms": _summary([lap.event_ms for lap in laps[name]]),
            "wall_ms": _summary([lap.wall_ms for lap in laps[name]]),
            "peak_bytes": peaks[name],
        }
    return {name: found[name] for name in contestants}


def told(error: Exception) -> str:
    """An error in one line."""
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else ''}"[:300]


def _summary(values: list[float]) -> dict[str, float]:
    return {"median": median(values), "min": min(values), "max": max(values), "runs": len(values)}
