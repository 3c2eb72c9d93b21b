"""Pictures of lenses with radial and tangential distortion, as a pinhole camera would have taken them.

Source: Brown, "Close-range camera calibration", 1971; coefficients in OpenCV's order k1, k2, p1, p2, k3.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float64, Int32, UInt8

_WIDEST_ZOOM, _NARROWEST_ZOOM = 0.05, 4.0
_HALVINGS = 50


@dataclass(frozen=True)
class RadialTangentialLens:
    """How pictures were recorded, and the pinhole camera of the same size that they are turned into."""

    K: Float64[np.ndarray, "3 3"]
    """Of the recorded pictures, pixel centres at +0.5."""
    coefficients: tuple[float, float, float, float, float]
    """k1, k2, p1, p2, k3."""
    width: int
    height: int
    K_undistorted: Float64[np.ndarray, "3 3"]
    """Of the undistorted pictures, pixel centres at +0.5."""

    @classmethod
    def widest(
        cls,
        K: Float64[np.ndarray, "3 3"],
        coefficients: tuple[float, float, float, float, float],
        width: int,
        height: int,
    ) -> "RadialTangentialLens":
        """The lens undistorted to the `widest_pinhole`; raises what that raises."""
        return cls(K, coefficients, width, height, widest_pinhole(K, coefficients, width, height))

    def undistort(self, picture: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "H W 3"]:
        """A recorded picture undistorted, between pixels linearly; black where nothing was recorded."""
        size = np.array([self.width, self.height])
        grid = torch.from_numpy((2 * self._sources / size - 1).astype(np.float32))[None]
        pixels = torch.from_numpy(picture.astype(np.float32)).permute(2, 0, 1)[None]
        # The half pixel at the border is as its nearest pixel; unseen places are blackened below.
        sampled = F.grid_sample(pixels, grid, mode="bilinear", padding_mode="border", align_corners=False)
        result = sampled[0].permute(1, 2, 0).round_().clamp_(0, 255).to(torch.uint8).numpy()
        result = np.ascontiguousarray(result)
        result[~self.seen] = 0
        return result

    def undistort_ids(self, ids: Int32[np.ndarray, "H W"]) -> Int32[np.ndarray, "H W"]:
        """A mask or id picture undistorted, from the nearest pixel; 0 where nothing was recorded."""
        column, row = np.floor(self._sources).astype(np.int64).transpose(2, 0, 1)
        nearest = ids[row.clip(0, self.height - 1), column.clip(0, self.width - 1)]
        return np.where(self.seen, nearest, 0).astype(ids.dtype)

    def distort_ids(
        self, ids: Int32[np.ndarray, "H W"] | Bool[np.ndarray, "H W"]
    ) -> Int32[np.ndarray, "H W"] | Bool[np.ndarray, "H W"]:
        """A mask or id picture as it would be recorded: `undistort_ids` gives it back.

        Each undistorted pixel marks the recorded one it comes from, and the largest id wins there, so that
        masks lose nothing; recorded pixels that no undistorted one comes from stay 0.
        """
        column, row = np.floor(self._sources).astype(np.int64).transpose(2, 0, 1)
        places = (row.clip(0, self.height - 1), column.clip(0, self.width - 1))
        recorded = np.zeros_like(ids)
        np.maximum.at(recorded, places, np.where(self.seen, ids, 0).astype(ids.dtype))
        return recorded

    @cached_property
    def seen(self) -> Bool[np.ndarray, "H W"]:
        """Undistorted pixels that the recorded picture shows."""
        inside = (self._sources >= 0) & (self._sources <= [self.width, self.height])
        return inside.all(axis=-1)

    @cached_property
    def _sources(self) -> Float64[np.ndarray, "H W 2"]:
        """Where in the recorded picture each undistorted pixel is; -1 beyond the lens' range."""
        x, y = np.meshgrid(np.arange(self.width) + 0.5, np.arange(self.height) + 0.5)
        pixels = np.stack([x.ravel(), y.ravel()], axis=1)
        sources = recorded_pixels(pixels, self.K_undistorted, self.K, self.coefficients)
        return sources.reshape(self.height, self.width, 2)


def widest_pinhole(
    K: Float64[np.ndarray, "3 3"],
    coefficients: tuple[float, float, float, float, float],
    width: int,
    height: int,
) -> Float64[np.ndarray, "3 3"]:
    """K of the undistorted pictures that show as much as they can without a pixel nobody recorded.

    Same size, same principal point and same ratio of fx to fy; only the zoom is chosen.

    Raises:
        ValueError: Even a narrow view around the principal point leaves the recorded picture.
    """
    border = _border_pixels(width, height)

    def whole(zoom: float) -> bool:
        zoomed = K.copy()
        zoomed[0, 0] *= zoom
        zoomed[1, 1] *= zoom
        sources = recorded_pixels(border, zoomed, K, coefficients)
        return bool(((sources >= 0) & (sources <= [width, height])).all())

    low, high = _WIDEST_ZOOM, _NARROWEST_ZOOM
    if not whole(high):
        raise ValueError(
            f"coefficients: expected a lens whose middle is near a pinhole, got {coefficients} with K "
            f"{K.tolist()}; check the order k1, k2, p1, p2, k3 and that the principal point is in the picture"
        )
    # Up to the turning point rays further out land further out, so what is whole stays whole when zoomed in.
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if whole(middle) else (middle, high)
    chosen = K.copy()
    chosen[0, 0] *= high
    chosen[1, 1] *= high
    return chosen


def recorded_pixels(
    pixels: Float64[np.ndarray, "N 2"],
    K_undistorted: Float64[np.ndarray, "3 3"],
    K: Float64[np.ndarray, "3 3"],
    coefficients: tuple[float, float, float, float, float],
) -> Float64[np.ndarray, "N 2"]:
    """Where the lens put what a pinhole camera shows at `pixels` (centres at +0.5).

    -1 where the ray is so oblique that the lens' polynomial has turned back: it describes no lens there.
    """
    x, y = ((pixels - K_undistorted[:2, 2]) / [K_undistorted[0, 0], K_undistorted[1, 1]]).T
    k1, k2, p1, p2, k3 = coefficients
    s = x * x + y * y
    radial = 1 + s * (k1 + s * (k2 + s * k3))
    bent_x = x * radial + 2 * p1 * x * y + p2 * (s + 2 * x * x)
    bent_y = y * radial + p1 * (s + 2 * y * y) + 2 * p2 * x * y
    places = np.stack([bent_x * K[0, 0] + K[0, 2], bent_y * K[1, 1] + K[1, 2]], axis=1)
    places[s >= _turning_point(k1, k2, k3)] = -1.0
    return places


def _turning_point(k1: float, k2: float, k3: float) -> float:
    """The squared radius where r (1 + k1 r^2 + k2 r^4 + k3 r^6) stops growing; infinite if it never does."""
    roots = np.roots([7 * k3, 5 * k2, 3 * k1, 1.0])
    real = roots[np.abs(roots.imag) < 1e-12 * (1 + np.abs(roots))].real
    return float(real[real > 0].min(initial=np.inf))


def _border_pixels(width: int, height: int) -> Float64[np.ndarray, "N 2"]:
    """Centres of the outermost pixels."""
    x, y = np.arange(width) + 0.5, np.arange(height) + 0.5
    ends = (np.full(width, 0.5), np.full(width, height - 0.5))
    sides = (np.full(height, 0.5), np.full(height, width - 0.5))
    rows = [np.stack([x, end], axis=1) for end in ends] + [np.stack([side, y], axis=1) for side in sides]
    return np.concatenate(rows)
