"""Where the time of a step goes."""

import time


class Stopwatch:
    """Sums up laps by stage."""

    def __init__(self) -> None:
        self._last = time.perf_counter()
        self._seconds: dict[str, float] = {}
        self._laps: dict[str, int] = {}

    def start(self) -> None:
        """Begins a step: the time since the last lap belongs to no stage."""
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        """The time since the last lap was spent on a stage."""
        now = time.perf_counter()
        self._seconds[stage] = self._seconds.get(stage, 0.0) + now - self._last
        self._laps[stage] = self._laps.get(stage, 0) + 1
        self._last = now

    def means(self) -> dict[str, float]:
        """Mean seconds of each stage since the last call."""
        means = {stage: total / self._laps[stage] for stage, total in self._seconds.items()}
        self._seconds.clear()
        self._laps.clear()
        return means
