"""Recorded times, between which values are linear; both ends are held."""

from bisect import bisect_left
from collections.abc import Iterable

from gsrecon.ops.between import Between


class Knots:
    """Sorted times at which something is known [s]."""

    def __init__(self, times_s: Iterable[float]) -> None:
        self.times_s = tuple(sorted(float(time) for time in times_s))
        if not self.times_s:
            raise ValueError("times_s: expected at least one time, got none")

    def __len__(self) -> int:
        return len(self.times_s)

    def locate(self, time_s: float) -> Between:
        """The knots before and after a time, and how far it is from the first to the second (0 to 1)."""
        last = len(self.times_s) - 1
        after = bisect_left(self.times_s, time_s)
        if after == 0 or last == 0:
            return 0, 0, 0.0
        if after > last:
            return last, last, 0.0
        start, end = self.times_s[after - 1], self.times_s[after]
        return after - 1, after, (time_s - start) / (end - start)
