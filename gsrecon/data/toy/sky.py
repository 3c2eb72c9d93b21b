"""The sky: a gradient from horizon to zenith, a glow around the sun, soft clouds; and the sun itself."""

import numpy as np
from jaxtyping import Float32

from gsrecon.data.toy.noise import Noise

SUN_COLOUR = np.array([2.55, 2.3, 1.95], dtype=np.float32)
"""Light of the sun on a surface that faces it."""
SKY_LIGHT = np.array([0.66, 0.80, 1.02], dtype=np.float32)
"""Light from above on a level surface."""
GROUND_LIGHT = np.array([0.34, 0.32, 0.29], dtype=np.float32)
"""Light from below on a surface that faces the ground."""
_HORIZON = np.array([0.74, 0.92, 1.16], dtype=np.float32)
_ZENITH = np.array([0.13, 0.34, 0.85], dtype=np.float32)
_HAZE_M = 900.0
_SIZE = 512


class Sky:
    """Colour of the sky by direction, and the direction of the sun."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng([seed, 7])
        # High enough that the sunny side of the street is in the sun, from the left or the right.
        elevation = np.radians(rng.uniform(46, 54))
        azimuth = np.radians(rng.uniform(105, 135)) * rng.choice([-1, 1])
        self.sun: Float32[np.ndarray, " 3"] = np.array(
            [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)],
            dtype=np.float32,
        )
        """Direction to the sun in world."""
        across = np.array([-np.sin(azimuth), np.cos(azimuth), 0.0])
        self.across_sun: Float32[np.ndarray, "2 3"] = np.stack([across, np.cross(self.sun, across)]).astype(
            np.float32
        )
        """Two directions square to the sun and to each other."""
        noise = Noise(_SIZE, rng)
        clouds = noise.fbm(3, 6, 0.55)
        self._clouds = np.clip((clouds - 0.65) / 1.6, 0, 1).astype(np.float32).ravel()

    def colour(self, directions: Float32[np.ndarray, "N 3"]) -> Float32[np.ndarray, "N 3"]:
        """Linear colour seen along unit directions in world."""
        up = np.clip(directions[:, 2:3], 0.0, 1.0)
        blend = 1 - (1 - up) ** 3
        colour = _HORIZON * (1 - blend) + _ZENITH * blend
        towards_sun = np.clip(directions @ self.sun, 0, 1)[:, None]
        colour = colour + 0.2 * towards_sun**12 * SUN_COLOUR
        cover = self._cloud(directions)[:, None] * np.clip(up * 6, 0, 1)
        return (colour * (1 - cover) + cover * np.float32(1.7)).astype(np.float32)

    def _cloud(self, directions: np.ndarray) -> np.ndarray:
        """Bilinear look-up on a flat layer of clouds."""
        scale = np.float32(_SIZE / 9.0) / np.maximum(directions[:, 2] + np.float32(0.12), np.float32(0.02))
        u, v = directions[:, 0] * scale, directions[:, 1] * scale
        u0, v0 = np.floor(u), np.floor(v)
        fu, fv = u - u0, v - v0
        u0, v0 = u0.astype(np.int32), v0.astype(np.int32)

        def at(du: int, dv: int) -> np.ndarray:
            return self._clouds.take(((v0 + dv) & (_SIZE - 1)) * _SIZE + ((u0 + du) & (_SIZE - 1)))

        low = at(0, 0) * (1 - fu) + at(1, 0) * fu
        return low * (1 - fv) + (at(0, 1) * (1 - fu) + at(1, 1) * fu) * fv

    def haze(self, colour: np.ndarray, distance_m: np.ndarray) -> np.ndarray:
        """Colour with the air's own light mixed in over a distance."""
        share = (1 - np.exp(-distance_m / np.float32(_HAZE_M)))[:, None]
        return colour + (_HORIZON * np.float32(0.8) - colour) * share
