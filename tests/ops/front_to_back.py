"""Blending written once more, as a loop over Gaussians in numpy.

It judges the reference, and tells where pictures are fragile: where rounding decides on which side of a
threshold a value falls.
"""

from dataclasses import dataclass

import numpy as np

from gsrecon.ops.reference import Projected


@dataclass(frozen=True)
class Painted:
    """Pictures [H, W, ...] of one camera."""

    weighted: np.ndarray
    transmittance: np.ndarray
    ids: np.ndarray
    median_depth: np.ndarray
    fragile: np.ndarray
    """Some alpha, transmittance or clamp lies next to its threshold."""
    fragile_id: np.ndarray
    """The two strongest objects are nearly equal."""
    fragile_median: np.ndarray
    """A transmittance lies next to one half."""


def paint(
    projected: Projected,
    camera: int,
    values: np.ndarray,
    objects: np.ndarray,
    width: int,
    height: int,
    margin: float = 2e-3,
) -> Painted:
    """Blend values [N, D] of one camera's Gaussians, front to back."""
    means, conics, opacities, depths, radii = (
        t[camera].detach().double().numpy()
        for t in (
            projected.means2d,
            projected.conics,
            projected.opacities,
            projected.depths,
            projected.radii,
        )
    )
    y, x = np.mgrid[0:height, 0:width] + 0.5
    light = np.ones((height, width))
    done = np.zeros((height, width), bool)
    weighted = np.zeros((height, width, values.shape[1]))
    median = np.zeros((height, width))
    fragile, fragile_median = np.zeros((2, height, width), bool)
    sums: dict[int, np.ndarray] = {}
    for g in np.argsort(depths, kind="stable"):
        if radii[g].min() <= 0:
            continue
        dx, dy = means[g, 0] - x, means[g, 1] - y
        sigma = (conics[g, 0] * dx * dx + conics[g, 2] * dy * dy) / 2 + conics[g, 1] * dx * dy
        peak = opacities[g] * np.exp(-sigma)
        alpha = np.minimum(0.99, peak)
        touches = ~done & (sigma >= 0) & (alpha >= 1 / 255)
        left = light * (1 - alpha)
        fragile |= ~done & (abs(255 * peak - 1) < margin)
        fragile |= touches & ((abs(left / 1e-4 - 1) < 10 * margin) | (abs(peak / 0.99 - 1) < margin))
        done |= touches & (left <= 1e-4)
        blended = touches & ~done
        fragile_median |= blended & (abs(left - 0.5) < margin)
        median = np.where(blended & (light > 0.5) & (left <= 0.5), depths[g], median)
        weight = np.where(blended, light * alpha, 0)
        weighted += weight[..., None] * values[g]
        sums[objects[g]] = sums.get(objects[g], 0) + weight
        light = np.where(blended, left, light)
    fragile |= abs(1 - light - 0.01) < margin * 0.1
    names = [*sums, -1]
    strengths = np.stack([*sums.values(), light])
    ranked = np.sort(np.concatenate([strengths, 0 * strengths[:1]]), axis=0)
    return Painted(
        weighted=weighted,
        transmittance=light,
        ids=np.array(names)[strengths.argmax(axis=0)],
        median_depth=median,
        fragile=fragile,
        fragile_id=fragile | (ranked[-1] - ranked[-2] < margin),
        fragile_median=fragile | fragile_median,
    )
