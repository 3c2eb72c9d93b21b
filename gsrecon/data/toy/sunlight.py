"""Shadows of what stands still: rays from the sun on a fine grid, looked up softly."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from jaxtyping import Float32

from gsrecon.data.toy.sky import Sky
from gsrecon.data.toy.tracer import TriangleTracer

_CELL_M = 0.05
_BIAS_M = 0.06
_FAR_M = 500.0


class SunGrid:
    """How far sunlight reaches, on a grid square to the sun; one ray a cell."""

    def __init__(
        self, tracer: TriangleTracer, sky: Sky, outline: Float32[np.ndarray, "P 3"], threads: int
    ) -> None:
        """`outline` are points in world around what has to be covered."""
        self._axes = sky.across_sun
        self._sun = sky.sun
        places = outline @ self._axes.T
        self._low = places.min(axis=0)
        self._shape = np.ceil((places.max(axis=0) - self._low) / _CELL_M).astype(int) + 2
        rows = np.array_split(np.arange(self._shape[1]), max(1, self._shape[1] // 64))

        def cast(row: np.ndarray) -> np.ndarray:
            u = self._low[0] + _CELL_M * np.arange(self._shape[0], dtype=np.float32)
            v = self._low[1] + _CELL_M * row.astype(np.float32)
            origins = (u[None, :, None] * self._axes[0] + v[:, None, None] * self._axes[1]).reshape(-1, 3)
            origins = origins + np.float32(_FAR_M) * self._sun
            _, distance = tracer.first_hit(origins, np.broadcast_to(-self._sun, origins.shape))
            # Kept as height along the sun's direction: what lies below it is in shadow.
            return np.float32(_FAR_M) - distance

        with ThreadPoolExecutor(threads) as pool:
            self._height = np.concatenate(list(pool.map(cast, rows)))

    def lit(
        self, points: Float32[np.ndarray, "N 3"], normals: Float32[np.ndarray, "N 3"]
    ) -> Float32[np.ndarray, " N"]:
        """Share of the sun's light that reaches each point, 0 to 1."""
        lifted = points + normals * np.float32(_BIAS_M)
        place = (lifted @ self._axes.T - self._low) * np.float32(1 / _CELL_M)
        height = lifted @ self._sun + np.float32(0.02)
        np.clip(place, 0, self._shape - 1.001, out=place)
        # The columns are copied: everything after works on contiguous float32.
        u, v = np.ascontiguousarray(place.T)
        low_u, low_v = u.astype(np.int32), v.astype(np.int32)
        fu, fv = u - low_u.astype(np.float32), v - low_v.astype(np.float32)
        index = low_v * np.int32(self._shape[0]) + low_u
        flat = self._height.ravel()
        width = int(self._shape[0])
        below = (flat.take(index) <= height) * (1 - fu) + (flat.take(index + 1) <= height) * fu
        above = (flat.take(index + width) <= height) * (1 - fu) + (
            flat.take(index + width + 1) <= height
        ) * fu
        return below * (1 - fv) + above * fv
