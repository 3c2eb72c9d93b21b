"""What a set of pictures can see, each taken for the cone around it."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

from gsrecon.ops.settings import SUPPORT_SIGMAS
from gsrecon.scene.rays import directions_in_cam
from gsrecon.scene.recording import RecordedCamera, RecordedFrame, Recording
from gsrecon.scene.render import camera_at

_SLACK_M = 3.0
"""Cones are this much wider all around: poses are refined, novel views look from beside the path, and
pictures nearer to each other than `_SPACING_M` stand for one another."""
_SPACING_M = 1.0
_SPACING_RAD = 0.05

_PICTURES_AT_ONCE = 12

_MOST_PAIRS = 1 << 17
"""Pairs of point and picture that are looked at at once."""


@dataclass(frozen=True)
class Sight:
    """Cones of F pictures in world."""

    centres: Float64[Tensor, "F 3"]
    axes: Float64[Tensor, "F 3"]
    half_angles: Float64[Tensor, " F"]
    """Between the optical axis and the farthest corner [rad]."""

    @staticmethod
    def of(recording: Recording, frames: Sequence[RecordedFrame]) -> "Sight":
        """The cones of some frames; of those that stand close together one is kept."""
        widths = {name: half_angle(camera) for name, camera in recording.cameras.items()}
        last: dict[str, np.ndarray] = {}
        kept = []
        for frame in frames:
            if frame.camera in last and _close(last[frame.camera], frame.world_from_cam):
                continue
            last[frame.camera] = frame.world_from_cam
            kept.append(frame)
        poses = torch.from_numpy(np.stack([frame.world_from_cam for frame in kept])).double()
        angles = torch.tensor([widths[frame.camera] for frame in kept], dtype=torch.float64)
        return Sight(poses[:, :3, 3], poses[:, :3, 2], angles)

    def nearest(
        self, points: Float[Tensor, "N 3"], radii: Float[Tensor, " N"], limit_m: float = torch.inf
    ) -> Float64[Tensor, " N"]:
        """Distance of each ball from the nearest picture that may see a part of it [m]; infinite for none.

        Args:
            points: Centres in world [m].
            radii: Radii [m].
            limit_m: Distances beyond it need not be known.
        """
        nearest = torch.full((len(points),), torch.inf, dtype=torch.float64)
        for rows, sees, distance in self._pairs(points, radii, limit_m):
            nearest[rows] = torch.where(sees, distance, torch.inf).amin(dim=1)
        return nearest

    def reaches(
        self, points: Float[Tensor, "N 3"], radii: Float[Tensor, " N"], limit_m: float
    ) -> Bool[Tensor, " N"]:
        """Balls of which some picture within a limit may see a part: `nearest` <= limit, in less time."""
        reached = torch.zeros(len(points), dtype=torch.bool)
        parts = max(1, len(self.centres) // _PICTURES_AT_ONCE)
        for first in range(parts):
            # Pictures far apart first: most of what is seen at all is found by a few of them.
            some = slice(first, None, parts)
            part = Sight(self.centres[some], self.axes[some], self.half_angles[some])
            left = (~reached).nonzero()[:, 0]
            reached[left] = part.nearest(points[left], radii[left], limit_m) <= limit_m
        return reached

    def solid_angles(self, points: Float[Tensor, "N 3"], limit_m: float) -> Float64[Tensor, " N"]:
        """Sum of 1 / distance^2 over the pictures that see a point within a limit [1/m^2]."""
        total = torch.zeros(len(points), dtype=torch.float64)
        for rows, sees, distance in self._pairs(points, torch.zeros(len(points)), limit_m, slack_m=0.0):
            shown = sees & (distance <= limit_m)
            total[rows] = (shown / distance.clamp_min(1.0).square()).sum(dim=1)
        return total

    def _pairs(
        self, points: Tensor, radii: Tensor, limit_m: float, slack_m: float = _SLACK_M
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """For rows that can be within the limit of any picture: which see them, and how far they are."""
        points = points.detach().double()
        low, high = self.centres.amin(dim=0) - limit_m, self.centres.amax(dim=0) + limit_m
        rows = ((points >= low) & (points <= high)).all(dim=1).nonzero()[:, 0]
        origin = self.centres.mean(dim=0)
        for part in rows.split(max(1, _MOST_PAIRS // len(self.centres))):
            yield part, *self._seen(points[part], radii[part].double() + slack_m, origin)

    def _seen(
        self, points: Float64[Tensor, "n 3"], radii: Float64[Tensor, " n"], origin: Float64[Tensor, " 3"]
    ) -> tuple[Bool[Tensor, "n F"], Float64[Tensor, "n F"]]:
        # Around a near origin, so that squares lose nothing.
        p, c = points - origin, self.centres - origin
        along = p @ self.axes.T - (c * self.axes).sum(dim=1)
        squared = p.square().sum(dim=1)[:, None] - 2 * p @ c.T + c.square().sum(dim=1)
        distance = squared.clamp_min(0).sqrt()
        across = (squared - along.square()).clamp_min(0).sqrt()
        cosine, sine = self.half_angles.cos(), self.half_angles.sin()
        # Signed distance from the cone's surface, where its foot lies ahead of the tip.
        outside = across * cosine - along * sine
        beside = (outside <= radii[:, None]) & (along * cosine + across * sine >= 0)
        wide = self.half_angles >= 0.5 * torch.pi
        return beside | wide | (distance <= radii[:, None]), distance


def support_radii(scales: Float[Tensor, "N 3"]) -> Float[Tensor, " N"]:
    """How far from its centre a Gaussian of opacity 1 still shows [m]."""
    return SUPPORT_SIGMAS * scales.detach().amax(dim=1)


def half_angle(camera: RecordedCamera) -> float:
    """Between the optical axis and the farthest place of the picture's edge [rad]."""
    lens = camera_at(camera, torch.eye(4, dtype=torch.float64))
    x, y = torch.linspace(0, camera.width, 33), torch.linspace(0, camera.height, 33)
    edge_x = torch.cat([x, x, torch.zeros(33), torch.full((33,), float(camera.width))])
    edge_y = torch.cat([torch.zeros(33), torch.full((33,), float(camera.height)), y, y])
    rays = directions_in_cam(lens, 0, edge_x, edge_y)
    return float(torch.acos((rays[:, 2] / rays.norm(dim=1)).clamp(-1, 1)).max())


def _close(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two poses of one camera are nearly the same."""
    apart = float(np.linalg.norm(a[:3, 3] - b[:3, 3]))
    cosine = float(np.dot(a[:3, 2], b[:3, 2]))
    return apart < _SPACING_M and cosine > math.cos(_SPACING_RAD)
