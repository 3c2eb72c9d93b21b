"""The whole street: ground, houses, trees, furniture, parked cars; and everything that moves on it."""

from dataclasses import dataclass

import numpy as np

from gsrecon.data.toy.actors import Actor, make_moving_actors, park_cars
from gsrecon.data.toy.buildings import add_building
from gsrecon.data.toy.config import ToyConfig
from gsrecon.data.toy.furniture import add_bench, add_bin, add_bollard, add_lamp, add_sign
from gsrecon.data.toy.ground import FRONT_M, KERB_HEIGHT_M, KERB_M, add_ground
from gsrecon.data.toy.mesh import Mesh, MeshBuilder
from gsrecon.data.toy.path import Street
from gsrecon.data.toy.plants import add_hedge, add_tree
from gsrecon.data.toy.textures import FACADES


@dataclass(frozen=True)
class Scenery:
    """What stands still as one mesh in world, and every object with its box."""

    static: Mesh
    """World frame; parked cars included, with their instance numbers."""
    actors: tuple[Actor, ...]
    """All objects, parked ones first; instance numbers count from 1 in this order."""


def build_scenery(config: ToyConfig, street: Street) -> Scenery:
    """Lays the street out; everything follows from the seed."""
    builder = MeshBuilder()
    crossing_s = min(42.0, 0.5 * street.end_m)
    add_ground(builder, street, np.random.default_rng([config.seed, 2]), crossing_s)
    _add_houses(builder, street, np.random.default_rng([config.seed, 3]))
    _add_kerbside(builder, street, np.random.default_rng([config.seed, 4]), config.trees, crossing_s)
    parked = park_cars(builder, street, config, np.random.default_rng([config.seed, 5]), crossing_s)
    moving = make_moving_actors(street, config, len(parked), crossing_s)
    return Scenery(static=builder.build(), actors=(*parked, *moving))


def _add_houses(builder: MeshBuilder, street: Street, rng: np.random.Generator) -> None:
    facade = int(rng.integers(FACADES))
    for side in (-1, 1):
        s = street.start_m - 5
        while s < street.end_m:
            width = 2.4 * float(rng.integers(3, 7))
            if s + width > street.end_m + 1:
                break
            floors = int(rng.integers(2, 5))
            setback = float(rng.choice([0.0, 0.0, 0.35, 1.6]))
            turn = 0.0 if side > 0 else np.pi
            builder.frame = street.frame(s + 0.5 * width, side * (FRONT_M + setback), turn, KERB_HEIGHT_M)
            add_building(builder, rng, width, floors, facade)
            if setback > 1:
                builder.frame = street.frame(s + 0.5 * width, side * (FRONT_M + 0.4), turn, KERB_HEIGHT_M)
                for half in (-1, 1):
                    hedge = 0.5 * width - 1.2
                    builder.frame = street.frame(
                        s + 0.5 * width + half * (0.25 * width + 0.3),
                        side * (FRONT_M + 0.4),
                        turn,
                        KERB_HEIGHT_M,
                    )
                    add_hedge(builder, rng, hedge)
            facade += 1 + int(rng.integers(2))
            s += width + float(rng.choice([0.0, 0.0, 0.0, 2.2]))
    for place, turn in ((street.end_m + 15.0, -np.pi / 2), (street.start_m - 12.0, np.pi / 2)):
        lateral = -42.0
        while lateral < 42.0:
            width = 2.4 * float(rng.integers(4, 7))
            builder.frame = street.frame(place, lateral + 0.5 * width, turn, KERB_HEIGHT_M)
            add_building(builder, rng, width, int(rng.integers(3, 5)), facade)
            facade += 1 + int(rng.integers(2))
            lateral += width
    builder.frame = np.eye(4)


def _add_kerbside(
    builder: MeshBuilder, street: Street, rng: np.random.Generator, trees: bool, crossing_s: float
) -> None:
    """Trees, lamps and furniture in the strip between kerb and pavement."""
    for side in (-1, 1):
        turn = np.pi if side > 0 else 0.0
        s = street.start_m + rng.uniform(2, 8)
        turn_of = 0
        while s < street.end_m - 3:
            place = (float(s), side * (KERB_M + 0.95))
            near = (float(s), side * (KERB_M + 0.6))
            if abs(s - crossing_s) < 3.5:
                s += 3.5
                continue
            builder.frame = street.frame(*place, turn=rng.uniform(0, 6), z=KERB_HEIGHT_M)
            kind = turn_of % 4
            if kind in (0, 2) and trees:
                add_tree(builder, rng)
            elif kind == 1:
                builder.frame = street.frame(*near, turn=turn, z=KERB_HEIGHT_M)
                add_lamp(builder)
            elif kind == 3:
                pick = int(rng.integers(3))
                builder.frame = street.frame(
                    *near, turn=turn if pick else (0.0 if side < 0 else np.pi), z=KERB_HEIGHT_M
                )
                if pick == 0:
                    add_sign(builder, rng)
                elif pick == 1:
                    add_bin(builder)
                else:
                    builder.frame = street.frame(*place, turn=0.0 if side < 0 else np.pi, z=KERB_HEIGHT_M)
                    add_bench(builder)
            turn_of += 1
            s += rng.uniform(4.0, 6.5)
        for offset in (-2.6, 2.6):
            builder.frame = street.frame(crossing_s + offset, side * (KERB_M + 0.5), z=KERB_HEIGHT_M)
            add_bollard(builder)
        builder.frame = street.frame(
            crossing_s - 3.4, side * (KERB_M + 0.6), turn=0.0 if side < 0 else np.pi, z=KERB_HEIGHT_M
        )
        add_sign(builder, rng)
    builder.frame = np.eye(4)
