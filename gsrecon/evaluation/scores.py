"""Numbers of an evaluation: per picture, per camera, in all."""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gsrecon.evaluation.shifts import ShiftScore
from gsrecon.files import write_text

METRICS_VERSION = 1


@dataclass(frozen=True)
class PictureScore:
    """How well one held-out picture is rendered. A value that could not be measured is None."""

    camera: str
    index: int
    timestamp_us: int
    psnr: float | None
    """Peak signal-to-noise ratio over the scored pixels [dB]; None if no pixel is scored."""
    ssim: float | None
    """Structural similarity, mean over the scored pixels; window 11, sigma 1.5."""
    lpips: float | None = None
    """Perceptual distance; None without weights."""
    psnr_near: float | None = None
    """Over pixels rendered nearer than the near limit [dB]."""
    psnr_far: float | None = None
    """Over all other scored pixels, the sky among them [dB]."""
    psnr_moving: float | None = None
    """Over pixels of the recording's mask `moving`, whether they are scored or masked [dB]."""
    psnr_static: float | None = None
    """Over all other pixels in the same way [dB]; None without the mask."""
    moving_pixels: int = 0
    """Number of the pixels of `psnr_moving`."""
    static_pixels: int = 0
    """Number of the pixels of `psnr_static`."""
    depth_error_m: float | None = None
    """Median distance of rendered depth from the lidar's, both along z, where the camera sees that far [m];
    None without lidar."""
    scored_share: float = 1.0
    """Part of the pixels that is scored; the rest is masked."""
    seconds: float = 0.0
    """Time that rendering took [s]."""


@dataclass(frozen=True)
class Summary:
    """Means over pictures; None where no picture has the value."""

    pictures: int
    psnr: float | None
    ssim: float | None
    lpips: float | None
    psnr_near: float | None
    psnr_far: float | None
    psnr_moving: float | None
    """Of all moving pixels together: many pictures have but a few of them."""
    psnr_static: float | None
    """Of all other pixels together, in recordings with the mask `moving`."""
    depth_error_m: float | None
    seconds: float | None

    @staticmethod
    def of(scores: Sequence[PictureScore]) -> "Summary":
        """The mean of each value over the pictures that have it."""
        return Summary(
            pictures=len(scores),
            psnr=_mean(s.psnr for s in scores),
            ssim=_mean(s.ssim for s in scores),
            lpips=_mean(s.lpips for s in scores),
            psnr_near=_mean(s.psnr_near for s in scores),
            psnr_far=_mean(s.psnr_far for s in scores),
            psnr_moving=_pooled((s.psnr_moving, s.moving_pixels) for s in scores),
            psnr_static=_pooled((s.psnr_static, s.static_pixels) for s in scores),
            depth_error_m=_mean(s.depth_error_m for s in scores),
            seconds=_mean(s.seconds for s in scores),
        )


@dataclass(frozen=True)
class Evaluation:
    """Scores of all held-out pictures of a scene."""

    pictures: tuple[PictureScore, ...]
    near_limit_m: float
    moving_masked: bool
    gaussians: int

    @property
    def summary(self) -> Summary:
        """Means over all pictures."""
        return Summary.of(self.pictures)

    @property
    def psnr(self) -> float:
        """Mean PSNR of the held-out pictures [dB]; NaN if there are none."""
        return math.nan if self.summary.psnr is None else self.summary.psnr

    @property
    def cameras(self) -> dict[str, Summary]:
        """Means by camera, in the order of the pictures."""
        names = dict.fromkeys(score.camera for score in self.pictures)
        return {name: Summary.of([s for s in self.pictures if s.camera == name]) for name in names}

    def to_json(self) -> dict[str, Any]:
        """As JSON values; what was not measured is null, LPIPS without weights is 'not computed'."""
        return {
            "version": METRICS_VERSION,
            "gaussians": self.gaussians,
            "near_limit_m": self.near_limit_m,
            "moving_masked": self.moving_masked,
            "summary": _said(asdict(self.summary)),
            "cameras": {name: _said(asdict(summary)) for name, summary in self.cameras.items()},
            "pictures": [_said(asdict(score)) for score in self.pictures],
        }


def write_metrics(evaluation: Evaluation, path: Path | str, shifts: Sequence[ShiftScore] = ()) -> None:
    """Writes an evaluation and scores at shifts as `metrics.json`, whole or not at all."""
    content = evaluation.to_json()
    if shifts:
        content["shifts"] = [asdict(score) for score in shifts]
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def _said(values: dict[str, Any]) -> dict[str, Any]:
    return values | {"lpips": "not computed" if values["lpips"] is None else values["lpips"]}


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _pooled(values: Iterable[tuple[float | None, int]]) -> float | None:
    """PSNR of all pixels together, from those of some pictures and their numbers of pixels."""
    known = [(value, count) for value, count in values if value is not None and count > 0]
    if not known:
        return None
    error = sum(count * 10 ** (-0.1 * value) for value, count in known) / sum(count for _, count in known)
    return -10 * math.log10(error)
