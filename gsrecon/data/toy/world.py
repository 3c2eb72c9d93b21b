"""The toy world at work: what rays meet at a time, and what light comes back along them."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int32

from gsrecon.data.toy.actors import Actor
from gsrecon.data.toy.config import ToyConfig
from gsrecon.data.toy.mesh import Mesh
from gsrecon.data.toy.path import Street
from gsrecon.data.toy.scenery import Scenery, build_scenery
from gsrecon.data.toy.sky import GROUND_LIGHT, SKY_LIGHT, SUN_COLOUR, Sky
from gsrecon.data.toy.sunlight import SunGrid
from gsrecon.data.toy.textures import Atlas
from gsrecon.data.toy.tracer import TriangleTracer

_CHUNK = 1 << 16


@dataclass(frozen=True)
class _Surface:
    """Per triangle what shading needs; static triangles first, then every actor's own."""

    normal: Float32[np.ndarray, "T 3"]
    corner: Float32[np.ndarray, "T 3"]
    uv_from_point: Float32[np.ndarray, "T 2 3"]
    uv_at_corner: Float32[np.ndarray, "T 2"]


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

    def __init__(self, config: ToyConfig, threads: int = 1) -> None:
        self.config = config
        self.street = Street(config)
        self.scenery: Scenery = build_scenery(config, self.street)
        self.movers: tuple[Actor, ...] = tuple(a for a in self.scenery.actors if a.moving)
        self.sky = Sky(config.seed)
        self.atlas = Atlas(config.seed, size=512 if config.focal_px < 500 else 1024)
        self._tracer = TriangleTracer(self.scenery.static.triangles)
        self._actor_tracers = [TriangleTracer(a.mesh.triangles) for a in self.movers]
        self._radii = [0.5 * float(np.linalg.norm(a.size_lwh)) + 0.05 for a in self.movers]
        meshes = [self.scenery.static, *(a.mesh for a in self.movers)]
        self._first = np.cumsum([0, *map(len, meshes)]).astype(np.int32)
        self._surface = _surfaces(meshes)
        self.tile = np.concatenate([m.tile for m in meshes])
        self.colour = np.concatenate([m.colour for m in meshes])
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
            sides = [self.street.point(s, np.array(side), z) for side in (-14, 14) for z in (0.0, 8.0)]
            self._sun_grid = SunGrid(self._tracer, self.sky.sun, np.concatenate(sides).astype(np.float32), threads)

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
            hit, reach = self._actor_tracers[number].first_hit(np.broadcast_to(local_origin, local.shape), local)
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
        normal, offset = self._planes(triangle, origin, moment)
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
        surface = self._surface
        normal = surface.normal[triangle]
        points = origin.astype(np.float32) + distance[:, None] * directions
        local = points
        for number, world_from_actor in moment.present:
            first, last = self._first[number + 1], self._first[number + 2]
            rows = np.flatnonzero((triangle >= first) & (triangle < last))
            if rows.size:
                local = local.copy() if local is points else local
                rotation = world_from_actor[:3, :3].astype(np.float32)
                local[rows] = (points[rows] - world_from_actor[:3, 3].astype(np.float32)) @ rotation
                normal[rows] = normal[rows] @ rotation.T
        uv = np.einsum("nij,nj->ni", surface.uv_from_point[triangle], local - surface.corner[triangle])
        uv += surface.uv_at_corner[triangle]
        reach = distance * np.linalg.norm(directions, axis=1)
        facing = np.einsum("ij,ij->i", normal, directions)
        normal *= np.where(facing > 0, np.float32(-1), np.float32(1))[:, None]
        slant = np.maximum(np.abs(facing) * distance / np.maximum(reach, 1e-6), np.float32(0.02))
        footprint = distance * np.float32(pixel_angle) / np.sqrt(slant)
        albedo = self.atlas.sample(self.tile[triangle], uv, footprint) * self.colour[triangle]
        albedo *= self.atlas.macro(points)[:, None]
        light = self._light(points, normal, moment)
        return self.sky.haze(albedo * light, reach)

    def _light(self, points: np.ndarray, normal: np.ndarray, moment: Moment) -> np.ndarray:
        upward = (np.float32(0.5) + np.float32(0.5) * normal[:, 2])[:, None]
        ambient = GROUND_LIGHT + (SKY_LIGHT - GROUND_LIGHT) * upward
        # A street is a canyon: less of the sky is seen further down.
        ambient = ambient * (0.62 + 0.38 * np.clip(points[:, 2] / 9, 0, 1))[:, None].astype(np.float32)
        cosine = np.clip(normal @ self.sky.sun, 0, 1)
        if self._sun_grid is not None:
            facing = np.flatnonzero(cosine > 0)
            lit = self._sun_grid.lit(points[facing], normal[facing])
            self._shade_by_movers(points[facing], normal[facing], lit, moment)
            cosine[facing] *= lit
        return ambient + cosine[:, None] * SUN_COLOUR

    def _shade_by_movers(self, points: np.ndarray, normal: np.ndarray, lit: np.ndarray, moment: Moment) -> None:
        """Shadow rays towards the sun through the spheres of moving objects; sets `lit` to 0 where they hit."""
        sun = self.sky.sun
        for number, world_from_actor in moment.present:
            centre = world_from_actor[:3, 3].astype(np.float32) - points
            along = centre @ sun
            gap2 = np.einsum("ij,ij->i", centre, centre) - along * along
            rows = np.flatnonzero((gap2 < self._radii[number] ** 2) & (along > -self._radii[number]) & (lit > 0))
            if rows.size == 0:
                continue
            rotation = world_from_actor[:3, :3].astype(np.float32)
            start = (points[rows] + np.float32(0.015) * normal[rows] - world_from_actor[:3, 3].astype(np.float32)) @ rotation
            towards = np.broadcast_to(sun @ rotation, start.shape)
            lit[rows[self._actor_tracers[number].blocked(start, towards)]] = 0.0

    def _planes(
        self, triangle: np.ndarray, origin: np.ndarray, moment: Moment
    ) -> tuple[Float32[np.ndarray, "N 3"], Float32[np.ndarray, " N"]]:
        """Normals of triangles in world and distances of their planes from `origin`."""
        normal = self._surface.normal[triangle]
        corner = self._surface.corner[triangle]
        offset = np.einsum("ij,ij->i", normal, corner - origin.astype(np.float32))
        for number, world_from_actor in moment.present:
            first, last = self._first[number + 1], self._first[number + 2]
            rows = np.flatnonzero((triangle >= first) & (triangle < last))
            if rows.size:
                rotation = world_from_actor[:3, :3]
                local_origin = ((origin - world_from_actor[:3, 3]) @ rotation).astype(np.float32)
                offset[rows] = np.einsum("ij,ij->i", normal[rows], corner[rows] - local_origin)
                normal[rows] = normal[rows] @ rotation.T.astype(np.float32)
        return normal, offset


def _surfaces(meshes: list[Mesh]) -> _Surface:
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
    return _Surface(
        normal=normal.astype(np.float32),
        corner=corners[:, 0].astype(np.float32),
        uv_from_point=uv_from_point.astype(np.float32),
        uv_at_corner=uv[:, 0].astype(np.float32),
    )
