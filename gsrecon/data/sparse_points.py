"""Points that were found in the pictures themselves, by structure from motion."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int32, Int64, UInt8


@dataclass(frozen=True)
class SparsePoints:
    """Triangulated points and the pictures they were seen in."""

    points_in_world: Float64[np.ndarray, "N 3"]
    """Positions [m]."""
    colors: UInt8[np.ndarray, "N 3"]
    """RGB."""
    frames: tuple[tuple[str, int], ...]
    """Camera and index of pictures."""
    seen_points: Int32[np.ndarray, " M"]
    """Rows of `points_in_world`, each with the row of `frames` that saw it in `seen_frames`."""
    seen_frames: Int32[np.ndarray, " M"]

    def sightings(self, frames: Collection[tuple[str, int]]) -> Int64[np.ndarray, " N"]:
        """How many of some pictures (camera, index) saw each point."""
        wanted = set(frames)
        of_them = np.array([frame in wanted for frame in self.frames], dtype=bool)
        seen = self.seen_points[of_them[self.seen_frames]]
        return np.bincount(seen, minlength=len(self.points_in_world)).astype(np.int64)
