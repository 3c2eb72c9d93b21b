"""Seeded value noise that repeats without a seam."""

import numpy as np
from jaxtyping import Float32


class Noise:
    """Periodic value noise on a square picture; smooth, seeded."""

    def __init__(self, size: int, rng: np.random.Generator) -> None:
        self.size = size
        self.rng = rng

    def layer(self, cells_u: int, cells_v: int | None = None) -> Float32[np.ndarray, "S S"]:
        """One octave in -1..1 with that many cells a side."""
        cells_v = cells_u if cells_v is None else cells_v
        lattice = self.rng.uniform(-1, 1, (cells_v, cells_u)).astype(np.float32)

        def weights(cells: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            place = (np.arange(self.size, dtype=np.float32) + 0.5) * cells / self.size
            low = np.floor(place).astype(np.int64)
            part = place - low
            return low % cells, (low + 1) % cells, (part * part * (3 - 2 * part)).astype(np.float32)

        u0, u1, fu = weights(cells_u)
        v0, v1, fv = weights(cells_v)
        rows = lattice[:, u0] * (1 - fu) + lattice[:, u1] * fu
        return rows[v0] * (1 - fv[:, None]) + rows[v1] * fv[:, None]

    def fbm(self, first: int, octaves: int, gain: float = 0.6) -> Float32[np.ndarray, "S S"]:
        """Several octaves, each twice as fine and `gain` as strong, scaled to a spread of about 1."""
        total = np.zeros((self.size, self.size), dtype=np.float32)
        for i in range(octaves):
            cells = first << i
            if cells <= self.size // 2:
                total += gain**i * self.layer(cells)
        return total / max(float(total.std()), 1e-6)
