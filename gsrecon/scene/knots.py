"""Values between recorded times: piecewise linear, held at both ends."""

from collections.abc import Iterable

import torch
from jaxtyping import Float, Float64
from torch import Tensor


class Knots:
    """Sorted times at which something is known [s]."""

    def __init__(self, times_s: Iterable[float]) -> None:
        times = sorted(float(time) for time in times_s)
        if not times:
            raise ValueError("times_s: expected at least one time, got none")
        self.times_s: Float64[Tensor, " K"] = torch.tensor(times, dtype=torch.float64)

    def __len__(self) -> int:
        return len(self.times_s)

    def locate(self, time_s: float) -> tuple[int, int, float]:
        """The knots before and after a time, and how far it is from the first to the second (0 to 1)."""
        last = len(self.times_s) - 1
        after = int(torch.searchsorted(self.times_s, float(time_s)))
        if after == 0 or last == 0:
            return 0, 0, 0.0
        if after > last:
            return last, last, 0.0
        start, end = float(self.times_s[after - 1]), float(self.times_s[after])
        return after - 1, after, (time_s - start) / (end - start)

    def interpolate(self, values: Float[Tensor, "K F"], time_s: float) -> Float[Tensor, " F"]:
        """The value at a time, differentiable in `values`; exactly the knot's own at a knot."""
        before, after, share = self.locate(time_s)
        if share == 0.0:
            return values[before]
        if share == 1.0:
            return values[after]
        return values[before] * (1 - share) + values[after] * share
