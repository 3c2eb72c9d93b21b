"""Houses along the street: a textured front, ledges, cornice, balconies, awnings, downpipes, a roof."""

import numpy as np

from gsrecon.data.toy.classes import CLASS_ID
from gsrecon.data.toy.facades import BAY_M, BAYS, FLOOR_M, FLOORS
from gsrecon.data.toy.mesh import MeshBuilder
from gsrecon.data.toy.textures import FACADES, TILE

_ROOF = (0.26, 0.12, 0.08)
_STONE = (0.48, 0.45, 0.40)


def add_building(
    builder: MeshBuilder, rng: np.random.Generator, width: float, floors: int, facade: int
) -> None:
    """Adds a house in `builder`'s frame: front in the plane y = 0 facing -y, x along it, ground at z = 0."""
    builder.semantic = CLASS_ID["building"]
    half, depth = 0.5 * width, 10.0
    height = floors * FLOOR_M + 0.25
    tile = TILE[f"facade{facade % FACADES}"]
    tint = tuple(rng.uniform(0.9, 1.1) * np.array([1, rng.uniform(0.97, 1.03), rng.uniform(0.95, 1.03)]))
    shift = BAY_M * float(rng.integers(BAYS))
    top = min(height, FLOORS * FLOOR_M - 0.01)

    def wall(x0: float, y0: float, x1: float, y1: float) -> None:
        run = float(np.hypot(x1 - x0, y1 - y0))
        corners = [(x0, y0, 0), (x1, y1, 0), (x1, y1, height), (x0, y0, height)]
        builder.polygon(corners, tile, tint, [(shift, 0), (shift + run, 0), (shift + run, top), (shift, top)])

    wall(-half, 0.0, half, 0.0)
    wall(half, 0.0, half, depth)
    wall(-half, depth, -half, 0.0)
    trim = tuple(np.array(_STONE) * rng.uniform(0.75, 1.25))
    concrete = TILE["concrete"]
    builder.box((-half, -0.14, FLOOR_M - 0.18), (half, 0.0, FLOOR_M + 0.06), concrete, trim)
    builder.box((-half - 0.05, -0.28, height - 0.1), (half + 0.05, depth, height + 0.22), concrete, trim)
    builder.box((-half, -0.16, height - 0.34), (half, 0.0, height - 0.1), concrete, trim)
    if rng.uniform() < 0.55:
        _add_roof(builder, half, depth, height + 0.22, rng)
    builder.tube(
        (half - 0.12, -0.07, 0.1),
        (half - 0.12, -0.07, height),
        (0.05, 0.05),
        TILE["metal"],
        (0.2, 0.2, 0.2),
        6,
    )
    _add_front_parts(builder, rng, half, floors)


def _add_roof(builder: MeshBuilder, half: float, depth: float, z: float, rng: np.random.Generator) -> None:
    rise = rng.uniform(1.6, 2.6)
    ridge = 0.45 * depth
    tone = tuple(np.array(_ROOF) * rng.uniform(0.7, 1.3))
    low, high = -0.35, z + rise
    builder.polygon(
        [(-half, low, z), (half, low, z), (half, ridge, high), (-half, ridge, high)], TILE["roof"], tone
    )
    back = depth - low
    builder.polygon(
        [(half, back, z), (-half, back, z), (-half, ridge, high), (half, ridge, high)], TILE["roof"], tone
    )
    for x in (-half, half):
        builder.polygon([(x, low, z), (x, back, z), (x, ridge, high)], TILE["concrete"], (0.4, 0.36, 0.3))
    x = rng.uniform(-0.6, 0.6) * half
    builder.box(
        (x - 0.3, ridge - 0.3, z), (x + 0.3, ridge + 0.3, high + 0.7), TILE["kerb"], (0.34, 0.16, 0.11)
    )


def _add_front_parts(builder: MeshBuilder, rng: np.random.Generator, half: float, floors: int) -> None:
    bays = int(2 * half // BAY_M)
    balconies, awnings = rng.uniform() < 0.45, rng.uniform() < 0.5
    cloth = np.array([[0.5, 0.1, 0.07], [0.1, 0.25, 0.4], [0.6, 0.5, 0.3], [0.12, 0.3, 0.16]])[
        rng.integers(4)
    ]
    for bay in range(bays):
        x = -half + (bay + 0.5) * BAY_M
        if awnings and rng.uniform() < 0.7:
            builder.semantic = CLASS_ID["building"]
            for i in range(6):
                x0, x1 = x - 1.0 + i / 3, x - 1.0 + (i + 1) / 3
                tone = tuple(cloth if i % 2 else 0.4 * cloth + 0.4)
                slope = [(x0, -1.1, 2.35), (x1, -1.1, 2.35), (x1, -0.02, 2.8), (x0, -0.02, 2.8)]
                builder.polygon(slope, TILE["plain"], tone)
                flap = [(x0, -1.1, 2.15), (x1, -1.1, 2.15), (x1, -1.1, 2.35), (x0, -1.1, 2.35)]
                builder.polygon(flap, TILE["plain"], tone)
        for floor in range(1, floors):
            if balconies and (bay + floor) % 2 == 0:
                _add_balcony(builder, x, floor * FLOOR_M, rng)


def _add_balcony(builder: MeshBuilder, x: float, z: float, rng: np.random.Generator) -> None:
    dark = (0.06, 0.065, 0.07)
    builder.box((x - 0.95, -0.85, z - 0.02), (x + 0.95, 0, z + 0.1), TILE["concrete"], _STONE)
    for y in (-0.82,):
        builder.box((x - 0.95, y - 0.02, z + 0.98), (x + 0.95, y + 0.03, z + 1.04), TILE["plain"], dark)
        for post in np.linspace(-0.93, 0.93, 9):
            builder.box(
                (x + post - 0.015, y, z + 0.1), (x + post + 0.015, y + 0.02, z + 0.98), TILE["plain"], dark
            )
    for side in (-0.95, 0.93):
        builder.box((x + side, -0.85, z + 0.98), (x + side + 0.02, 0, z + 1.04), TILE["plain"], dark)
    if rng.uniform() < 0.5:
        builder.box((x - 0.7, -0.95, z + 0.65), (x + 0.7, -0.86, z + 0.88), TILE["leaf"], (0.12, 0.2, 0.06))
