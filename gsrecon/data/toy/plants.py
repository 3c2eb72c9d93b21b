"""Trees and hedges: trunks of tubes, foliage of small quads in clusters."""

import numpy as np

from gsrecon.data.toy.classes import CLASS_ID
from gsrecon.data.toy.mesh import MeshBuilder, Point
from gsrecon.data.toy.textures import TILE


def add_tree(builder: MeshBuilder, rng: np.random.Generator) -> None:
    """Adds one street tree in `builder`'s frame, foot of the trunk at the origin."""
    builder.semantic = CLASS_ID["vegetation"]
    height = rng.uniform(5.2, 7.5)
    crown = rng.uniform(1.5, 2.1)
    bark = tuple(np.array([0.16, 0.12, 0.09]) * rng.uniform(0.8, 1.2))
    fork = np.array([rng.normal(0, 0.06), rng.normal(0, 0.06), 0.42 * height])
    builder.tube((0, 0, -0.05), fork, (0.17, 0.11), TILE["bark"], bark, 9)
    green = np.array([0.13, 0.24, 0.05]) * rng.uniform(0.8, 1.2) + np.array([rng.uniform(0, 0.07), 0, 0])
    clusters = 9
    for i in range(clusters):
        angle = 2 * np.pi * (i * 0.382 + rng.uniform(-0.05, 0.05))
        reach = crown * (0.25 + 0.55 * rng.uniform()) if i else 0.0
        tip = np.array(
            [
                reach * np.cos(angle),
                reach * np.sin(angle),
                height * (0.56 + 0.36 * (i / clusters if i else 0.9)),
            ]
        )
        builder.tube(fork, tip, (0.06, 0.02), TILE["bark"], bark, 5)
        radius = crown * rng.uniform(0.38, 0.55)
        tone = green * rng.uniform(0.75, 1.25)
        add_leaves(builder, rng, tip, (radius, radius, 0.75 * radius), 120, tone)


def add_hedge(builder: MeshBuilder, rng: np.random.Generator, length: float, height: float = 0.75) -> None:
    """Adds a clipped hedge along x, its middle at the origin of `builder`'s frame."""
    builder.semantic = CLASS_ID["vegetation"]
    green = np.array([0.09, 0.18, 0.045]) * rng.uniform(0.85, 1.2)
    half = 0.5 * length
    builder.box((-half, -0.24, 0), (half, 0.24, height), TILE["leaf"], tuple(0.7 * green))
    count = int(60 * length)
    place = rng.uniform([-half, -0.28, 0.05], [half, 0.28, height + 0.06], (count, 3))
    face = rng.integers(0, 3, count)
    place[face == 0, 1] = 0.27
    place[face == 1, 1] = -0.27
    place[face == 2, 2] = height + 0.03
    _add_leaf_quads(builder, rng, place, np.zeros((count, 3)), (0.09, 0.16), green)


def add_leaves(
    builder: MeshBuilder,
    rng: np.random.Generator,
    centre: np.ndarray,
    radii: Point,
    count: int,
    green: np.ndarray,
) -> None:
    """Adds `count` leaf quads on and in an ellipsoid, turned outwards, darker inside and below."""
    outward = rng.normal(size=(count, 3))
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    reach = rng.uniform(0.45, 1.0, (count, 1)) ** 0.5
    place = centre + outward * reach * np.asarray(radii)
    tone = 0.65 + 0.3 * reach + 0.12 * outward[:, 2:3]
    _add_leaf_quads(builder, rng, place, outward, (0.13, 0.25), green * tone)


def _add_leaf_quads(
    builder: MeshBuilder,
    rng: np.random.Generator,
    place: np.ndarray,
    outward: np.ndarray,
    size: Point,
    green: np.ndarray,
) -> None:
    count = len(place)
    normal = outward + rng.normal(scale=0.55, size=(count, 3)) + np.array([0, 0, 0.25])
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    side = np.cross(normal, rng.normal(size=(count, 3)))
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    other = np.cross(normal, side)
    a = side * rng.uniform(size[0], size[1], (count, 1))
    b = other * rng.uniform(size[0], size[1], (count, 1)) * 0.75
    corners = np.stack([place - a, place - b, place + a, place + b], axis=1)
    colour = green * rng.uniform(0.72, 1.28, (count, 1)) * np.array([1.0, 1.0, 1.0])
    colour = colour + rng.uniform(0, 0.03, (count, 1)) * np.array([1.0, 0.5, 0.0])
    builder.quads(corners, TILE["leaf"], colour)
