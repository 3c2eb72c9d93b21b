"""When to stop."""

import time
from collections.abc import Callable


class Deadline:
    """So many seconds from now on, on a clock."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._end = clock() + seconds

    def left(self) -> float:
        """Seconds that are left; 0 when the time is up."""
        return max(0.0, self._end - self._clock())

    def is_over(self) -> bool:
        """Whether the time is up."""
        return self.left() == 0.0
