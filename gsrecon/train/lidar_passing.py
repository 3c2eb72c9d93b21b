"""What passed by, found in lidar sweeps without any annotation: transient clusters, followed over time.

A field over places and times can carry a thing only a few metres from where its Gaussians are at home. A
thing that drives on is therefore set down in several key moments, about its own length apart; around each of
them the Gaussians move with it, then fade, and those of the next moment take over.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

from gsrecon.data.log import DrivingLog
from gsrecon.gaussians.init import thin_to_most
from gsrecon.train.lidar_evidence import RangePicture

_ASKED = (2, 3, 5, 8, 12, 18, 26, 40, 60)
"""Sweeps this many before and after are asked whether they shine through a point."""
_CELL_M = 0.6
_FEWEST_POINTS, _FEWEST_SWEEPS = 5, 4
_FASTEST_MPS = 35.0
_LEAST_TRAVEL_M = 0.8
"""What comes less far is taken for leaves in the wind."""
_LEAST_HEIGHT_M = 0.4
"""Rings of a lidar on far ground go along with it; what is flat is taken for them."""
_FIT_S = 0.45
"""Velocities are fitted over this long before and after [s]."""
_SEARCH_MPS = 3.0
"""Velocities are refined by at most this much along the way, and a third of it across."""
_LARGEST_MISS_M = 0.4
"""Points farther than this from any other count as this far: they lie on a side that was not seen before."""
_FARTHEST_KEY_S = 0.6
_VOXEL_M, _MOST_POINTS = 0.06, 3000
"""One point a voxel, and at most so many for a thing at a key moment: networks run on every one of them."""


@dataclass(frozen=True)
class Passing:
    """Points of things in their key moments."""

    points: Float[Tensor, "N 3"]
    """In world at the key moment [m]."""
    colors: Float[Tensor, "N 3"]
    times_s: Float[Tensor, " N"]
    """The key moment of each."""
    velocities: Float[Tensor, "N 3"]
    """Around it [m/s]."""
    windows_s: Float[Tensor, "N 2"]
    """From when to when each stands for the thing [s]."""

    def select(self, rows: Bool[Tensor, " N"]) -> "Passing":
        """Some of the points."""
        columns = (self.points, self.colors, self.times_s, self.velocities, self.windows_s)
        return Passing(*(column[rows] for column in columns))

    def answers(self, overlap_s: float, count: int, generator: torch.Generator) -> Float[Tensor, "E 8"]:
        """Random moments at which the points are there, moved along, and half as many when they are not.

        Returns:
            Place [m], time [s], 1 or 0, and how far it has moved [m], NaN where it is not there.
        """
        if len(self.points) == 0:
            return torch.zeros(0, 8)
        rows = torch.randint(len(self.points), (count,), generator=generator)
        places, start, stop = self.points[rows], *self.windows_s[rows].unbind(1)
        share = torch.rand(count, generator=generator)
        inside = start - overlap_s + share * (stop - start + 2 * overlap_s)
        moved = self.velocities[rows] * (inside - self.times_s[rows])[:, None]
        there = torch.cat([places, inside[:, None], torch.ones(count, 1), moved], dim=1)
        away = overlap_s * (2 + 8 * share**2)
        outside = torch.where(torch.rand(count, generator=generator) < 0.5, start - away, stop + away)
        gone = torch.cat(
            [places, outside[:, None], torch.zeros(count, 1), torch.full((count, 3), torch.nan)], 1
        )
        return torch.cat([there, gone[: count // 2]])


@dataclass
class _Cluster:
    sweep: int
    time_s: float
    points: Float64[np.ndarray, "N 3"]
    colors: np.ndarray
    centre: np.ndarray
    """Mean of the occupied cells, which depends little on how densely each side is met [m]."""


class PassingFinder:
    """Sorts the points of sweeps, in their order, into what stands and what passes."""

    def __init__(self, log: DrivingLog) -> None:
        self._log = log
        self._pictures: dict[int, RangePicture] = {}
        self._clusters: list[list[_Cluster]] = [[] for _ in log.sweeps]

    def take(
        self, number: int, points_in_world: Float64[np.ndarray, "N 3"], colors: np.ndarray
    ) -> Bool[np.ndarray, " N"]:
        """Takes clusters of transient points out of a sweep; `passing` and `rest` give them back."""
        points = torch.from_numpy(points_in_world)
        hits = torch.zeros(len(points), dtype=torch.int64)
        passes = torch.zeros_like(hits)
        self._forget_pictures_far_from(number)
        for away in _ASKED:
            for other in (number - away, number + away):
                if 0 <= other < len(self._log.sweeps):
                    hit, passed = self._picture(other).look(points)
                    hits += hit
                    passes += passed
        transient = ((passes >= 3) & (passes > 2 * hits)).numpy()
        time_s = self._log.time_s(self._log.sweeps[number].timestamp_us)
        rows = transient.nonzero()[0]
        taken = np.zeros(len(points), dtype=bool)
        for members in _clustered(points_in_world[rows]):
            own = rows[members]
            taken[own] = True
            cells = np.unique(np.floor(points_in_world[own] / _CELL_M), axis=0)
            centre = (cells.mean(axis=0) + 0.5) * _CELL_M
            self._clusters[number].append(_Cluster(number, time_s, points_in_world[own], colors[own], centre))
        return taken

    def rest(self) -> tuple[Float[Tensor, "N 3"], Float[Tensor, "N 3"]]:
        """Places [m] and colours of the points that nobody could follow."""
        followed = {id(cluster) for track in self._followed for cluster in track}
        left = [c for of_sweep in self._clusters for c in of_sweep if id(c) not in followed]
        points = np.concatenate([np.zeros((0, 3)), *(cluster.points for cluster in left)])
        colors = np.concatenate([np.zeros((0, 3)), *(cluster.colors for cluster in left)])
        return torch.from_numpy(points).float(), torch.from_numpy(colors).float()

    def passing(self) -> Passing:
        """Everything that was followed for long enough, in its key moments."""
        parts = [part for track in self._followed for part in _keys(track)]
        if not parts:
            nothing = torch.zeros(0, 3)
            return Passing(nothing, nothing, torch.zeros(0), nothing, torch.zeros(0, 2))
        columns = [torch.cat(column) for column in zip(*parts, strict=True)]
        return Passing(*columns)

    @cached_property
    def _followed(self) -> list[list[_Cluster]]:
        """What was followed, once all sweeps were taken."""
        return _tracks(self._clusters)

    def _picture(self, number: int) -> RangePicture:
        if number not in self._pictures:
            self._pictures[number] = RangePicture.of(self._log, self._log.sweeps[number])
        return self._pictures[number]

    def _forget_pictures_far_from(self, number: int) -> None:
        """Later sweeps do not ask them, and memory is not to grow with the length of the drive."""
        self._pictures = {
            other: picture for other, picture in self._pictures.items() if abs(other - number) <= max(_ASKED)
        }


def _clustered(points: Float64[np.ndarray, "N 3"]) -> Iterator[np.ndarray]:
    """Rows of points whose cells touch, seen from above."""
    cells = np.floor(points[:, :2] / _CELL_M).astype(np.int64)
    rows_of: dict[tuple[int, int], list[int]] = {}
    for row, (x, y) in enumerate(cells.tolist()):
        rows_of.setdefault((x, y), []).append(row)
    left = set(rows_of)
    while left:
        waiting, members = [left.pop()], []
        while waiting:
            x, y = waiting.pop()
            members += rows_of[x, y]
            around = {(x + dx, y + dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1)} & left
            left -= around
            waiting += around
        if len(members) >= _FEWEST_POINTS:
            yield np.array(sorted(members))


def _tracks(clusters: list[list[_Cluster]]) -> list[list[_Cluster]]:
    """Clusters of one thing after the other, each the nearest to where the thing was expected."""
    running: list[list[_Cluster]] = []
    done: list[list[_Cluster]] = []
    for found in clusters:
        if not found:
            continue
        now = found[0].time_s
        pairs = []
        for track in running:
            expected, gate = _expected(track, now)
            for cluster in found:
                distance = float(np.linalg.norm(cluster.centre[:2] - expected[:2]))
                if distance < gate:
                    pairs.append((distance, id(track), track, cluster))
        used: set[int] = set()
        for _, _, track, cluster in sorted(pairs, key=lambda pair: pair[0]):
            if id(track) not in used and id(cluster) not in used:
                used |= {id(track), id(cluster)}
                track.append(cluster)
        running += [[cluster] for cluster in found if id(cluster) not in used]
        lost = [track for track in running if now - track[-1].time_s > 0.6]
        done += lost
        running = [track for track in running if now - track[-1].time_s <= 0.6]
    return [track for track in done + running if _travels(track)]


def _expected(track: list[_Cluster], now: float) -> tuple[np.ndarray, float]:
    """Where the thing should be, and how far off it may be [m]."""
    last = track[-1]
    gap = now - last.time_s
    if len(track) == 1:
        return last.centre, _FASTEST_MPS * gap
    before = track[max(0, len(track) - 4)]
    velocity = (last.centre - before.centre) / (last.time_s - before.time_s)
    return last.centre + gap * velocity, 0.6 + 8.0 * gap


def _travels(track: list[_Cluster]) -> bool:
    if len(track) < _FEWEST_SWEEPS:
        return False
    if max(np.ptp(cluster.points[:, 2]) for cluster in track) < _LEAST_HEIGHT_M:
        return False
    steps = np.diff(np.stack([cluster.centre[:2] for cluster in track]), axis=0)
    travel = float(np.linalg.norm(steps.sum(axis=0)))
    # A thing that goes somewhere; what wobbles about takes many steps and gets nowhere.
    return travel >= _LEAST_TRAVEL_M and travel >= 0.5 * float(np.linalg.norm(steps, axis=1).sum())


def _keys(track: list[_Cluster]) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor, Tensor]]:
    """Columns of `Passing` for each key moment of one thing."""
    times = np.array([cluster.time_s for cluster in track])
    centres = np.stack([cluster.centre for cluster in track])
    chosen = _moments(track, times, centres)
    for k, key in enumerate(chosen):
        velocity = _matched(track, key, _velocity(times, centres, times[key]))
        start = times[0] if k == 0 else 0.5 * (times[chosen[k - 1]] + times[key])
        stop = times[-1] if k == len(chosen) - 1 else 0.5 * (times[key] + times[chosen[k + 1]])
        near = [cluster for cluster in track if start - 1e-6 <= cluster.time_s <= stop + 1e-6]
        parts = [cluster.points + velocity * (times[key] - cluster.time_s) for cluster in near]
        points = torch.from_numpy(np.concatenate(parts)).float()
        colors = torch.from_numpy(np.concatenate([cluster.colors for cluster in near])).float()
        rows = thin_to_most(points, _VOXEL_M, _MOST_POINTS)
        count = len(rows)
        yield (
            points[rows],
            colors[rows],
            torch.full((count,), float(times[key])),
            torch.from_numpy(velocity).float().expand(count, 3),
            torch.tensor([float(start), float(stop)]).expand(count, 2),
        )


def _moments(track: list[_Cluster], times: np.ndarray, centres: np.ndarray) -> list[int]:
    """Sweeps in which the thing has gone about its own length since the one before, or some time is over."""
    chosen = [0]
    for k in range(1, len(track)):
        way = centres[k] - centres[chosen[-1]]
        travel = float(np.linalg.norm(way[:2]))
        ahead = way / max(travel, 1e-6)
        along = track[chosen[-1]].points @ ahead
        length = float(np.clip(np.ptp(along), 1.0, 5.0))
        if travel >= length or times[k] - times[chosen[-1]] >= 2 * _FARTHEST_KEY_S:
            chosen.append(k)
    return chosen


def _velocity(times: np.ndarray, centres: np.ndarray, at: float) -> Float64[np.ndarray, " 3"]:
    """Slope of the centres around a time [m/s], level."""
    near = np.abs(times - at) <= _FIT_S
    if near.sum() < 3:
        near = np.argsort(np.abs(times - at))[:3]
    t, c = times[near], centres[near]
    t = t - t.mean()
    slope = (t[:, None] * (c - c.mean(axis=0))).sum(axis=0) / max(float((t * t).sum()), 1e-9)
    slope[2] = 0.0
    return slope


def _matched(track: list[_Cluster], key: int, guess: Float64[np.ndarray, " 3"]) -> Float64[np.ndarray, " 3"]:
    """The velocity near a guess that lays the points of neighbouring sweeps best onto those of a key [m/s].

    Centres drift while a thing turns another side to the lidar; its surfaces do not.
    """
    at = _some(track[key].points)
    near = [c for c in track if c is not track[key] and abs(c.time_s - track[key].time_s) <= _FIT_S]
    speed = float(np.linalg.norm(guess))
    if not near or speed < 0.5:
        return guess
    ahead = guess / speed
    left = np.array([-ahead[1], ahead[0], 0.0])
    span = np.arange(-_SEARCH_MPS, _SEARCH_MPS + 1e-6, 0.25)
    tried = torch.from_numpy(
        np.stack([guess + a * ahead + b * left for a in span for b in span[np.abs(span) <= 1.0]])
    )
    error = torch.zeros(len(tried), dtype=torch.float64)
    for cluster in near:
        gap = track[key].time_s - cluster.time_s
        moved = _some(cluster.points)[None] + gap * tried[:, None]
        distance = torch.cdist(moved, at.expand(len(tried), -1, -1))
        for nearest in (distance.amin(dim=2), distance.amin(dim=1)):
            error += nearest.clamp(max=_LARGEST_MISS_M).mean(dim=1)
    # Between equals the guess is as good as any.
    error += 1e-3 * (tried - torch.from_numpy(guess)).norm(dim=1)
    return tried[int(error.argmin())].numpy()


def _some(points: Float64[np.ndarray, "N 3"]) -> Float64[Tensor, "M 3"]:
    return torch.from_numpy(points[:: max(1, len(points) // 120)])
