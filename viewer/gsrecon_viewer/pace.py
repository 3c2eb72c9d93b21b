"""How large a picture may be so that the next one is not waited for."""

MOVING_S = 1 / 30
"""A picture may take this long while something moves [s]."""
SCALES = (1.0, 0.75, 0.5, 0.375, 0.25, 0.18)
"""Shares of the browser's resolution that are drawn."""
_MEMORY = 0.7


class Pace:
    """Learns what pixels cost, and chooses a share of the resolution."""

    def __init__(self) -> None:
        self._seconds_per_pixel: float | None = None

    def drawn(self, pixels: int, seconds: float) -> None:
        """Remembers what a picture took."""
        now = seconds / max(1, pixels)
        before = self._seconds_per_pixel
        self._seconds_per_pixel = now if before is None else _MEMORY * before + (1 - _MEMORY) * now

    def scale(self, pixels: int, moving: bool) -> float:
        """The share of the width and height to draw: all of it where nothing moves."""
        if not moving:
            return 1.0
        if self._seconds_per_pixel is None:
            return 0.5
        fits = (scale for scale in SCALES if scale**2 * pixels * self._seconds_per_pixel <= MOVING_S)
        return next(fits, SCALES[-1])
