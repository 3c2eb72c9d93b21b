"""Triangles with what the shading needs, and a builder that makes them from boxes, prisms and quads."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import pairwise

import numpy as np
from jaxtyping import Float32, Float64, Int16, Int32, UInt8

from gsrecon.data.toy.classes import CLASS_ID

Colour = tuple[float | int, ...]
"""Linear reflectance of red, green and blue, 0 to 1."""
Point = tuple[float | int, ...] | np.ndarray
"""A place [m]; or a size."""
_FANS: dict[int, np.ndarray] = {}


@dataclass(frozen=True)
class Mesh:
    """A triangle soup; every array has one row a triangle."""

    triangles: Float32[np.ndarray, "T 3 3"]
    """Corners [m] in the mesh's own frame."""
    uv: Float32[np.ndarray, "T 3 2"]
    """Texture coordinates of the corners [m]: one metre on the surface is one metre in the texture."""
    tile: Int16[np.ndarray, " T"]
    """Texture of the atlas."""
    colour: Float32[np.ndarray, "T 3"]
    """Linear reflectance the texture is multiplied with."""
    group: Int32[np.ndarray, " T"]
    """Triangles of one flat face share a number; where it changes between pixels, there is an edge."""
    semantic: UInt8[np.ndarray, " T"]
    instance: Int32[np.ndarray, " T"]
    """Object number, 0 for what is not an object."""

    def __len__(self) -> int:
        return len(self.triangles)


class MeshBuilder:
    """Collects faces. `frame`, `semantic`, `instance` and `tile` apply to what is added next."""

    def __init__(self) -> None:
        self.frame: Float64[np.ndarray, "4 4"] = np.eye(4)
        self.semantic = CLASS_ID["building"]
        self.instance = 0
        self._parts: dict[str, list[np.ndarray]] = {f.name: [] for f in fields(Mesh)}
        self._groups = 0

    def build(self) -> Mesh:
        """All faces added so far as one mesh."""
        dtypes = [np.float32, np.float32, np.int16, np.float32, np.int32, np.uint8, np.int32]
        shapes = [(0, 3, 3), (0, 3, 2), (0,), (0, 3), (0,), (0,), (0,)]
        arrays = []
        for (_, parts), dtype, shape in zip(self._parts.items(), dtypes, shapes, strict=True):
            arrays.append(np.concatenate([np.zeros(shape), *parts]).astype(dtype))
        return Mesh(*arrays)

    def triangles(
        self,
        corners: Float64[np.ndarray, "T 3 3"],
        uv: Float64[np.ndarray, "T 3 2"],
        tile: int,
        colour: np.ndarray | Colour,
        group: np.ndarray,
    ) -> None:
        """Adds triangles given in `frame`; `group` counts from 0 within this call."""
        count = len(corners)
        rotation, translation = self.frame[:3, :3], self.frame[:3, 3]
        rows = {
            "triangles": corners @ rotation.T + translation,
            "uv": uv,
            "tile": np.full(count, tile),
            "colour": np.asarray(colour, dtype=np.float64) + np.zeros((count, 1)),
            "group": group + self._groups,
            "semantic": np.full(count, self.semantic),
            "instance": np.full(count, self.instance),
        }
        for name, value in rows.items():
            self._parts[name].append(value)
        self._groups += int(group.max()) + 1 if count else 0

    def polygon(
        self,
        points: Sequence[Point] | np.ndarray,
        tile: int,
        colour: Colour,
        uv: Sequence[Point] | np.ndarray | None = None,
    ) -> None:
        """Adds one flat convex polygon, corners [P, 3] counter-clockwise seen from outside."""
        points = np.asarray(points, dtype=np.float64)
        uv = flat_uv(points) if uv is None else np.asarray(uv, dtype=np.float64)
        fan = _FANS.get(len(points))
        if fan is None:
            fan = _FANS[len(points)] = np.array([[0, i, i + 1] for i in range(1, len(points) - 1)])
        self.triangles(points[fan], uv[fan], tile, colour, np.zeros(len(fan), dtype=np.int64))

    def quads(self, corners: Float64[np.ndarray, "N 4 3"], tile: int, colour: np.ndarray | Colour) -> None:
        """Adds N separate flat quads, each with a texture of its own place and a group of its own."""
        count = len(corners)
        side_u = np.linalg.norm(corners[:, 1] - corners[:, 0], axis=-1)
        side_v = np.linalg.norm(corners[:, 3] - corners[:, 0], axis=-1)
        start = corners[:, 0, :2]
        uv = np.stack([start, start, start, start], axis=1)
        uv[:, 1:3, 0] += side_u[:, None]
        uv[:, 2:4, 1] += side_v[:, None]
        pick = np.array([[0, 1, 2], [0, 2, 3]])
        colours = np.broadcast_to(np.asarray(colour, dtype=np.float64), (count, 3))
        self.triangles(
            corners[:, pick].reshape(-1, 3, 3),
            uv[:, pick].reshape(-1, 3, 2),
            tile,
            np.repeat(colours, 2, axis=0),
            np.repeat(np.arange(count), 2),
        )

    def box(self, low: Point, high: Point, tile: int, colour: Colour) -> None:
        """Adds an axis-aligned box of `frame` from corner `low` to corner `high` [m]."""
        (x0, y0, z0), (x1, y1, z1) = low, high
        self.prism([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], z0, z1, tile, colour)

    def prism(
        self, outline: Sequence[Point], z0: float | int, z1: float | int, tile: int, colour: Colour
    ) -> None:
        """Adds an upright prism over a convex counter-clockwise outline in x, y."""
        bottom = np.array([(x, y, z0) for x, y in outline])
        top = np.array([(x, y, z1) for x, y in outline])
        self.loft(bottom, top, tile, colour)

    def loft(
        self, ring0: np.ndarray, ring1: np.ndarray, tile: int, colour: Colour, caps: bool = True
    ) -> None:
        """Adds the sides between two rings [P, 3] of equally many corners, and the two end faces."""
        faces = np.stack([ring0, np.roll(ring0, -1, axis=0), np.roll(ring1, -1, axis=0), ring1], axis=1)
        for face in faces:
            self.polygon(face, tile, colour)
        if caps:
            self.polygon(ring0[::-1], tile, colour)
            self.polygon(ring1, tile, colour)

    def tube(
        self,
        start: Point,
        end: Point,
        radii: Point,
        tile: int,
        colour: Colour,
        sides: int = 8,
    ) -> None:
        """Adds a tapered tube between two points [m]."""
        start, end = np.asarray(start, dtype=np.float64), np.asarray(end, dtype=np.float64)
        axis = (end - start) / max(float(np.linalg.norm(end - start)), 1e-9)
        side = np.cross(axis, [0.0, 0.0, 1.0] if abs(axis[2]) < 0.9 else [1.0, 0.0, 0.0])
        side /= np.linalg.norm(side)
        other = np.cross(axis, side)
        angle = 2 * np.pi * np.arange(sides) / sides
        ring = np.cos(angle)[:, None] * side + np.sin(angle)[:, None] * other
        self.loft(start + radii[0] * ring, end + radii[1] * ring, tile, colour)

    def ellipsoid(
        self,
        centre: Point,
        radii: Point,
        tile: int,
        colour: Colour,
        rings: int = 5,
        sides: int = 8,
    ) -> None:
        """Adds a faceted ellipsoid."""
        polar = np.pi * np.arange(rings + 1) / rings
        angle = 2 * np.pi * np.arange(sides) / sides
        circle = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
        levels = []
        for p in polar:
            ring = np.concatenate([np.sin(p) * circle, np.full((sides, 1), -np.cos(p))], axis=-1)
            levels.append(np.asarray(centre) + ring * np.asarray(radii))
        for lower, upper in pairwise(levels):
            self.loft(lower, upper, tile, colour, caps=False)


def flat_uv(points: Float64[np.ndarray, "P 3"]) -> Float64[np.ndarray, "P 2"]:
    """Isometric texture coordinates [m] of a flat polygon: u is level, v points up (level faces: x, y)."""
    # Newell's method, written out: np.cross costs more than all the rest of a face.
    x, y, z = points.T
    ahead = np.arange(1, len(points) + 1) % len(points)
    nx = float((y - y[ahead]) @ (z + z[ahead]))
    ny = float((z - z[ahead]) @ (x + x[ahead]))
    nz = float((x - x[ahead]) @ (y + y[ahead]))
    level = math.hypot(nx, ny)
    length = max(math.hypot(level, nz), 1e-12)
    if abs(nz) > 0.99 * length:
        return points[:, :2].copy()
    u = np.array([-ny, nx, 0.0]) / level
    v = np.array([-nz * nx, -nz * ny, level * level]) / (level * length)
    return np.stack([points @ u, points @ v], axis=-1)
