"""What a check of a data set finds, and pictures with labels drawn in."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float64, UInt8
from PIL import Image, ImageDraw

_MOST_TOLD = 20
_COLOURS = ("#ff5050", "#50c8ff", "#ffd24d", "#7dff7d", "#d98cff", "#ff9a3c", "#4dffd8", "#ff8cc3")


@dataclass(frozen=True)
class Drawn:
    """A picture of the data set and what is to be drawn in it."""

    image: Path
    boxes: tuple[tuple[Float64[np.ndarray, " 4"], str], ...] = ()
    """Pixel edges and a word."""
    lines: tuple[tuple[Float64[np.ndarray, "P 2"], str], ...] = ()
    """Polylines and a word that colours them."""

    def draw(self, pixels: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "H W 3"]:
        """The picture with its labels."""
        picture = Image.fromarray(pixels)
        pen = ImageDraw.Draw(picture)
        for box, word in self.boxes:
            colour = _colour(word)
            x0, y0, x1, y1 = box.tolist()
            if x1 > x0 and y1 > y0:
                pen.rectangle((x0, y0, max(x0, x1 - 1), max(y0, y1 - 1)), outline=colour)
                pen.text((x0 + 2, y0 - 11 if y0 >= 11 else y0 + 1), word, fill=colour)
        for line, word in self.lines:
            if len(line) > 1:
                pen.line([tuple(point) for point in line.tolist()], fill=_colour(word), width=1)
        return np.asarray(picture)


def _colour(word: str) -> str:
    return _COLOURS[sum(word.encode()) % len(_COLOURS)]


@dataclass
class Findings:
    """Collects errors and disagreements."""

    problems: list[str] = field(default_factory=list)
    """The first ones in words."""
    counts: Counter[str] = field(default_factory=Counter)
    """How many labels were checked, by kind."""
    worst: dict[str, tuple[float, str]] = field(default_factory=dict)
    """Largest error of each kind [px] and where."""
    more: int = 0
    """Problems beyond those told."""
    drawn: list[Drawn] = field(default_factory=list)

    @property
    def worst_px(self) -> float:
        """The largest error of all [px]."""
        return max((error for error, _ in self.worst.values()), default=0.0)

    def problem(self, words: str) -> None:
        """Something disagrees."""
        if len(self.problems) < _MOST_TOLD:
            self.problems.append(words)
        else:
            self.more += 1

    def error(self, kind: str, found: Sequence[float] | np.ndarray, expected, where: str) -> None:
        """Counts a label and remembers its error [px]."""
        self.counts[kind] += 1
        difference = np.abs(np.asarray(found, dtype=np.float64) - np.asarray(expected, dtype=np.float64))
        error = float(difference.max(initial=0.0)) if np.isfinite(difference).all() else float("inf")
        if kind not in self.worst or error > self.worst[kind][0]:
            self.worst[kind] = (error, where)

    def picture(self, path: Path, width: int, height: int) -> bool:
        """Whether a picture is there, whole and of its size."""
        self.counts["pictures"] += 1
        try:
            with Image.open(path) as picture:
                picture.load()
                size = picture.size
        except (OSError, SyntaxError, ValueError) as error:
            self.problem(f"{path.name}: missing or damaged ({error})")
            return False
        if size != (width, height):
            self.problem(f"{path.name}: expected {width} x {height} pixels, got {size[0]} x {size[1]}")
            return False
        return True
