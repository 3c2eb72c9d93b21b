"""What a run does about things that move: the choices."""

from dataclasses import dataclass, field

from gsrecon.scene.deformation_config import DeformationConfig
from gsrecon.scene.deformation_schedule import DeformationSchedule


@dataclass(frozen=True)
class ActorsConfig:
    """How annotated objects become Gaussians in their boxes."""

    cap: int = 60_000
    """All objects together have never more Gaussians than this."""
    lidar_voxel_m: float = 0.05
    """One lidar point a voxel of this edge, in the box's frame [m]."""
    most_points: int = 4000
    """At most this many lidar points an object."""
    shell_points: int = 300
    """Points on a box's sides and top, where no lidar point is near."""
    shade_points: int = 200
    """Points on the ground under a moving box: its shadow goes along, but is no part of it."""
    mirror: bool = True
    """Rigid objects also get their points mirrored across their length: the side nobody saw."""
    padding_s: float = 0.06
    """Objects are there for this much longer than they are annotated, on both sides [s]."""
    standing_m: float = 0.5
    """An object that never moves farther than this is parked, and there all the time [m]."""
    knot_interval_s: float = 0.5
    """Corrections of trajectories have knots about this far apart [s]."""
    deforming: tuple[str, ...] = (
        "pedestrian",
        "person",
        "people",
        "human",
        "cyclist",
        "rider",
        "bicycle",
        "motorcycle",
        "animal",
    )
    """Objects whose category holds one of these words are not rigid."""

    @property
    def padding_us(self) -> int:
        """`padding_s` [us]."""
        return round(1e6 * self.padding_s)


@dataclass(frozen=True)
class NoDynamics:
    """Everything stands still."""


@dataclass(frozen=True)
class DeformationDynamics:
    """EGSRAL's field: what moves is found out, no boxes are needed."""

    background: DeformationConfig = field(default_factory=DeformationConfig)
    """Deformation of the whole scene."""


@dataclass(frozen=True)
class ActorDynamics:
    """Annotated objects are rigid and move with their boxes; everything else stands still."""

    actors: ActorsConfig = field(default_factory=ActorsConfig)
    """How objects are set up."""


@dataclass(frozen=True)
class ActorAndDeformationDynamics:
    """Annotated objects move with their boxes, people deform inside theirs, and the field does the rest."""

    actors: ActorsConfig = field(default_factory=ActorsConfig)
    """How objects are set up."""
    inside: DeformationConfig = field(
        default_factory=lambda: DeformationConfig(
            first_state=0.5,
            largest_share=1.0,
            shortest_period_m=0.5,
            largest_motion_m=0.4,
            schedule=DeformationSchedule(warm_up=0.1, discovery=0.3),
        )
    )
    """Deformation inside the boxes of objects that are not rigid."""
    background: DeformationConfig = field(default_factory=DeformationConfig)
    """Deformation of what has no box."""


DynamicsConfig = NoDynamics | DeformationDynamics | ActorDynamics | ActorAndDeformationDynamics
"""The dynamics a user can choose from."""


def actors_of(dynamics: DynamicsConfig) -> ActorsConfig | None:
    """How annotated objects are set up; None where none is modelled."""
    return dynamics.actors if isinstance(dynamics, ActorDynamics | ActorAndDeformationDynamics) else None


def field_of(dynamics: DynamicsConfig) -> DeformationConfig | None:
    """Deformation of what has no box; None where it stands still."""
    wanted = isinstance(dynamics, DeformationDynamics | ActorAndDeformationDynamics)
    return dynamics.background if wanted else None


def inside_of(dynamics: DynamicsConfig) -> DeformationConfig | None:
    """Deformation inside the boxes of objects that are not rigid; None where all are."""
    return dynamics.inside if isinstance(dynamics, ActorAndDeformationDynamics) else None
