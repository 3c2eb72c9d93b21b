"""What lidar sweeps say about whether something is at a place at a time: they hit it, or shine through it.

A place on something that stands is hit by nearly every sweep that looks there. Where a thing passed by, most
sweeps shine through. No annotation is needed to see the difference.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

from gsrecon.data.log import DrivingLog, LidarSweep

_COLUMNS, _ROW_RAD, _LOWEST_RAD, _ROWS = 720, 0.012, -0.6, 96
"""Pixels of a sweep's range picture: 0.5 deg wide, 0.7 deg high, from -34 deg to +32 deg."""
_FARTHEST_M = 80.0
"""Beams are too far apart to say anything beyond this [m]."""
_MOST_SWEEPS = 160
"""As many sweeps, spread over the drive, are asked about every place."""


@dataclass(frozen=True)
class Evidence:
    """Answers of some sweeps about some places."""

    hits: Bool[Tensor, "S N"]
    """The sweep met something at the place."""
    passes: Bool[Tensor, "S N"]
    """The sweep saw farther all around the place; neither where it could not see it."""
    times_s: Float[Tensor, " S"]

    @property
    def transient(self) -> Bool[Tensor, " N"]:
        """Places that were free for most of the times at which anything is known about them."""
        hits, passes = self.hits.sum(dim=0), self.passes.sum(dim=0)
        return (hits >= 1) & (passes >= 3) & (passes > 2 * hits)

    def presence(
        self, points: Float[Tensor, "N 3"], most: int, generator: torch.Generator
    ) -> Float[Tensor, "E 8"]:
        """Where and when something was at the transient places, and as often where nothing was.

        Args:
            points: The places [m].
            most: At most this many rows.
            generator: Chooses among more.

        Returns:
            Place [m], time [s], 1 where something was and 0 where nothing was, and three times NaN: nobody
            knows where it went.
        """
        parts, transient = [], self.transient
        for answers, value in ((self.hits, 1.0), (self.passes, 0.0)):
            sweep, place = (answers & transient).nonzero(as_tuple=True)
            if len(place) > most // 2:
                chosen = torch.randint(len(place), (most // 2,), generator=generator)
                sweep, place = sweep[chosen], place[chosen]
            told = torch.full((len(place), 1), value)
            unknown = torch.full((len(place), 3), torch.nan)
            parts.append(torch.cat([points[place], self.times_s[sweep, None], told, unknown], dim=1))
        return torch.cat(parts)


class RangePicture:
    """How far one sweep saw in every direction."""

    def __init__(self, distances: Float[Tensor, "R C"], lidar_from_world: Float64[Tensor, "4 4"]) -> None:
        self._distances = distances
        self._lidar_from_world = lidar_from_world

    @staticmethod
    def of(log: DrivingLog, sweep: LidarSweep) -> "RangePicture":
        """Nearest distance in each pixel [m], infinite where nothing came back, with a border."""
        points = log.points(sweep)
        pixel, distance = _pixels(torch.from_numpy(np.ascontiguousarray(points[:, :3])).float())
        kept = pixel >= 0
        picture = torch.full((_ROWS * _COLUMNS,), torch.inf)
        picture.scatter_reduce_(0, pixel[kept], distance[kept], reduce="amin")
        picture = picture.reshape(_ROWS, _COLUMNS)
        wrapped = torch.cat([picture[:, -1:], picture, picture[:, :1]], dim=1)
        bordered = torch.nn.functional.pad(wrapped, (0, 0, 1, 1), value=torch.inf)
        return RangePicture(bordered, torch.from_numpy(np.linalg.inv(sweep.world_from_lidar)))

    def look(self, points_in_world: Float[Tensor, "N 3"]) -> tuple[Bool[Tensor, " N"], Bool[Tensor, " N"]]:
        """Whether something was met at each place, and whether the sweep saw farther all around it."""
        motion = self._lidar_from_world
        in_lidar = points_in_world.double() @ motion[:3, :3].T + motion[:3, 3]
        pixel, distance = _pixels(in_lidar.float())
        rows = ((distance < _FARTHEST_M) & (pixel >= 0)).nonzero()[:, 0]
        row, column = pixel[rows] // _COLUMNS, pixel[rows] % _COLUMNS
        around = torch.stack(
            [self._distances[row + r, column + c] for r in range(3) for c in range(3)], dim=1
        )
        there = distance[rows, None]
        tolerance = 0.3 + 0.02 * there
        hits, passes = torch.zeros(2, len(points_in_world), dtype=torch.bool)
        hits[rows] = ((around - there).abs() < tolerance).any(dim=1)
        # Pixels without a return are infinite: a window with too few returns says nothing.
        seen = around.isfinite().sum(dim=1) >= 3
        passes[rows] = seen & (around > there + tolerance).all(dim=1)
        return hits, passes


def gather_evidence(log: DrivingLog, points_in_world: Float[Tensor, "N 3"]) -> Evidence:
    """Asks sweeps spread over the drive about places [m]."""
    sweeps = _spread(log.sweeps)
    answers = [RangePicture.of(log, sweep).look(points_in_world) for sweep in sweeps]
    times = torch.tensor([log.time_s(sweep.timestamp_us) for sweep in sweeps])
    return Evidence(torch.stack([hit for hit, _ in answers]), torch.stack([p for _, p in answers]), times)


def _spread(sweeps: Sequence[LidarSweep]) -> list[LidarSweep]:
    step = max(1, -(-len(sweeps) // _MOST_SWEEPS))
    return list(sweeps[::step])


def _pixels(in_lidar: Float[Tensor, "N 3"]) -> tuple[Int64[Tensor, " N"], Float[Tensor, " N"]]:
    """Flat pixel in the range picture, -1 outside, and the distance [m]."""
    distance = in_lidar.norm(dim=1).clamp_min(1e-6)
    turn = torch.atan2(in_lidar[:, 1], in_lidar[:, 0]) / (2 * torch.pi)
    column = (turn * _COLUMNS).floor().long() % _COLUMNS
    row = ((torch.asin(in_lidar[:, 2] / distance) - _LOWEST_RAD) / _ROW_RAD).floor().long()
    inside = (row >= 0) & (row < _ROWS)
    return torch.where(inside, row * _COLUMNS + column, -1), distance
