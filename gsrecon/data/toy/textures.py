"""Surfaces: every texture is made from seeded noise, kept with its mip levels in one atlas."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from jaxtyping import Float32, Int, UInt32

from gsrecon.data.toy.facades import facade_texture
from gsrecon.data.toy.noise import Noise

FACADES = 12
"""Different facades in a street."""
TILE_NAMES = (
    *("plain", "asphalt", "paving", "kerb", "paint", "leaf", "bark", "metal", "concrete", "roof", "grass"),
    *(f"facade{i}" for i in range(FACADES)),
)
TILE: dict[str, int] = {name: i for i, name in enumerate(TILE_NAMES)}
"""Number of a texture in the atlas by name."""


def _grey(values: np.ndarray) -> np.ndarray:
    return np.repeat(values[..., None], 3, axis=-1)


def _plain(noise: Noise) -> np.ndarray:
    return _grey(1 + 0.02 * noise.fbm(4, 3))


def _asphalt(noise: Noise) -> np.ndarray:
    value = 1 + 0.07 * noise.fbm(4, 3) + 0.09 * noise.fbm(32, 2) + 0.07 * noise.fbm(128, 2)
    crack = np.abs(noise.fbm(3, 4))
    value *= 1 - 0.5 * np.exp(-((crack / 0.02) ** 2)) * (noise.layer(5) > 0.1)
    stones = noise.layer(noise.size // 4)
    return _grey(value + 0.25 * (stones > 0.75))


def _joints(noise: Noise, count_u: int, count_v: int, joint: float, tint: float) -> np.ndarray:
    """Slabs in a grid: 1 on the stone with a tint of its own, dark in the joints."""
    at = (np.arange(noise.size) + 0.5) / noise.size
    u, v = at * count_u, at * count_v
    tints = 1 + tint * noise.rng.uniform(-1, 1, (count_v, count_u))
    value = tints[np.floor(v).astype(int)[:, None], np.floor(u).astype(int)[None, :]]
    near_u = np.minimum(u % 1, 1 - u % 1)[None, :] * (1 / count_u)
    near_v = np.minimum(v % 1, 1 - v % 1)[:, None] * (1 / count_v)
    line = np.minimum(near_u, near_v) < joint
    return np.where(line, 0.45, value)


def _paving(noise: Noise) -> np.ndarray:
    return _grey(_joints(noise, 8, 8, 0.004, 0.16) * (1 + 0.08 * noise.fbm(8, 5)))


def _kerb(noise: Noise) -> np.ndarray:
    return _grey(_joints(noise, 4, 1, 0.003, 0.15) * (1 + 0.1 * noise.fbm(16, 4)))


def _paint(noise: Noise) -> np.ndarray:
    worn = noise.fbm(8, 4) > 1.35
    return _grey(np.where(worn, 0.55, 1.0) * (1 + 0.04 * noise.fbm(16, 3)))


def _leaf(noise: Noise) -> np.ndarray:
    value = 1 + 0.22 * noise.fbm(4, 3)
    return np.stack([value * (1 + 0.12 * noise.layer(4)), value, value * 0.95], axis=-1)


def _bark(noise: Noise) -> np.ndarray:
    return _grey(1 + 0.3 * noise.layer(32, 4) + 0.2 * noise.layer(64, 8) + 0.1 * noise.fbm(8, 3))


def _metal(noise: Noise) -> np.ndarray:
    return _grey(1 + 0.06 * noise.fbm(4, 4))


def _concrete(noise: Noise) -> np.ndarray:
    streaks = noise.layer(48, 2)
    return _grey((1 + 0.09 * noise.fbm(4, 5) + 0.06 * streaks) * _joints(noise, 2, 2, 0.003, 0.05))


def _roof(noise: Noise) -> np.ndarray:
    at = (np.arange(noise.size) + 0.5) / noise.size
    wave = 0.8 + 0.25 * (at * 16 % 1)[:, None] + 0.08 * np.sin(2 * np.pi * 24 * at)[None, :]
    return _grey(wave * (1 + 0.12 * noise.fbm(16, 3)))


def _grass(noise: Noise) -> np.ndarray:
    value = 1 + 0.25 * noise.fbm(8, 5, 0.75)
    return np.stack([value * (1 + 0.15 * noise.layer(6)), value, value * 0.9], axis=-1)


_PLAIN_TILES: dict[str, tuple[Callable[[Noise], np.ndarray], float]] = {
    "plain": (_plain, 4.0),
    "asphalt": (_asphalt, 6.4),
    "paving": (_paving, 4.0),
    "kerb": (_kerb, 4.0),
    "paint": (_paint, 4.0),
    "leaf": (_leaf, 2.0),
    "bark": (_bark, 2.0),
    "metal": (_metal, 4.0),
    "concrete": (_concrete, 5.0),
    "roof": (_roof, 4.0),
    "grass": (_grass, 6.4),
}
"""Maker and size of one repeat [m]."""


class Atlas:
    """All textures and their mip levels, packed RGBX with the square root of the reflectance in 8 bits."""

    def __init__(self, seed: int, size: int = 512) -> None:
        self.size = size
        self.levels = size.bit_length()
        self._level_start = np.cumsum([0] + [(size >> i) ** 2 for i in range(self.levels)]).astype(np.int32)
        self._stride = int(self._level_start[-1])
        self._repeat_m = np.zeros((len(TILE), 2), dtype=np.float32)
        self._texels = np.zeros(self._stride * len(TILE), dtype=np.uint32)
        for number, name in enumerate(TILE_NAMES):
            noise = Noise(size, np.random.default_rng([seed, 100 + number]))
            if name in _PLAIN_TILES:
                make, repeat = _PLAIN_TILES[name]
                picture, repeat_uv = make(noise), (repeat, repeat)
            else:
                picture, repeat_uv = facade_texture(noise, number)
            self._repeat_m[number] = repeat_uv
            self._store(number, picture)
        macro = Noise(size, np.random.default_rng([seed, 99]))
        self._macro = (1 + 0.07 * macro.fbm(4, 5)).astype(np.float32).ravel()

    def _store(self, number: int, picture: np.ndarray) -> None:
        level = np.clip(picture, 0, 1.3).astype(np.float32) / 1.3
        for i in range(self.levels):
            codes = np.round(np.sqrt(level) * 255).astype(np.uint32)
            start = number * self._stride + self._level_start[i]
            packed = codes[..., 0] | codes[..., 1] << 8 | codes[..., 2] << 16
            self._texels[start : start + packed.size] = packed.ravel()
            if i + 1 < self.levels:
                level = 0.25 * (level[::2, ::2] + level[1::2, ::2] + level[::2, 1::2] + level[1::2, 1::2])

    def sample(
        self,
        tile: Int[np.ndarray, " N"],
        uv: Float32[np.ndarray, "N 2"],
        footprint_m: Float32[np.ndarray, " N"],
    ) -> Float32[np.ndarray, "N 3"]:
        """Linear reflectance, bilinear on the mip level whose texels are as large as the footprint."""
        texels_per_m = self.size / self._repeat_m[tile]
        wanted = np.log2(np.maximum(footprint_m * np.sqrt(texels_per_m[:, 0] * texels_per_m[:, 1]), 1e-6))
        level = np.clip(np.round(wanted), 0, self.levels - 1).astype(np.int32)
        scale = np.exp2(-level.astype(np.float32))
        place = uv * texels_per_m * scale[:, None] - 0.5
        low = np.floor(place)
        part = place - low
        low = low.astype(np.int32)
        side = np.right_shift(np.int32(self.size), level)
        wrap = side - 1
        u0, v0 = low[:, 0] & wrap, low[:, 1] & wrap
        u1, v1 = (u0 + 1) & wrap, (v0 + 1) & wrap
        start = tile.astype(np.int32) * np.int32(self._stride) + self._level_start[level]
        row0, row1 = start + v0 * side, start + v1 * side
        fu, fv = part[:, 0], part[:, 1]
        total = self._unpack(row0 + u0) * ((1 - fu) * (1 - fv))[:, None]
        total += self._unpack(row0 + u1) * (fu * (1 - fv))[:, None]
        total += self._unpack(row1 + u0) * ((1 - fu) * fv)[:, None]
        total += self._unpack(row1 + u1) * (fu * fv)[:, None]
        total *= np.float32(1 / 255)
        total *= total
        total *= np.float32(1.3)
        return total[:, :3]

    def _unpack(self, index: np.ndarray) -> Float32[np.ndarray, "N 4"]:
        texels: UInt32[np.ndarray, " N"] = self._texels.take(index)
        return texels.view(np.uint8).reshape(-1, 4).astype(np.float32)

    def macro(self, points: Float32[np.ndarray, "N 3"]) -> Float32[np.ndarray, " N"]:
        """Slow variation of the brightness over tens of metres, so that repeats do not show."""
        scale = np.float32(self.size / 40.0)
        u = np.floor((points[:, 0] + np.float32(0.6) * points[:, 2]) * scale).astype(np.int32)
        v = np.floor((points[:, 1] + np.float32(0.8) * points[:, 2]) * scale).astype(np.int32)
        return self._macro.take((v & (self.size - 1)) * self.size + (u & (self.size - 1)))


@lru_cache(maxsize=2)
def make_atlas(seed: int, size: int) -> Atlas:
    """The atlas of a seed; kept, as it never changes and takes a second to make."""
    return Atlas(seed, size)
