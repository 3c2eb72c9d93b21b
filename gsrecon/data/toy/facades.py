"""Facade textures: masonry, four bays of windows by four floors, doors and shop fronts below."""

import numpy as np

from gsrecon.data.toy.noise import Noise

BAYS = 4
FLOORS = 4
BAY_M = 2.4
FLOOR_M = 3.2

_WALLS = (
    (0.42, 0.17, 0.11),
    (0.50, 0.42, 0.30),
    (0.34, 0.20, 0.14),
    (0.58, 0.55, 0.48),
    (0.52, 0.36, 0.22),
    (0.40, 0.44, 0.42),
)


def facade_texture(noise: Noise, number: int) -> tuple[np.ndarray, tuple[float, float]]:
    """One repeat of a facade, row 0 at the ground, and its width and height [m]."""
    rng, size = noise.rng, noise.size
    wall = np.array(_WALLS[number % len(_WALLS)]) * rng.uniform(0.85, 1.15)
    picture = _masonry(noise, wall, bricks=number % 2 == 0)
    trim = np.array([0.66, 0.62, 0.54]) * rng.uniform(0.7, 1.1)
    window_w, window_h = rng.uniform(1.05, 1.5), rng.uniform(1.5, 1.9)
    panes = (int(rng.integers(1, 4)), int(rng.integers(1, 4)))
    frame = np.array([[0.75, 0.74, 0.7], [0.14, 0.16, 0.17], [0.24, 0.13, 0.07]][rng.integers(3)])
    draw = _Drawing(picture, size)
    for floor in range(1, FLOORS):
        for bay in range(BAYS):
            x, y = (bay + 0.5) * BAY_M, floor * FLOOR_M + 0.95
            left, right = x - 0.5 * window_w, x + 0.5 * window_w
            draw.rect(left - 0.13, y - 0.12, right + 0.13, y + window_h + 0.14, trim)
            draw.rect(left - 0.2, y - 0.2, right + 0.2, y - 0.08, trim * 1.15)
            _window(draw, rng, (left, y, right, y + window_h), frame, panes)
        draw.rect(0, floor * FLOOR_M - 0.12, BAYS * BAY_M, floor * FLOOR_M + 0.06, trim * 0.9)
    _ground_floor(draw, rng, trim, frame)
    grime = 1 - 0.18 * np.exp(-draw.height_m[:, None] / 0.5) + 0.05 * noise.fbm(4, 4)
    return picture * grime[..., None], (BAYS * BAY_M, FLOORS * FLOOR_M)


class _Drawing:
    """Rectangles in metres on a texture of BAYS x FLOORS."""

    def __init__(self, picture: np.ndarray, size: int) -> None:
        self.picture = picture
        self.px = (size / (BAYS * BAY_M), size / (FLOORS * FLOOR_M))
        self.height_m = (np.arange(size) + 0.5) / self.px[1]

    def rect(
        self, x0: float | int, y0: float | int, x1: float | int, y1: float | int, colour: np.ndarray
    ) -> None:
        """Fills a rectangle; a colour [2, 3] runs from the bottom to the top."""
        c0, c1 = (max(0, round(x * self.px[0])) for x in (x0, x1))
        r0, r1 = (max(0, round(y * self.px[1])) for y in (y0, y1))
        region = self.picture[r0:r1, c0:c1]
        if colour.ndim == 1:
            region[:] = colour
        elif region.size:
            t = np.linspace(0, 1, len(region))[:, None, None]
            region[:] = colour[0] * (1 - t) + colour[1] * t


def _masonry(noise: Noise, wall: np.ndarray, bricks: bool) -> np.ndarray:
    size = noise.size
    rough = 1 + 0.05 * noise.fbm(8, 5) + 0.05 * noise.fbm(2, 3)
    if not bricks:
        return wall * (rough + 0.03 * noise.layer(64, 3))[..., None]
    rows, columns = 128, 32
    v = (np.arange(size) + 0.5) / size * rows
    row = np.floor(v).astype(int)
    u = (np.arange(size) + 0.5)[None, :] / size * columns + 0.5 * (row % 2)[:, None]
    column = np.floor(u).astype(int) % columns
    tints = 1 + 0.28 * noise.rng.uniform(-1, 1, (rows, columns))
    value = tints[row[:, None], column]
    mortar = np.maximum((v % 1 < 0.2)[:, None], u % 1 < 0.06)
    colour = wall * value[..., None]
    return np.where(mortar[..., None], 0.5 * wall + 0.16, colour) * rough[..., None]


def _window(
    draw: _Drawing,
    rng: np.random.Generator,
    rect: tuple[float, float, float, float],
    frame: np.ndarray,
    panes: tuple[int, int],
) -> None:
    x0, y0, x1, y1 = rect
    draw.rect(x0, y0, x1, y1, frame)
    dark = np.array([0.035, 0.045, 0.06])
    sky = np.array([0.16, 0.22, 0.3]) * rng.uniform(0.5, 1.2)
    w, h = (x1 - x0) / panes[0], (y1 - y0) / panes[1]
    curtain = np.array([0.5, 0.46, 0.4]) * rng.uniform(0.4, 1.0)
    closed = rng.uniform() < 0.25
    for i in range(panes[0]):
        for j in range(panes[1]):
            px0, px1 = x0 + i * w + 0.05, x0 + (i + 1) * w - 0.05
            py0, py1 = y0 + j * h + 0.05, y0 + (j + 1) * h - 0.05
            draw.rect(px0, py0, px1, py1, np.stack([dark, sky]))
            if closed:
                draw.rect(px0, py0 + 0.35 * (py1 - py0), px1, py1, curtain)
    if not closed and rng.uniform() < 0.6:
        side = 0.18 * (x1 - x0)
        draw.rect(x0 + 0.05, y0 + 0.05, x0 + side, y1 - 0.05, curtain)
        draw.rect(x1 - side, y0 + 0.05, x1 - 0.05, y1 - 0.05, curtain)
    draw.rect(x0, y1 - 0.1, x1, y1, frame * 0.4)


def _ground_floor(draw: _Drawing, rng: np.random.Generator, trim: np.ndarray, frame: np.ndarray) -> None:
    plinth = trim * 0.6
    draw.rect(0, 0, BAYS * BAY_M, 0.45, plinth)
    shop = rng.uniform() < 0.55
    door_bay = int(rng.integers(BAYS))
    palette = np.array([[0.42, 0.06, 0.05], [0.05, 0.15, 0.35], [0.05, 0.25, 0.12], [0.55, 0.38, 0.06]])
    paint = palette[rng.integers(len(palette))]
    if shop:
        draw.rect(0, 0, BAYS * BAY_M, FLOOR_M - 0.12, trim * 0.75)
        draw.rect(0.1, 2.5, BAYS * BAY_M - 0.1, 3.0, paint)
        x = 0.7
        while x < BAYS * BAY_M - 1.0:
            width = rng.uniform(0.12, 0.34)
            draw.rect(x, 2.62, x + width, 2.88, np.array([0.85, 0.83, 0.75]))
            x += width + rng.uniform(0.06, 0.14) + (0.35 if rng.uniform() < 0.2 else 0)
    for bay in range(BAYS):
        x0, x1 = bay * BAY_M + 0.25, (bay + 1) * BAY_M - 0.25
        if bay == door_bay:
            mid = 0.5 * (x0 + x1)
            draw.rect(mid - 0.68, 0, mid + 0.68, 2.42, trim)
            draw.rect(mid - 0.55, 0.06, mid + 0.55, 2.3, paint * 0.8)
            for y0, y1 in ((0.25, 0.95), (1.1, 1.5)):
                draw.rect(mid - 0.42, y0, mid - 0.06, y1, paint * 0.5)
                draw.rect(mid + 0.06, y0, mid + 0.42, y1, paint * 0.5)
            draw.rect(mid - 0.42, 1.65, mid + 0.42, 2.15, np.array([0.08, 0.1, 0.12]))
        elif shop:
            _window(draw, rng, (x0, 0.55, x1, 2.35), frame * 0.8, (1, 1))
            for x in np.arange(x0 + 0.2, x1 - 0.3, 0.38):
                goods = rng.uniform(0.1, 0.6, 3)
                draw.rect(x, 0.7, x + 0.26, 0.7 + rng.uniform(0.3, 0.9), goods)
        else:
            mid = 0.5 * (x0 + x1)
            draw.rect(mid - 0.7, 0.85, mid + 0.7, 2.5, trim)
            _window(draw, rng, (mid - 0.58, 0.98, mid + 0.58, 2.38), frame, (2, 2))
