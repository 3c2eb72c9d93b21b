"""Which held-out pictures a report shows: the worst, the best and some in between, encoded as they come."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32

from gsrecon.evaluation.pictures import RGB, depth_picture, error_picture, jpeg_bytes, png_bytes, shrink
from gsrecon.evaluation.scores import PictureScore


@dataclass(frozen=True)
class ScoredPicture:
    """A held-out picture with its truth, as an evaluation hands it to observers."""

    score: PictureScore
    image: RGB
    truth: RGB
    scored: Bool[np.ndarray, "H W"]
    """Pixels that count."""
    depth: Float32[np.ndarray, "H W"]
    """Rendered depth along z [m], 0 where there is none."""


@dataclass(frozen=True)
class ShownPicture:
    """A held-out picture encoded for a page."""

    score: PictureScore
    image: bytes
    truth: bytes
    error: bytes
    """PNG; the others are JPEG."""
    depth: bytes


class Gallery:
    """Collects pictures in bounded memory: the worst, the best, and some evenly over the drive."""

    def __init__(self, expected: int, extremes: int = 3, spread: int = 6, width: int = 720) -> None:
        """Starts empty.

        Args:
            expected: Number of pictures that will come; says which ones are evenly spread.
            extremes: How many of the worst and of the best are kept.
            spread: How many are kept evenly over the drive.
            width: Pictures wider than this are made smaller [px].
        """
        wanted = min(spread, expected)
        self._spread = {(2 * k + 1) * expected // (2 * wanted) for k in range(wanted)} if wanted else set()
        self._extremes = extremes
        self._width = width
        self._shown: dict[int, ShownPicture] = {}
        self._count = 0

    def add(self, picture: ScoredPicture) -> None:
        """Takes a picture in, and drops those that are no longer among the extremes."""
        number, self._count = self._count, self._count + 1
        if number not in self._spread and not self._is_extreme(picture.score):
            return
        self._shown[number] = _encoded(picture, self._width)
        keep = self._spread | {n for n in self._shown if self._rank(n) is not None}
        self._shown = {n: shown for n, shown in self._shown.items() if n in keep}

    @property
    def evenly(self) -> list[ShownPicture]:
        """Pictures evenly over the drive, in its order."""
        return [self._shown[n] for n in sorted(self._shown) if n in self._spread]

    @property
    def worst(self) -> list[ShownPicture]:
        """Pictures of lowest PSNR, the worst first."""
        return [self._shown[n] for n in self._order()[: self._extremes]]

    @property
    def best(self) -> list[ShownPicture]:
        """Pictures of highest PSNR, the best first; none of them is among the worst."""
        return [self._shown[n] for n in self._order()[self._extremes :][::-1][: self._extremes]]

    def _order(self) -> list[int]:
        known = [n for n in self._shown if self._shown[n].score.psnr is not None]
        return sorted(known, key=lambda n: self._shown[n].score.psnr or 0.0)

    def _rank(self, number: int) -> int | None:
        order = self._order()
        return number if number in order[: self._extremes] + order[-self._extremes :] else None

    def _is_extreme(self, score: PictureScore) -> bool:
        known = [self._shown[n].score.psnr or 0.0 for n in self._order()]
        if score.psnr is None or len(known) < 2 * self._extremes:
            return score.psnr is not None
        return score.psnr < known[self._extremes - 1] or score.psnr > known[-self._extremes]


def _encoded(picture: ScoredPicture, width: int) -> ShownPicture:
    error = error_picture(picture.image, picture.truth, picture.scored)
    return ShownPicture(
        score=picture.score,
        image=jpeg_bytes(shrink(picture.image, width)),
        truth=jpeg_bytes(shrink(picture.truth, width)),
        error=png_bytes(shrink(error, width // 2)),
        depth=jpeg_bytes(shrink(depth_picture(picture.depth), width // 2)),
    )
