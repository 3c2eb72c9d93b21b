"""The toy world at work: what rays meet at a time, and what light comes back along them."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int32

from gsrecon.data.toy.actors import Actor
from gsrecon.data.toy.config import ToyConfig
from gsrecon.data.toy.mesh import Mesh
from gsrecon.data.toy.path import Street
from gsrecon.data.toy.scenery import Scenery
from gsrecon.data.toy.sky import GROUND_LIGHT, SKY_LIGHT, SUN_COLOUR, Sky
from gsrecon.data.toy.sunlight import SunGrid
from gsrecon.data.toy.textures import make_atlas
from gsrecon.data.toy.tracer import TriangleTracer

_CHUNK = 1 << 14
"""Rays shaded at once: small enough that the working set stays in the core's own cache."""
# Columns of the table that shading gathers from, one row a triangle.
_UV, _UV_OFFSET, _NORMAL, _COLOUR, _TILE = slice(0, 6), slice(6, 8), slice(8, 11), slice(11, 14), 14


@dataclass(frozen=True)
class Hits:
    """What a batch of rays met."""

    triangle: Int32[np.ndarray, " N"]
    """Row in the world's tables, -1 where the ray goes to the sky."""
    distance: Float32[np.ndarray, " N"]
    """In lengths of the ray's direction; inf for the sky."""


class Moment:
    """Where the moving objects are at one time: pose and bounding sphere of those present."""

    def __init__(self, world: "World", time_s: float) -> None:
        self.time_s = time_s
        self.present: list[tuple[int, Float64[np.ndarray, "4 4"]]] = []
        for number, actor in enumerate(world.movers):
            if actor.present_s[0] <= time_s <= actor.present_s[1]:
                self.present.append((number, actor.world_from_actor(time_s)))


class World:
    """Meshes, textures, sky and sun of one config; everything that does not depend on a camera."""

    def __init__(self, config: ToyConfig, street: Street, scenery: Scenery, threads: int = 1) -> None:
        self.config = config
        self.street = street
        self.scenery = scenery
        self.movers: tuple[Actor, ...] = tuple(a for a in self.scenery.actors if a.moving)
        self.sky = Sky(config.seed)
        self.atlas = make_atlas(config.seed, 512 if config.focal_px < 500 else 1024)
        self._tracer = TriangleTracer(self.scenery.static.triangles)
        self._actor_tracers = [TriangleTracer(a.mesh.triangles) for a in self.movers]
        self._radii = [0.5 * float(np.linalg.norm(a.size_lwh)) + 0.05 for a in self.movers]
        meshes = [self.scenery.static, *(a.mesh for a in self.movers)]
        self._first = np.cumsum([0, *map(len, meshes)]).astype(np.int32)
        self._corner = np.concatenate([m.triangles[:, 0] for m in meshes])
        self._table = _shading_table(meshes)
        self.colour = np.ascontiguousarray(self._table[:, _COLOUR])
        self.semantic = np.concatenate([m.semantic for m in meshes])
        self.instance = np.concatenate([m.instance for m in meshes])
        groups, start = [], 0
        for mesh in meshes:
            groups.append(mesh.group + start)
            start += int(mesh.group.max(initial=-1)) + 1
        self.group = np.concatenate(groups)
        self._sun_grid: SunGrid | None = None
        if config.shadows:
            s = np.arange(self.street.start_m - 4, self.street.end_m + 14, 2.0)
            sides = [self.street.point(s, side, z) for side in (-14.0, 14.0) for z in (0.0, 8.0)]
            self._sun_grid = SunGrid(
                self._tracer, self.sky, np.concatenate(sides).astype(np.float32), threads
            )

    def trace(
        self, origin: Float64[np.ndarray, " 3"], directions: Float32[np.ndarray, "N 3"], moment: Moment
    ) -> Hits:
        """First hits of rays from one place in world."""
        origin32 = origin.astype(np.float32)
        triangle, distance = self._tracer.first_hit(np.broadcast_to(origin32, directions.shape), directions)
        length2 = np.einsum("ij,ij->i", directions, directions)
        for number, world_from_actor in moment.present:
            # Only rays that pass through the object's bounding sphere.
            centre = (world_from_actor[:3, 3] - origin).astype(np.float32)
            along = directions @ centre
            gap2 = float(centre @ centre) - along * along / length2
            near = (gap2 < self._radii[number] ** 2) & (along > -self._radii[number] * np.sqrt(length2))
            rows = np.flatnonzero(near)
            if rows.size == 0:
                continue
            rotation = world_from_actor[:3, :3]
            local_origin = ((origin - world_from_actor[:3, 3]) @ rotation).astype(np.float32)
            local = directions[rows] @ rotation.astype(np.float32)
            hit, reach = self._actor_tracers[number].first_hit(
                np.broadcast_to(local_origin, local.shape), local
            )
            nearer = reach < distance[rows]
            rows = rows[nearer]
            triangle[rows] = hit[nearer] + self._first[number + 1]
            distance[rows] = reach[nearer]
        return Hits(triangle, distance)

    def flat_distance(
        self,
        triangle: Int32[np.ndarray, " N"],
        origin: Float64[np.ndarray, " 3"],
        directions: Float32[np.ndarray, "N 3"],
        moment: Moment,
    ) -> Float32[np.ndarray, " N"]:
        """Distance to the planes of known triangles along other rays from the same place."""
        normal, offset = self.planes(triangle, origin, moment)
        facing = np.einsum("ij,ij->i", directions, normal)
        safe = np.where(np.abs(facing) > 1e-6, facing, np.float32(1e-6))
        return offset / safe

    def shade(
        self,
        hits: Hits,
        origin: Float64[np.ndarray, " 3"],
        directions: Float32[np.ndarray, "N 3"],
        pixel_angle: float,
        moment: Moment,
    ) -> Float32[np.ndarray, "N 3"]:
        """Linear colour of each ray; `pixel_angle` is a sample's width at unit depth."""
        colour = np.empty((len(directions), 3), dtype=np.float32)
        for start in range(0, len(directions), _CHUNK):
            part = slice(start, start + _CHUNK)
            sky = hits.triangle[part] < 0
            block = directions[part]
            out = np.empty((len(block), 3), dtype=np.float32)
            if sky.any():
                away = block[sky]
                out[sky] = self.sky.colour(away / np.linalg.norm(away, axis=1, keepdims=True))
            ground = np.flatnonzero(~sky)
            if ground.size:
                triangle, distance = hits.triangle[part][ground], hits.distance[part][ground]
                out[ground] = self._shade_hits(triangle, distance, origin, block[ground], pixel_angle, moment)
            colour[part] = out
        return colour

    def _shade_hits(
        self,
        triangle: np.ndarray,
        distance: np.ndarray,
        origin: np.ndarray,
        directions: np.ndarray,
        pixel_angle: float,
        moment: Moment,
    ) -> np.ndarray:
        row = self._table.take(triangle, axis=0)
        normal = row[:, _NORMAL].copy()
        points = distance[:, None] * directions
        points += origin.astype(np.float32)
        local = points
        for rows, _, world_from_actor in self._on_movers(triangle, moment):
            local = local.copy() if local is points else local
            rotation = world_from_actor[:3, :3].astype(np.float32)
            local[rows] = (points[rows] - world_from_actor[:3, 3].astype(np.float32)) @ rotation
            normal[rows] = normal[rows] @ rotation.T
        uv = np.einsum("nij,nj->ni", row[:, _UV].reshape(-1, 2, 3), local)
        uv += row[:, _UV_OFFSET]
        reach = distance * np.sqrt(np.einsum("ij,ij->i", directions, directions))
        facing = np.einsum("ij,ij->i", normal, directions)
        normal *= np.where(facing > 0, np.float32(-1), np.float32(1))[:, None]
        slant = np.maximum(np.abs(facing) * distance / np.maximum(reach, 1e-6), np.float32(0.02))
        footprint = distance * np.float32(pixel_angle) / np.sqrt(slant)
        albedo = self.atlas.sample(row[:, _TILE].astype(np.int32), uv, footprint) * row[:, _COLOUR]
        albedo *= self.atlas.macro(points)[:, None]
        light = self._light(points, normal, moment)
        return self.sky.haze(albedo * light, reach)

    def _light(self, points: np.ndarray, normal: np.ndarray, moment: Moment) -> np.ndarray:
        # A street is a canyon: less of the sky is seen further down.
        share = np.float32(0.62) + np.minimum(np.maximum(points[:, 2], 0), 9) * np.float32(0.38 / 9)
        upward = (np.float32(0.5) + np.float32(0.5) * normal[:, 2]) * share
        ambient = share[:, None] * GROUND_LIGHT
        ambient += upward[:, None] * (SKY_LIGHT - GROUND_LIGHT)
        cosine = np.maximum(normal @ self.sky.sun, 0)
        if self._sun_grid is not None:
            facing = np.flatnonzero(cosine > 0)
            lit = self._sun_grid.lit(points[facing], normal[facing])
            self._shade_by_movers(points[facing], normal[facing], lit, moment)
            cosine[facing] *= lit
        ambient += cosine[:, None] * SUN_COLOUR
        return ambient

    def _shade_by_movers(
        self, points: np.ndarray, normal: np.ndarray, lit: np.ndarray, moment: Moment
    ) -> None:
        """Sets `lit` to 0 where a ray towards the sun meets a moving object."""
        sun = self.sky.sun
        axes = self.sky.across_sun
        across = points @ axes.T
        low, high = across.min(axis=0, initial=np.inf), across.max(axis=0, initial=-np.inf)
        for number, world_from_actor in moment.present:
            centre = world_from_actor[:3, 3].astype(np.float32)
            place, radius = axes @ centre, self._radii[number]
            if (place + radius < low).any() or (place - radius > high).any():
                continue
            off = across - place
            gap2 = np.einsum("ij,ij->i", off, off)
            rows = np.flatnonzero(gap2 < self._radii[number] ** 2)
            rows = rows[((centre - points[rows]) @ sun > -self._radii[number]) & (lit[rows] > 0)]
            if rows.size == 0:
                continue
            rotation = world_from_actor[:3, :3].astype(np.float32)
            start = (points[rows] + np.float32(0.015) * normal[rows] - centre) @ rotation
            towards = np.broadcast_to(sun @ rotation, start.shape)
            lit[rows[self._actor_tracers[number].blocked(start, towards)]] = 0.0

    def _on_movers(
        self, triangle: np.ndarray, moment: Moment
    ) -> Iterator[tuple[np.ndarray, int, Float64[np.ndarray, "4 4"]]]:
        """Rows of `triangle` that lie on each moving object, the object and its pose."""
        rows = np.flatnonzero(triangle >= self._first[1])
        if rows.size == 0:
            return
        owner = np.searchsorted(self._first, triangle[rows], side="right") - 2
        for number, world_from_actor in moment.present:
            mine = rows[owner == number]
            if mine.size:
                yield mine, number, world_from_actor

    def planes(
        self, triangle: np.ndarray, origin: np.ndarray, moment: Moment
    ) -> tuple[Float32[np.ndarray, "N 3"], Float32[np.ndarray, " N"]]:
        """Normals of triangles in world and distances of their planes from `origin`."""
        normal = self._table[triangle, _NORMAL]
        corner = self._corner[triangle]
        offset = np.einsum("ij,ij->i", normal, corner - origin.astype(np.float32))
        for rows, _, world_from_actor in self._on_movers(triangle, moment):
            rotation = world_from_actor[:3, :3]
            local_origin = ((origin - world_from_actor[:3, 3]) @ rotation).astype(np.float32)
            offset[rows] = np.einsum("ij,ij->i", normal[rows], corner[rows] - local_origin)
            normal[rows] = normal[rows] @ rotation.T.astype(np.float32)
        return normal, offset


def _shading_table(meshes: list[Mesh]) -> Float32[np.ndarray, "T 15"]:
    """Texture coordinates as an affine map of the point, normal, colour and texture of every triangle."""
    corners = np.concatenate([m.triangles for m in meshes]).astype(np.float64)
    uv = np.concatenate([m.uv for m in meshes]).astype(np.float64)
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    normal = np.cross(a, b)
    area = np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    normal /= area
    # Rows that take a point on the triangle to (weight of b, weight of c): the dual basis of a and b.
    weight_b, weight_c = np.cross(b, normal) / area, np.cross(normal, a) / area
    to_b, to_c = uv[:, 1] - uv[:, 0], uv[:, 2] - uv[:, 0]
    uv_from_point = to_b[:, :, None] * weight_b[:, None, :] + to_c[:, :, None] * weight_c[:, None, :]
    offset = uv[:, 0] - np.einsum("nij,nj->ni", uv_from_point, corners[:, 0])
    colour = np.concatenate([m.colour for m in meshes])
    tile = np.concatenate([m.tile for m in meshes])[:, None]
    table = [uv_from_point.reshape(-1, 6), offset, normal, colour, tile]
    return np.concatenate(table, axis=1).astype(np.float32)
