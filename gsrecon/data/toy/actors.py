"""Objects with boxes: parked cars, driving cars, pedestrians, and where they are at any time."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64

from gsrecon.data.toy.cars import add_car
from gsrecon.data.toy.config import ToyConfig
from gsrecon.data.toy.ground import KERB_HEIGHT_M, KERB_M
from gsrecon.data.toy.mesh import Mesh, MeshBuilder
from gsrecon.data.toy.path import LANE_CENTRE_M, Street
from gsrecon.data.toy.people import add_pedestrian

_PARKING_M = 4.75
_CAR_PITCH_M = 6.5
_LEAD_M = 28.0
_GAP_M = 15.0


@dataclass(frozen=True)
class Actor:
    """One annotated object. Its mesh is in the actor frame: the origin is the centre of its box."""

    id: str
    category: str
    size_lwh: Float64[np.ndarray, " 3"]
    """Extent of the mesh along x, y, z [m]: the box is exact."""
    mesh: Mesh
    world_from_actor: Callable[[float], Float64[np.ndarray, "4 4"]]
    """Pose at a time [s] from the start of the drive."""
    present_s: tuple[float, float] = (-np.inf, np.inf)
    """When the object is on the street; outside this it does not exist."""
    moving: bool = False


def park_cars(
    builder: MeshBuilder, street: Street, config: ToyConfig, rng: np.random.Generator, crossing_s: float
) -> tuple[Actor, ...]:
    """Parks cars at both kerbs, adds them to the static mesh and returns them as actors."""
    bays = [
        (float(s), side)
        for s in np.arange(street.start_m + 6.25, street.end_m - 8.0, _CAR_PITCH_M)
        for side in (-1, 1)
        if abs(s - crossing_s) > 7.0
    ]
    in_view = [bay for bay in bays if -2.0 < bay[0] < config.length_m + 25.0]
    others = [bay for bay in bays if bay not in in_view]
    order = [in_view[i] for i in rng.permutation(len(in_view))]
    order += [others[i] for i in rng.permutation(len(others))]
    actors = []
    for number, (s, side) in enumerate(sorted(order[: config.parked_cars])):
        turn = (0.0 if side < 0 else np.pi) + rng.normal(0, 0.015)
        world_from_ground = street.frame(
            s + rng.uniform(-0.3, 0.3), side * (_PARKING_M + rng.uniform(-0.1, 0.1)), turn
        )
        actor, actor_from_ground = _make(
            f"parked-{number}", "car", np.random.default_rng([config.seed, 50, number]), number + 1
        )
        world_from_actor = world_from_ground @ np.linalg.inv(actor_from_ground)
        _append(builder, actor.mesh, world_from_actor, number + 1)
        actors.append(replace(actor, world_from_actor=lambda _, pose=world_from_actor: pose))
    return tuple(actors)


def make_moving_actors(street: Street, config: ToyConfig, first: int, crossing_s: float) -> tuple[Actor, ...]:
    """Driving cars and walking people, their instance numbers counting on from `first`."""
    rng = np.random.default_rng([config.seed, 6])
    actors: list[Actor] = []
    duration = config.length_m / config.speed_mps
    # One speed a lane: nobody drives through anybody.
    towards_speed, ahead_speed = -rng.uniform(6.0, 9.0), config.speed_mps * rng.uniform(0.99, 1.03)
    last_s = -np.inf
    for i in range(config.moving_cars):
        oncoming = i % 2 == 0
        if oncoming:
            meet = duration * (i // 2 + 0.6) / ((config.moving_cars + 1) // 2)
            s0 = max((config.speed_mps - towards_speed) * meet, last_s + _GAP_M)
            last_s = s0
        else:
            s0 = _LEAD_M + _GAP_M * (i // 2) + rng.uniform(0, 3)
        speed = towards_speed if oncoming else ahead_speed
        lateral = LANE_CENTRE_M if oncoming else -LANE_CENTRE_M
        actors.append(
            _mover(street, config, "car", f"car-{i}", first + len(actors) + 1, _Walk(s0, speed, lateral))
        )
    for i in range(config.pedestrians):
        if i == 0:
            walk = _Walk(crossing_s + rng.uniform(-0.6, 0.6), 0.0, 2.0, -1.3)
        else:
            side = 1 if i % 2 else -1
            lateral = side * (KERB_M + rng.uniform(1.9, 2.9))
            speed = float(rng.choice([-1, 1])) * rng.uniform(0.9, 1.6)
            s0 = rng.uniform(4.0, config.length_m + 15.0) - speed * 0.5 * duration
            walk = _Walk(s0, speed, lateral)
        actors.append(_mover(street, config, "pedestrian", f"pedestrian-{i}", first + len(actors) + 1, walk))
    return tuple(actors)


@dataclass(frozen=True)
class _Walk:
    """Straight movement along the street's own coordinates: s [m], lateral [m] and their speeds [m/s]."""

    s0: float
    speed: float
    lateral0: float
    lateral_speed: float = 0.0


def _mover(street: Street, config: ToyConfig, category: str, name: str, instance: int, walk: _Walk) -> Actor:
    actor, actor_from_ground = _make(
        name, category, np.random.default_rng([config.seed, 60, instance]), instance
    )
    ground_from_actor = np.linalg.inv(actor_from_ground)

    def world_from_actor(time_s: float) -> Float64[np.ndarray, "4 4"]:
        s, lateral = walk.s0 + walk.speed * time_s, walk.lateral0 + walk.lateral_speed * time_s
        turn = float(np.arctan2(walk.lateral_speed, walk.speed))
        z = KERB_HEIGHT_M * float(np.clip((abs(lateral) - KERB_M + 0.2) / 0.4, 0, 1))
        return street.frame(s, lateral, turn, z) @ ground_from_actor

    low, high = street.start_m + 3.0, street.end_m - 3.0
    present = (-np.inf, np.inf)
    if walk.speed != 0:
        present = tuple(sorted(((low - walk.s0) / walk.speed, (high - walk.s0) / walk.speed)))
    if walk.lateral_speed != 0:
        reach = KERB_M + 2.6
        ends = sorted((side * reach - walk.lateral0) / walk.lateral_speed for side in (-1, 1))
        present = (max(present[0], ends[0]), min(present[1], ends[1]))
    return replace(actor, world_from_actor=world_from_actor, present_s=present, moving=True)


def _make(
    name: str, category: str, rng: np.random.Generator, instance: int
) -> tuple[Actor, Float64[np.ndarray, "4 4"]]:
    """An actor around its box centre, and `actor_from_ground` of the frame it was built in."""
    builder = MeshBuilder()
    builder.instance = instance
    (add_car if category == "car" else add_pedestrian)(builder, rng)
    mesh = builder.build()
    corners = mesh.triangles.reshape(-1, 3).astype(np.float64)
    low, high = corners.min(axis=0), corners.max(axis=0)
    actor_from_ground = np.eye(4)
    actor_from_ground[:3, 3] = -0.5 * (low + high)
    centred = (mesh.triangles + actor_from_ground[:3, 3]).astype(np.float32)
    actor = Actor(name, category, high - low, replace(mesh, triangles=centred), lambda _: np.eye(4))
    return actor, actor_from_ground


def _append(builder: MeshBuilder, mesh: Mesh, world_from_mesh: np.ndarray, instance: int) -> None:
    builder.frame = world_from_mesh
    builder.instance = instance
    if len(mesh):
        builder.semantic = int(mesh.semantic[0])
        # One colour and tile a call: runs of equal tile go in together.
        for tile in np.unique(mesh.tile):
            rows = mesh.tile == tile
            builder.triangles(
                mesh.triangles[rows].astype(np.float64),
                mesh.uv[rows].astype(np.float64),
                int(tile),
                mesh.colour[rows],
                mesh.group[rows].astype(np.int64),
            )
    builder.frame = np.eye(4)
    builder.instance = 0
