"""Street furniture: lamps, traffic signs, bollards, bins, benches."""

from collections.abc import Sequence

import numpy as np

from gsrecon.data.toy.classes import CLASS_ID
from gsrecon.data.toy.mesh import Colour, MeshBuilder, Point
from gsrecon.data.toy.textures import TILE

_STEEL: Colour = (0.22, 0.23, 0.24)
_WHITE: Colour = (0.8, 0.8, 0.78)
_RED: Colour = (0.6, 0.03, 0.03)
_BLUE: Colour = (0.03, 0.12, 0.5)


def add_lamp(builder: MeshBuilder) -> None:
    """Adds a street lamp at the origin of `builder`'s frame, its arm towards +y."""
    builder.semantic = CLASS_ID["pole"]
    metal = TILE["metal"]
    builder.tube((0, 0, 0), (0, 0, 0.9), (0.11, 0.10), metal, (0.10, 0.12, 0.11))
    builder.tube((0, 0, 0.9), (0, 0, 6.0), (0.075, 0.05), metal, (0.10, 0.12, 0.11))
    builder.tube((0, 0, 5.95), (0, 1.5, 6.35), (0.05, 0.04), metal, (0.10, 0.12, 0.11), 6)
    builder.box((-0.14, 1.2, 6.25), (0.14, 1.95, 6.42), TILE["plain"], _STEEL)


def add_sign(builder: MeshBuilder, rng: np.random.Generator) -> None:
    """Adds a traffic sign at the origin of `builder`'s frame, its face towards -x."""
    builder.semantic = CLASS_ID["pole"]
    builder.tube((0, 0, 0), (0, 0, 2.9), (0.035, 0.035), TILE["metal"], _STEEL, 6)
    builder.semantic = CLASS_ID["sign"]
    kind = int(rng.integers(4))
    if kind == 0:
        _disc(builder, 2.55, [(0.34, _RED, 24), (0.26, _WHITE, 24)])
        for y in (-0.09, 0.05):
            _plate(builder, -0.055, (y - 0.03, 2.43), (y + 0.06, 2.67), (0.03, 0.03, 0.03))
    elif kind == 1:
        _disc(builder, 2.55, [(0.36, _WHITE, 8), (0.33, _RED, 8)])
        _plate(builder, -0.055, (-0.2, 2.49), (0.2, 2.61), _WHITE)
    elif kind == 2:
        _disc(builder, 2.5, [(0.42, _RED, 3), (0.28, _WHITE, 3)])
    else:
        _plate(builder, -0.045, (-0.32, 2.2), (0.32, 2.84), _WHITE)
        _plate(builder, -0.05, (-0.29, 2.23), (0.29, 2.81), _BLUE)
        _plate(builder, -0.055, (-0.14, 2.3), (-0.05, 2.74), _WHITE)
        _plate(builder, -0.055, (-0.05, 2.5), (0.14, 2.74), _WHITE)


def _disc(builder: MeshBuilder, z: float, layers: Sequence[tuple[float, Colour, int]]) -> None:
    """Regular polygons of given radius, colour and sides, each a little before the last."""
    for i, (radius, colour, sides) in enumerate(layers):
        turn = np.pi / 2 if sides % 2 else np.pi / 2 + np.pi / sides
        angle = -2 * np.pi * np.arange(sides) / sides + turn
        x = -0.04 - 0.006 * i
        ring = np.stack([np.full(sides, x), radius * np.cos(angle), z + radius * np.sin(angle)], axis=-1)
        builder.polygon(ring, TILE["plain"], colour)


def _plate(builder: MeshBuilder, x: float, low: Point, high: Point, colour: Colour) -> None:
    (y0, z0), (y1, z1) = low, high
    builder.polygon([(x, y1, z0), (x, y0, z0), (x, y0, z1), (x, y1, z1)], TILE["plain"], colour)


def add_bollard(builder: MeshBuilder) -> None:
    """Adds a bollard with a white band at the origin of `builder`'s frame."""
    builder.semantic = CLASS_ID["street_furniture"]
    builder.tube((0, 0, 0), (0, 0, 0.95), (0.07, 0.06), TILE["metal"], (0.12, 0.12, 0.13), 8)
    builder.tube((0, 0, 0.7), (0, 0, 0.82), (0.075, 0.075), TILE["plain"], _WHITE, 8)


def add_bin(builder: MeshBuilder) -> None:
    """Adds a litter bin at the origin of `builder`'s frame."""
    builder.semantic = CLASS_ID["street_furniture"]
    builder.tube((0, 0, 0), (0, 0, 0.85), (0.24, 0.28), TILE["metal"], (0.07, 0.2, 0.12), 12)
    builder.tube((0, 0, 0.85), (0, 0, 0.95), (0.3, 0.2), TILE["plain"], (0.04, 0.05, 0.05), 12)


def add_bench(builder: MeshBuilder) -> None:
    """Adds a bench along x at the origin of `builder`'s frame, its back at +y."""
    builder.semantic = CLASS_ID["street_furniture"]
    wood = (0.36, 0.2, 0.09)
    for y in (-0.25, -0.1, 0.05):
        builder.box((-0.85, y, 0.43), (0.85, y + 0.12, 0.47), TILE["bark"], wood)
    for z in (0.58, 0.74):
        builder.box((-0.85, 0.2, z), (0.85, 0.23, z + 0.12), TILE["bark"], wood)
    for x in (-0.7, 0.65):
        builder.box((x, -0.25, 0), (x + 0.05, 0.22, 0.43), TILE["metal"], _STEEL)
