"""How large a picture may be so that the next one is not waited for."""

MOVING_S = 1 / 30
"""A picture may take this long while something moves [s]."""
SCALES = (1.0, 0.75, 0.5, 0.375, 0.25, 0.18)
"""Shares of the browser's resolution that are drawn."""
WORTH_IT = 1.3
"""Where not even the smallest picture is quick enough, one may take so much longer than it."""
_MEMORY = 0.85


class Pace:
    """Learns what pictures cost, and chooses a share of the resolution.

    A picture costs something for the scene, whatever its size, and something for each of its pixels: a line
    that is fitted through the latest pictures. Pixels are not saved where that would save no time.
    """

    def __init__(self) -> None:
        self._weight = self._pixels = self._seconds = 0.0
        self._pixels_squared = self._pixels_seconds = 0.0
        self._fixed_s = 0.0

    def drawn(self, pixels: int, seconds: float) -> None:
        """Remembers what a picture took."""
        million = pixels / 1e6
        self._weight = _MEMORY * self._weight + 1
        self._pixels = _MEMORY * self._pixels + million
        self._seconds = _MEMORY * self._seconds + seconds
        self._pixels_squared = _MEMORY * self._pixels_squared + million**2
        self._pixels_seconds = _MEMORY * self._pixels_seconds + million * seconds
        size, time = self._pixels / self._weight, self._seconds / self._weight
        spread = self._pixels_squared / self._weight - size**2
        if spread > (0.1 * size) ** 2:  # pictures of one size do not tell the two parts apart
            slope = (self._pixels_seconds / self._weight - size * time) / spread
            self._fixed_s = min(max(0.0, time - slope * size), time)

    def seconds(self, pixels: float) -> float:
        """What a picture of so many pixels will take, once one was drawn."""
        time = self._seconds / self._weight
        fixed = min(self._fixed_s, time)
        return fixed + (time - fixed) * (pixels / 1e6) / max(1e-9, self._pixels / self._weight)

    def scale(self, pixels: int, moving: bool) -> float:
        """The share of the width and height to draw: all of it where nothing moves."""
        if not moving:
            return 1.0
        if self._weight == 0:
            return 0.5
        limit = max(MOVING_S, WORTH_IT * self.seconds(SCALES[-1] ** 2 * pixels))
        # A little slack, so that what took exactly the time it may is not refused by rounding.
        fits = (scale for scale in SCALES if self.seconds(scale**2 * pixels) <= 1.001 * limit)
        return next(fits, SCALES[-1])
