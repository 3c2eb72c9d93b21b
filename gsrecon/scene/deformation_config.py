"""Settings of a deformation, and the extent that its networks see."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jaxtyping import Float
from torch import Tensor

from gsrecon.gaussians.schedule import Rounds
from gsrecon.scene.deformation_schedule import DeformationSchedule
from gsrecon.scene.encoding import octaves_down_to


@dataclass(frozen=True)
class DeformationConfig:
    """Networks and limits of a deformation."""

    layers: int = 3
    """Hidden layers of the trunk; the paper's has 8."""
    width: int = 96
    """Width of the trunk; the paper's is 256."""
    motion: bool = True
    """Deformation net: move, turn and stretch."""
    enhancement: bool = True
    """DEM: scale the deformation and modulate the opacity over time."""
    opacity_enhancement: bool = True
    """OEM: correct the canonical opacity of what moves."""
    threshold: float = 0.1
    """tau: the networks run on Gaussians whose state is above this."""
    first_state: float = 0.1
    """State of every Gaussian at first, unless more is known."""
    lidar_state: float = 0.9
    """First state where lidar sweeps say that something was there for a while only."""
    lidar_evidence: int = 60_000
    """At most this many of their answers guide the DEM; 0 does without lidar."""
    largest_share: float = 0.15
    """At most this share of the Gaussians is dynamic after the discovery; the highest states win."""
    most_sampled: int = 2000
    """At most this many of the static Gaussians that a picture sees are tried in a step."""
    shortest_period_m: float = 4.0
    """Period of the highest frequency of positions [m]."""
    shortest_period_s: float = 1.0
    """Period of the highest frequency of times [s]."""
    largest_motion_m: float = 3.0
    """Bound on each coordinate of dx, approached smoothly [m]."""
    schedule: DeformationSchedule = field(default_factory=DeformationSchedule)
    """When the networks run on more than what is dynamic."""

    def __post_init__(self) -> None:
        for name in ("layers", "width"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected at least 1, got {getattr(self, name)}")
        for name in ("threshold", "first_state"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name}: expected 0 to below 1, got {getattr(self, name)}")
        if not 0 < self.largest_share <= 1:
            raise ValueError(f"largest_share: expected above 0 and at most 1, got {self.largest_share}")


@dataclass(frozen=True)
class Extent:
    """What positions and times are scaled by before they are encoded."""

    centre: tuple[float, float, float]
    """Becomes the origin [m]."""
    half_size_m: float
    """Becomes 1 [m]."""
    start_s: float
    stop_s: float
    """Time from the start of the log that becomes -1, and 1 [s]."""
    interval_s: float
    """Time between two pictures of one camera [s]."""

    @staticmethod
    def around(points: Float[Tensor, "N 3"], times_s: list[float], interval_s: float) -> "Extent":
        """The middle and the half size of where most of the points are, and the span of the times."""
        at_most = points[:: max(1, len(points) // 100_000)].double()
        low, high = at_most.quantile(0.02, dim=0), at_most.quantile(0.98, dim=0)
        x, y, z = (0.5 * (low + high)).tolist()
        half = max(1.0, float((high - low).amax()) / 2)
        start, stop = min(times_s), max(times_s)
        return Extent((x, y, z), half, start, max(stop, start + 1e-3), interval_s)

    def octaves(self, config: DeformationConfig) -> tuple[int, int]:
        """Frequencies of positions and of times, down to the wanted periods."""
        space = octaves_down_to(config.shortest_period_m, self.half_size_m)
        return space, octaves_down_to(config.shortest_period_s, 0.5 * (self.stop_s - self.start_s))


def config_from_json(stored: Mapping[str, Any]) -> DeformationConfig:
    """The settings that `asdict` made JSON values of."""
    schedule = {**stored["schedule"], "revivals": Rounds(**stored["schedule"]["revivals"])}
    return DeformationConfig(**{**stored, "schedule": DeformationSchedule(**schedule)})
