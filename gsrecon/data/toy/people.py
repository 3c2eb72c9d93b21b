"""Pedestrians made of parts: shoes, legs in mid-stride, torso, arms, head, hair, sometimes a bag."""

import numpy as np

from gsrecon.data.toy.classes import CLASS_ID
from gsrecon.data.toy.mesh import Colour, MeshBuilder
from gsrecon.data.toy.textures import TILE

_CLOTHES: tuple[Colour, ...] = (
    (0.50, 0.07, 0.06),
    (0.07, 0.16, 0.38),
    (0.62, 0.58, 0.50),
    (0.08, 0.08, 0.09),
    (0.55, 0.38, 0.05),
    (0.10, 0.28, 0.18),
    (0.36, 0.14, 0.30),
)
_TROUSERS: tuple[Colour, ...] = (
    (0.06, 0.09, 0.18),
    (0.05, 0.05, 0.055),
    (0.30, 0.24, 0.16),
    (0.18, 0.18, 0.2),
)
_SKIN: tuple[Colour, ...] = ((0.60, 0.40, 0.29), (0.40, 0.24, 0.15), (0.20, 0.11, 0.07))
_HAIR: tuple[Colour, ...] = ((0.03, 0.02, 0.02), (0.16, 0.08, 0.03), (0.40, 0.28, 0.12))


def add_pedestrian(builder: MeshBuilder, rng: np.random.Generator) -> None:
    """Adds one walking person to `builder` in its current frame: on the ground, x forward."""
    builder.semantic = CLASS_ID["pedestrian"]
    k = rng.uniform(0.92, 1.06)
    stride = rng.uniform(0.22, 0.32) * k
    coat, legs = _CLOTHES[rng.integers(len(_CLOTHES))], _TROUSERS[rng.integers(len(_TROUSERS))]
    skin, hair = _SKIN[rng.integers(len(_SKIN))], _HAIR[rng.integers(len(_HAIR))]
    cloth, plain = TILE["concrete"], TILE["plain"]
    for side in (-1, 1):
        y = 0.10 * side * k
        foot, knee = np.array([stride * side, y, 0.09]), np.array([0.45 * stride * side + 0.05, y, 0.5 * k])
        builder.tube(foot, knee, (0.065, 0.08), cloth, legs)
        builder.tube(knee, (0, y, 0.92 * k), (0.08, 0.1), cloth, legs)
        x = float(foot[0])
        builder.box((x - 0.09, y - 0.05, 0.0), (x + 0.18, y + 0.05, 0.1), plain, (0.06, 0.05, 0.05))
        shoulder, elbow = (
            np.array([0, 0.2 * side * k, 1.4 * k]),
            np.array([-0.1 * side, 0.26 * side * k, 1.13 * k]),
        )
        hand = elbow + np.array([0.1 - 0.14 * side, 0.0, -0.22 * k])
        builder.tube(shoulder, elbow, (0.065, 0.055), cloth, coat)
        builder.tube(elbow, hand, (0.055, 0.045), cloth, coat)
        builder.ellipsoid(tuple(hand), (0.05, 0.045, 0.06), plain, skin, 4, 6)
    rings = []
    for z, depth, breadth in ((0.80, 0.13, 0.19), (1.12, 0.11, 0.16), (1.36, 0.12, 0.21), (1.48, 0.07, 0.10)):
        angle = 2 * np.pi * np.arange(10) / 10
        ring = np.stack([depth * np.cos(angle), breadth * np.sin(angle), np.full(10, z)], axis=-1) * k
        rings.append(ring)
    for i in range(3):
        builder.loft(rings[i], rings[i + 1], cloth, coat, caps=i != 1)
    builder.tube((0, 0, 1.45 * k), (0.01, 0, 1.56 * k), (0.055, 0.05), plain, skin)
    builder.ellipsoid((0.015, 0, 1.64 * k), (0.10, 0.08, 0.12), plain, skin, 6, 10)
    builder.ellipsoid((-0.015, 0, 1.68 * k), (0.105, 0.09, 0.105), plain, hair, 6, 10)
    if rng.uniform() < 0.4:
        builder.box(
            (-0.3, -0.14, 1.0 * k), (-0.11, 0.14, 1.4 * k), cloth, _CLOTHES[rng.integers(len(_CLOTHES))]
        )
