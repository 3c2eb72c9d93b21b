"""Where the street goes and how the ego car drives on it."""

import numpy as np
from jaxtyping import Float64

from gsrecon.data.toy.config import ToyConfig

LANE_CENTRE_M = 1.75
"""Distance of the two driving lanes from the middle of the street [m]; traffic keeps right."""


class Street:
    """The street's centre line: arc length s [m] along it, lateral l [m] to its left, z up.

    World is metric, z up, with its origin at the first ego pose (on the ground).
    """

    def __init__(self, config: ToyConfig) -> None:
        self.config = config
        self.start_m = -45.0
        """Where the built street begins."""
        self.end_m = config.length_m + 60.0
        """Where the built street meets the crossing that ends it."""
        rng = np.random.default_rng([config.seed, 1])
        phase = rng.uniform(0, 2 * np.pi, 4)
        self._sway = phase[2:]
        self._s = np.arange(self.start_m - 60.0, self.end_m + 60.0, 0.25)
        self._heading = 0.10 * np.sin(2 * np.pi * self._s / 290 + phase[0]) + 0.03 * np.sin(
            2 * np.pi * self._s / 97 + phase[1]
        )
        self._x = np.cumsum(np.cos(self._heading)) * 0.25
        self._y = np.cumsum(np.sin(self._heading)) * 0.25
        origin = self.point(0.0, self.ego_lateral(0.0))
        self._x = self._x - origin[0]
        self._y = self._y - origin[1]

    def heading(self, s: float | np.ndarray) -> float | np.ndarray:
        """Direction of the street at s [rad], anticlockwise from world x."""
        return np.interp(s, self._s, self._heading)

    def point(
        self, s: float | np.ndarray, lateral: float | np.ndarray, z: float = 0.0
    ) -> Float64[np.ndarray, "... 3"]:
        """Points in world [m] at arc length s and `lateral` metres to the left."""
        s, lateral = np.broadcast_arrays(
            np.asarray(s, dtype=np.float64), np.asarray(lateral, dtype=np.float64)
        )
        heading = self.heading(s)
        x = np.interp(s, self._s, self._x) - lateral * np.sin(heading)
        y = np.interp(s, self._s, self._y) + lateral * np.cos(heading)
        return np.stack([x, y, np.full_like(x, z)], axis=-1)

    def frame(
        self, s: float, lateral: float, turn: float = 0.0, z: float = 0.0
    ) -> Float64[np.ndarray, "4 4"]:
        """World from a frame at that place, x along the street turned by `turn` [rad] to the left."""
        angle = float(self.heading(s)) + turn
        world_from_place = np.eye(4)
        world_from_place[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        world_from_place[:3, 3] = self.point(s, lateral, z)
        return world_from_place

    def ego_lateral(self, s: float) -> float:
        """Lateral place of the ego car [m]: its lane's centre and a gentle sway."""
        a, b = self._sway
        return float(
            -LANE_CENTRE_M + 0.30 * np.sin(2 * np.pi * s / 43 + a) + 0.08 * np.sin(2 * np.pi * s / 19 + b)
        )

    def world_from_ego(self, time_s: float) -> Float64[np.ndarray, "4 4"]:
        """Pose of the ego car (x forward, y left, z up, on the ground) at a time from the start."""
        s = self.config.speed_mps * time_s
        slope = (self.ego_lateral(s + 0.05) - self.ego_lateral(s - 0.05)) / 0.1
        return self.frame(s, self.ego_lateral(s), turn=float(np.arctan(slope)))
