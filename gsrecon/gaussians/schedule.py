"""Moments of a run, given as fractions of it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Rounds:
    """A number of rounds, evenly spread over a part of the run.

    Fractions instead of steps let the same settings serve a run of 500 steps, of 50,000, or of six minutes.
    """

    start: float = 0.0
    """Fraction of the run after which rounds begin."""
    stop: float = 1.0
    """Fraction of the run at which the last round takes place."""
    count: int = 10
    """How many rounds; 0 switches them off."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.start <= self.stop <= 1.0:
            raise ValueError(f"rounds: expected 0 <= start <= stop <= 1, got {self.start} and {self.stop}")
        if self.count < 0:
            raise ValueError(f"count: expected 0 or more rounds, got {self.count}")

    def passed(self, progress: float) -> int:
        """How many rounds are due by this fraction of the run."""
        if self.count == 0 or progress < self.start:
            return 0
        if progress >= self.stop:
            return self.count
        return int(self.count * (progress - self.start) / (self.stop - self.start))

    def due(self, before: float, now: float) -> bool:
        """Whether a round falls between two fractions of the run (after `before`, up to `now`)."""
        return self.passed(now) > self.passed(before)
