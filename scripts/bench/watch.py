"""Times by name."""

import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np

Result = TypeVar("Result")


class Watch:
    """Times calls: `watch("blend", work)` runs the work and keeps how long it took [ms]."""

    def __init__(self) -> None:
        self.laps: dict[str, list[float]] = {}

    def __call__(self, name: str, work: Callable[[], Result]) -> Result:
        """Runs the work; gives what it gave."""
        started = time.perf_counter()
        result = work()
        self.add(name, 1e3 * (time.perf_counter() - started))
        return result

    def add(self, name: str, milliseconds: float) -> None:
        """Keeps a time measured elsewhere."""
        self.laps.setdefault(name, []).append(milliseconds)

    def summary(self) -> dict[str, dict[str, float]]:
        """Median, least and most of each [ms]."""
        return {
            name: {"median": float(np.median(laps)), "min": min(laps), "max": max(laps)}
            for name, laps in self.laps.items()
        }
