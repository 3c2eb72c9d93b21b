"""Corners of a picture found again in another one, without any calibration in the measurement.

Source: Shi, Tomasi, "Good features to track", 1994; Bouguet, "Pyramidal implementation of the Lucas
Kanade feature tracker", 2000.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float32, Float64, UInt8
from torch import Tensor


@dataclass(frozen=True)
class MatchSettings:
    """How corners are chosen and followed."""

    corners: int = 400
    """Corners a picture, at most."""
    cell: int = 12
    """At most one corner in a square of this size [px]."""
    window: int = 13
    """Side of the patch that is compared, odd [px]."""
    levels: int = 4
    """Picture pyramid: displacements of about window x 2^(levels - 2) are found."""
    iterations: int = 12
    """Steps on each level."""
    round_trip_px: float = 0.3
    """A corner that does not come back to this distance of where it started is dropped [px]."""
    correlation: float = 0.9
    """Least normalised correlation of the two patches."""


def corners(
    picture: UInt8[np.ndarray, "H W 3"], settings: MatchSettings = MatchSettings()
) -> Float64[np.ndarray, "N 2"]:
    """Pixels (centres at +0.5) with strong gradients in two directions, spread over the picture."""
    if min(picture.shape[:2]) <= 2 * settings.window:
        return np.zeros((0, 2))  # no room for a patch away from the border
    gray = _gray(picture)
    dx, dy = _gradients(gray)
    products = torch.cat([dx * dx, dy * dy, dx * dy])
    xx, yy, xy = F.avg_pool2d(products, 7, stride=1, padding=3)[:, 0]
    # The smaller eigenvalue of the structure tensor.
    strength = 0.5 * (xx + yy) - (0.25 * (xx - yy) ** 2 + xy * xy).sqrt()
    margin = settings.window
    inner = torch.zeros_like(strength)
    inner[margin:-margin, margin:-margin] = strength[margin:-margin, margin:-margin]
    best, index = F.max_pool2d(inner[None, None], settings.cell, return_indices=True)
    best, index = best.flatten(), index.flatten()
    # In 8-bit steps: below about 2 gray levels a pixel, noise decides where the corner is.
    strong = best > (2.0 / 255) ** 2
    best, index = best[strong], index[strong]
    chosen = index[best.argsort(descending=True)[: settings.corners]].numpy()
    width = gray.shape[-1]
    return np.stack([chosen % width + 0.5, chosen // width + 0.5], axis=1).astype(np.float64)


def follow(
    first: UInt8[np.ndarray, "H W 3"],
    second: UInt8[np.ndarray, "G V 3"],
    start: Float64[np.ndarray, "N 2"],
    guess: Float64[np.ndarray, "N 2"],
    settings: MatchSettings = MatchSettings(),
) -> tuple[Float64[np.ndarray, "N 2"], np.ndarray]:
    """Where pixels of the first picture lie in the second, and which of them can be trusted (bool [N]).

    Args:
        first: Picture that `start` belongs to.
        second: Picture to search.
        start: Pixels in the first picture (centres at +0.5).
        guess: Where to begin in the second picture.
        settings: Patch, pyramid and acceptance.
    """
    one, two = _pyramid(_gray(first), settings.levels), _pyramid(_gray(second), settings.levels)
    begin = torch.from_numpy(start.astype(np.float32))
    found = _track(one, two, begin, torch.from_numpy(guess.astype(np.float32)), settings)
    # The way back begins displaced as the way there did, so that it cannot succeed by standing still.
    back = _track(two, one, found, found + (begin - torch.from_numpy(guess.astype(np.float32))), settings)
    margin = settings.window / 2
    limits = torch.tensor([second.shape[1] - margin, second.shape[0] - margin])
    inside = ((found > margin) & (found < limits)).all(-1)
    returned = (back - begin).norm(dim=-1) < settings.round_trip_px
    patches_one = _patches(one[0], begin, settings.window)
    patches_two = _patches(two[0], found, settings.window)
    alike = _correlation(patches_one, patches_two) > settings.correlation
    return found.numpy().astype(np.float64), (inside & returned & alike).numpy()


def _track(
    one: list[Tensor], two: list[Tensor], start: Tensor, guess: Tensor, settings: MatchSettings
) -> Float32[Tensor, "N 2"]:
    """Inverse compositional Lucas-Kanade from coarse to fine; brightness offset is removed."""
    position = guess.clone()
    for level in reversed(range(len(one))):
        scale = 0.5**level
        dx, dy = _gradients(one[level])
        template = _patches(one[level], start * scale, settings.window)
        template = template - template.mean(-1, keepdim=True)
        gx = _patches(dx, start * scale, settings.window)
        gy = _patches(dy, start * scale, settings.window)
        gx, gy = gx - gx.mean(-1, keepdim=True), gy - gy.mean(-1, keepdim=True)
        xx, yy, xy = (gx * gx).sum(-1), (gy * gy).sum(-1), (gx * gy).sum(-1)
        determinant = (xx * yy - xy * xy).clamp_min(1e-9)
        here = position * scale
        for _ in range(settings.iterations):
            seen = _patches(two[level], here, settings.window)
            error = template - (seen - seen.mean(-1, keepdim=True))
            ex, ey = (gx * error).sum(-1), (gy * error).sum(-1)
            step = torch.stack([yy * ex - xy * ey, xx * ey - xy * ex], dim=-1) / determinant[:, None]
            # A step longer than the gradient holds is no better than its direction.
            here = here + step * (2.0 / step.norm(dim=-1, keepdim=True).clamp_min(2.0))
        position = here / scale
    return position


def _gray(picture: np.ndarray) -> Float32[Tensor, "1 1 H W"]:
    weights = torch.tensor([0.299, 0.587, 0.114])
    gray = (torch.from_numpy(np.ascontiguousarray(picture)).float() / 255) @ weights
    return _blur(gray[None, None])


def _pyramid(gray: Tensor, levels: int) -> list[Tensor]:
    """Full size first; halved by area, so that pixel centres keep to the +0.5 rule."""
    found = [gray]
    while len(found) < levels and min(found[-1].shape[-2:]) >= 32:
        found.append(F.avg_pool2d(_blur(found[-1]), 2))
    return found


def _blur(gray: Tensor) -> Tensor:
    kernel = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
    padded = F.pad(gray, (2, 2, 2, 2), mode="replicate")
    return F.conv2d(F.conv2d(padded, kernel.view(1, 1, 1, 5)), kernel.view(1, 1, 5, 1))


def _gradients(gray: Tensor) -> tuple[Tensor, Tensor]:
    padded = F.pad(gray, (1, 1, 1, 1), mode="replicate")
    dx = 0.5 * (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2])
    dy = 0.5 * (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1])
    return dx, dy


def _patches(gray: Tensor, centres: Tensor, window: int) -> Float32[Tensor, "N P"]:
    """Bilinear samples of window x window patches around pixels (centres at +0.5)."""
    height, width = gray.shape[-2:]
    offsets = torch.arange(window, dtype=torch.float32) - (window - 1) / 2
    grid_y, grid_x = torch.meshgrid(offsets, offsets, indexing="ij")
    places = centres[:, None, :] + torch.stack([grid_x.flatten(), grid_y.flatten()], dim=-1)
    normalised = 2 * places / torch.tensor([width, height]) - 1
    return F.grid_sample(gray, normalised[None], padding_mode="border", align_corners=False)[0, 0]


def _correlation(one: Tensor, two: Tensor) -> Tensor:
    one, two = one - one.mean(-1, keepdim=True), two - two.mean(-1, keepdim=True)
    return (one * two).sum(-1) / (one.norm(dim=-1) * two.norm(dim=-1)).clamp_min(1e-9)
