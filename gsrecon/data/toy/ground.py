"""The ground: asphalt, lane marks, patches and manholes, kerbs, pavements, terrain; and the lane lines."""

import numpy as np

from gsrecon.data.log import Lane
from gsrecon.data.toy.classes import CLASS_ID
from gsrecon.data.toy.mesh import Colour, MeshBuilder
from gsrecon.data.toy.path import Street
from gsrecon.data.toy.textures import TILE

KERB_M = 5.9
"""Distance of the kerb from the middle of the street [m]."""
FRONT_M = 9.6
"""Distance of the house fronts from the middle of the street [m]."""
KERB_HEIGHT_M = 0.13
PARKING_LINE_M = 3.55
_MARK: Colour = (0.72, 0.72, 0.68)
_ASPHALT: Colour = (0.135, 0.135, 0.14)
_MARK_HEIGHT_M = 0.006


def add_ground(builder: MeshBuilder, street: Street, rng: np.random.Generator, crossing_s: float) -> None:
    """Adds everything flat. `crossing_s` is where the zebra crossing lies [m]."""
    start, end = street.start_m, street.end_m
    s = np.arange(start, end + 12.0, 1.0)
    builder.semantic = CLASS_ID["terrain"]
    reach = 400.0
    middle = street.point(0.5 * (start + end), 0.0)
    span = 0.5 * (end - start) + reach
    plane = middle + np.array(
        [(-span, -span, -0.05), (span, -span, -0.05), (span, span, -0.05), (-span, span, -0.05)]
    )
    builder.polygon(plane, TILE["grass"], (0.12, 0.17, 0.06))
    builder.semantic = CLASS_ID["road"]
    _strip(builder, street, s, (-KERB_M, KERB_M), 0.0, TILE["asphalt"], _ASPHALT)
    for side in (-1.0, 1.0):
        across = np.arange(end, end + 11.5, 1.0)
        _strip(
            builder,
            street,
            across,
            tuple(sorted((side * KERB_M, side * 90.0))),
            0.0,
            TILE["asphalt"],
            _ASPHALT,
        )
        walk = s[s <= end]
        builder.semantic = CLASS_ID["sidewalk"]
        edge = tuple(sorted((side * KERB_M, side * (KERB_M + 0.28))))
        _strip(builder, street, walk, edge, KERB_HEIGHT_M, TILE["kerb"], (0.42, 0.41, 0.39))
        inner = tuple(sorted((side * (KERB_M + 0.28), side * (FRONT_M + 3))))
        _strip(builder, street, walk, inner, KERB_HEIGHT_M, TILE["paving"], (0.33, 0.31, 0.29))
        low, high = (
            street.point(walk, side * KERB_M),
            street.point(walk, side * KERB_M, KERB_HEIGHT_M),
        )
        face = np.stack([low[:-1], low[1:], high[1:], high[:-1]], axis=1)
        uv = np.stack([walk[:-1], walk[1:], walk[1:], walk[:-1]], axis=1)
        uv = np.stack([uv, np.broadcast_to([0.0, 0.0, 0.13, 0.13], uv.shape)], axis=-1)
        _flat_quads(builder, face, uv, TILE["kerb"], (0.36, 0.35, 0.33))
        builder.semantic = CLASS_ID["road"]
    _add_wear(builder, street, rng)
    _add_marks(builder, street, crossing_s)


def lane_lines(street: Street) -> tuple[Lane, ...]:
    """The painted lines as polylines in world: the middle and the two edges of the driving lanes."""
    s = np.arange(street.start_m, street.end_m - 4.0, 1.0)
    lines = (
        ("centre", "dashed", 0.0),
        ("left", "solid", PARKING_LINE_M),
        ("right", "solid", -PARKING_LINE_M),
    )
    return tuple(Lane(name, kind, street.point(s, lateral)) for name, kind, lateral in lines)


def _strip(
    builder: MeshBuilder,
    street: Street,
    s: np.ndarray,
    lateral: tuple[float, ...],
    z: float,
    tile: int,
    colour: Colour,
) -> None:
    """A band along the street between two lateral places, its texture running along it."""
    right, left = (street.point(s, side, z) for side in lateral)
    corners = np.stack([right[:-1], right[1:], left[1:], left[:-1]], axis=1)
    u = np.stack([s[:-1], s[1:], s[1:], s[:-1]], axis=1)
    v = np.broadcast_to([lateral[0], lateral[0], lateral[1], lateral[1]], u.shape)
    _flat_quads(builder, corners, np.stack([u, v], axis=-1), tile, colour)


def _flat_quads(builder: MeshBuilder, corners: np.ndarray, uv: np.ndarray, tile: int, colour: Colour) -> None:
    """Quads that are seen as one face: no edge between neighbours."""
    pick = np.array([[0, 1, 2], [0, 2, 3]])
    triangles, uv = corners[:, pick].reshape(-1, 3, 3), uv[:, pick].reshape(-1, 3, 2)
    builder.triangles(triangles, uv, tile, colour, np.zeros(len(triangles), dtype=np.int64))


def _add_marks(builder: MeshBuilder, street: Street, crossing_s: float) -> None:
    builder.semantic = CLASS_ID["lane_mark"]
    start, end = street.start_m, street.end_m - 4.0
    paint, z = TILE["paint"], _MARK_HEIGHT_M

    def band(s0: float, s1: float, l0: float, l1: float) -> None:
        _strip(builder, street, np.linspace(s0, s1, max(2, int(s1 - s0) + 2)), (l0, l1), z, paint, _MARK)

    for s in np.arange(start, end, 6.0):
        if not crossing_s - 4.5 < s < crossing_s + 3.0:
            band(float(s), float(s) + 3.0, -0.07, 0.07)
    for side in (-1, 1):
        l0, l1 = sorted((side * (PARKING_LINE_M - 0.06), side * (PARKING_LINE_M + 0.06)))
        band(start, crossing_s - 2.0, l0, l1)
        band(crossing_s + 2.0, end, l0, l1)
        for s in np.arange(start + 3.0, end, 6.5):
            l0, l1 = sorted((side * (PARKING_LINE_M + 0.06), side * (KERB_M - 0.1)))
            if abs(s - crossing_s) > 3.0:
                band(float(s), float(s) + 0.1, l0, l1)
    for lateral in np.arange(-5.2, 5.0, 1.0):
        band(crossing_s - 1.5, crossing_s + 1.5, float(lateral), float(lateral) + 0.5)
    band(end - 0.5, end, -PARKING_LINE_M, 0.0)
    for s in np.arange(14.0, end - 10, 34.0):
        if abs(s - crossing_s) > 8.0:
            _add_arrow(builder, street, float(s), -1.75, 1.0)
            _add_arrow(builder, street, float(s) + 5.0, 1.75, -1.0)


def _add_arrow(builder: MeshBuilder, street: Street, s: float, lateral: float, way: float) -> None:
    frame = builder.frame
    builder.frame = street.frame(s, lateral, turn=0.0 if way > 0 else np.pi, z=_MARK_HEIGHT_M)
    builder.polygon(
        [(-1.6, -0.09, 0), (0.5, -0.09, 0), (0.5, 0.09, 0), (-1.6, 0.09, 0)], TILE["paint"], _MARK
    )
    builder.polygon([(0.5, -0.35, 0), (1.6, 0, 0), (0.5, 0.35, 0)], TILE["paint"], _MARK)
    builder.frame = frame


def _add_wear(builder: MeshBuilder, street: Street, rng: np.random.Generator) -> None:
    """Repaired patches, manholes, gullies and oil stains on the asphalt."""
    builder.semantic = CLASS_ID["road"]
    for s in np.arange(street.start_m, street.end_m, 5.5):
        at, lateral = float(s + rng.uniform(0, 5)), float(rng.uniform(-4.5, 4.5))
        long, wide = rng.uniform(0.8, 4.0), rng.uniform(0.4, 1.6)
        tone = tuple(np.array(_ASPHALT) * rng.choice([0.55, 0.7, 1.35]))
        run = np.linspace(at, at + long, 4)
        _strip(builder, street, run, (lateral, lateral + wide), 0.003, TILE["asphalt"], tone)
    frame = builder.frame
    for s in np.arange(street.start_m + 4, street.end_m, 13.0):
        lateral = float(rng.choice([-1.0, 1.1, -2.6]) + rng.uniform(-0.3, 0.3))
        builder.frame = street.frame(float(s + rng.uniform(0, 5)), lateral, z=0.004)
        angle = 2 * np.pi * np.arange(16) / 16
        for radius, tone, z in ((0.38, (0.07, 0.07, 0.07), 0.0), (0.31, (0.2, 0.19, 0.18), 0.002)):
            ring = np.stack([radius * np.cos(angle), radius * np.sin(angle), np.full(16, z)], axis=-1)
            builder.polygon(ring, TILE["paving"], tone)
        for side in (-1, 1):
            builder.frame = street.frame(float(s), side * (KERB_M - 0.25), z=0.004)
            builder.polygon(
                np.array([(-0.3, -0.2, 0), (0.3, -0.2, 0), (0.3, 0.2, 0), (-0.3, 0.2, 0)]),
                TILE["plain"],
                (0.03, 0.03, 0.03),
            )
    builder.frame = frame
