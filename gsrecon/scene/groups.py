"""Groups: a long drive cut into stretches of the ego path, so that only what is in use needs memory.

Every Gaussian has one home group, the one whose pictures show it largest. Pictures of other groups that see
it list it as frozen halo. Objects that move are seen by groups far apart: who sees which is part of the plan.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

from gsrecon.gaussians.gaussians import Gaussians
from gsrecon.scene.groups_sight import Sight, half_angle, support_radii
from gsrecon.scene.recording import RecordedFrame, Recording

_STANDING_M = 1.0
"""A path shorter than this is cut by time instead of length."""

_TURN_M_PER_RAD = 1.0
"""What a difference in direction counts beside one in place when the nearest recorded pose is looked for."""

_OBJECT_REACHES = 4.0
"""An object is drawn by groups that see it up to so many times the reach, as none keeps a copy of its own."""


@dataclass(frozen=True)
class Groups:
    """How a drive is cut into groups and how these are trained."""

    count: int | None = 1
    """Number of groups; one is the plain scene, none leaves it to the length."""
    length_m: float = 240.0
    """Length of a group's part of the ego path, where no number is given [m]."""
    reach_m: float = 30.0
    """Other groups' Gaussians are drawn up to this distance; farther things a group has for itself [m]."""
    overlap_m: float = 15.0
    """A group is also fitted to its neighbours' pictures up to this far beyond its ends [m]."""
    rounds: int = 4
    """How often training visits each group; each visit is longer than the one before."""
    shared_share: float = 0.05
    """Part of the run that is spent on far field, sky and constants of the cameras, before the groups."""
    resident: int = 1
    """Groups that are kept in memory for rendering."""

    def __post_init__(self) -> None:
        checks = {
            "count": (self.count is None or self.count >= 1, "at least 1"),
            "length_m": (self.length_m > 0, "more than 0"),
            "reach_m": (self.reach_m > 0, "more than 0"),
            "overlap_m": (self.overlap_m >= 0, "at least 0"),
            "rounds": (self.rounds >= 1, "at least 1"),
            "shared_share": (0 < self.shared_share < 1, "between 0 and 1"),
            "resident": (self.resident >= 1, "at least 1"),
        }
        for name, (holds, expected) in checks.items():
            if not holds:
                raise ValueError(f"{name}: expected {expected}, got {getattr(self, name)}")


@dataclass(frozen=True)
class ObjectGroups:
    """Where an annotated object belongs."""

    home: int
    """The group that owns it."""
    seen_by: tuple[int, ...]
    """Groups whose pictures show it, ascending."""


class GroupPlan:
    """Which picture belongs to which group, and what each group sees."""

    def __init__(
        self,
        recording: Recording,
        starts_us: tuple[int, ...],
        groups: Groups,
        objects: Mapping[str, ObjectGroups] | None = None,
    ) -> None:
        """From a cut that was made before.

        Args:
            recording: The drive's cameras and frames.
            starts_us: Time at which each group begins, ascending; earlier frames belong to the first.
            groups: Reach and overlap.
            objects: Of each object of the scene; None where nothing is known of them.
        """
        self.recording = recording
        self.starts_us = starts_us
        self.groups = groups
        self.objects: Mapping[str, ObjectGroups] = objects or {}
        """By id; one that is not listed is drawn by its home and the groups beside that."""
        self._frames = recording.frames
        self._times = np.array([frame.timestamp_us for frame in self._frames], dtype=np.int64)
        self._way = _way(recording)
        self._of_frame = np.array([self.of_time(int(time)) for time in self._times], dtype=np.int64)
        self._poses = np.stack([frame.world_from_cam for frame in self._frames])
        self._sights: dict[tuple[int, bool], Sight] = {}

    @staticmethod
    def cut(recording: Recording, groups: Groups) -> "GroupPlan":
        """Cuts the ego path into parts of equal length.

        Parts without a fitted picture are joined with the one before, so there may be fewer than asked for.
        """
        way, frames = _way(recording), recording.frames
        times = np.array([frame.timestamp_us for frame in frames], dtype=np.int64)
        place = way if way[-1] >= _STANDING_M else (times - times[0]).astype(np.float64)
        count = groups.count
        if count is None:
            count = max(1, round(float(way[-1]) / groups.length_m))
        ends = place[-1] * np.arange(1, count) / count
        starts = [int(times[0])]
        for end in ends:
            first = int(np.searchsorted(place, end))
            fitted_before = _any_fitted(recording, starts[-1], int(times[first]))
            fitted_after = _any_fitted(recording, int(times[first]), int(times[-1]) + 1)
            if fitted_before and fitted_after:
                starts.append(int(times[first]))
        return GroupPlan(recording, tuple(starts), groups)

    def __len__(self) -> int:
        return len(self.starts_us)

    def of_time(self, timestamp_us: int) -> int:
        """The group of a moment of the drive."""
        return max(0, int(np.searchsorted(self.starts_us, timestamp_us, side="right")) - 1)

    def of_pose(self, world_from_cam: Float[Tensor, "4 4"]) -> int:
        """The group of the nearest recorded pose; looking elsewhere counts like being elsewhere."""
        pose = world_from_cam.detach().cpu().double().numpy()
        away = np.linalg.norm(self._poses[:, :3, 3] - pose[:3, 3], axis=1)
        # trace(A^T B) = 1 + 2 cos(angle between them)
        cosine = (np.einsum("fij,ij->f", self._poses[:, :3, :3], pose[:3, :3]) - 1) / 2
        turned = np.arccos(cosine.clip(-1, 1))
        return int(self._of_frame[np.argmin(away + _TURN_M_PER_RAD * turned)])

    def frames(self, group: int) -> list[RecordedFrame]:
        """A group's own pictures, held-out ones too."""
        return [frame for frame, of in zip(self._frames, self._of_frame, strict=True) if of == group]

    def frames_around(self, group: int) -> list[RecordedFrame]:
        """A group's own pictures and its neighbours' within the overlap."""
        around = self._around(group, np.ones(len(self._frames), dtype=bool))
        return [frame for frame, taken in zip(self._frames, around, strict=True) if taken]

    def _around(self, group: int, some: Bool[np.ndarray, " F"]) -> Bool[np.ndarray, " _"]:
        """Which of some pictures are a group's own or its neighbours' within the overlap."""
        own = self._of_frame[some] == group
        if self._way[-1] < _STANDING_M:
            return own  # everything is within any length of everything
        (first, last), way = self._stretches[group], self._way[some]
        overlap = self.groups.overlap_m
        # Neighbours in time: where a drive passes the same place twice, the other pass is another group.
        return own | ((way >= first - overlap) & (way <= last + overlap))

    @cached_property
    def _stretches(self) -> list[tuple[float, float]]:
        """Where on the path each group's own pictures begin and end [m]."""
        ways = [self._way[self._of_frame == group] for group in range(len(self))]
        return [(float(way.min()), float(way.max())) for way in ways]

    def sight(self, group: int, around: bool = False) -> Sight:
        """What a group's own pictures see, or also its neighbours' within the overlap."""
        if (group, around) not in self._sights:
            frames = self.frames_around(group) if around else self.frames(group)
            self._sights[group, around] = Sight.of(self.recording, frames)
        return self._sights[group, around]

    def listed(self, group: int, home: int, gaussians: Gaussians) -> Int64[Tensor, " M"]:
        """Rows of another group's Gaussians, in world, that a group draws as its halo.

        A group lends what its own pictures see within the reach. What it has beyond is private: fitted to
        look right from its own stretch of the way only. As all of a plan, this is found out on the CPU.
        """
        radii = support_radii(gaussians.scales)
        reach, rows = self.groups.reach_m, torch.arange(len(gaussians))
        for sight in (self.sight(group, around=True), self.sight(home)):
            rows = rows[sight.reaches(gaussians.means[rows], radii[rows], reach)]
        return rows

    def neighbours(self, group: int) -> list[int]:
        """Other groups that may have something to lend: some of their pictures are near enough."""
        own = self.sight(group, around=True).centres
        near = 2 * self.groups.reach_m
        return [
            other
            for other in range(len(self))
            if other != group and bool((torch.cdist(own, self.sight(other).centres) <= near).any())
        ]

    def objects_from_afar(self, group: int, neighbours: Collection[int]) -> dict[int, list[str]]:
        """Objects that a group sees though their homes are not beside it, by home, ascending.

        Args:
            group: The group.
            neighbours: What `neighbours` says of it: they lend all of their objects.
        """
        beside = {group, *neighbours}
        lent: dict[int, list[str]] = {}
        for id, known in self.objects.items():
            if group in known.seen_by and known.home not in beside:
                lent.setdefault(known.home, []).append(id)
        return dict(sorted(lent.items()))

    def homes(self, points: Float[Tensor, "N 3"]) -> Int64[Tensor, " N"]:
        """The group whose pictures show most of each point; -1 where none sees it within the reach.

        A thing shows in proportion to 1 / distance^2 in every picture that sees it.
        """
        shares = self.pixel_shares(points)
        most, home = shares.max(dim=1)
        return torch.where(most > 0, home, -1)

    def groups_of_object(self, places: Float64[np.ndarray, "F 3"]) -> ObjectGroups:
        """The home of a thing that moves, the group whose pictures show most of it, and all that see it.

        As a group is fitted to its neighbours' pictures within the overlap, what these show it sees too.

        Args:
            places: Where it is in world at the time of each recorded frame [m]; NaN where it is not there.
        """
        distance, in_sight = self._in_sight(places)
        if not np.isfinite(distance).any():
            return ObjectGroups(0, ())
        far = _OBJECT_REACHES * self.groups.reach_m
        seen_by = tuple(k for k in range(len(self)) if self._around(k, in_sight & (distance <= far)).any())
        shown = in_sight & (distance <= self.groups.reach_m)
        if not shown.any():
            return ObjectGroups(int(self._of_frame[np.nanargmin(distance)]), seen_by)
        weights = np.where(shown, 1 / np.maximum(np.nan_to_num(distance), 1.0) ** 2, 0.0)
        return ObjectGroups(int(np.bincount(self._of_frame, weights, len(self)).argmax()), seen_by)

    def _in_sight(
        self, places: Float64[np.ndarray, "F 3"]
    ) -> tuple[Float64[np.ndarray, " F"], Bool[np.ndarray, " F"]]:
        """How far from each picture a thing is then [m], and whose cones have its centre in them."""
        offsets = places - self._poses[:, :3, 3]
        distance = np.linalg.norm(offsets, axis=1)
        along = np.einsum("fi,fi->f", offsets, self._poses[:, :3, 2])
        widths = {name: np.cos(half_angle(camera)) for name, camera in self.recording.cameras.items()}
        narrow = np.array([widths[frame.camera] for frame in self._frames])
        return distance, np.isfinite(distance) & (along >= narrow * distance)

    def pixel_shares(self, points: Float[Tensor, "N 3"]) -> Float64[Tensor, "N G"]:
        """How large points show in each group's own pictures within the reach, up to a common factor."""
        return torch.stack(
            [self.sight(k).solid_angles(points, self.groups.reach_m) for k in range(len(self))], dim=1
        )


def _way(recording: Recording) -> Float64[np.ndarray, " F"]:
    """Length of the path driven up to each frame [m]."""
    if not recording.frames:
        raise ValueError("recording: expected at least one frame, got none")
    places = np.stack(
        [
            (frame.world_from_cam @ np.linalg.inv(recording.cameras[frame.camera].ego_from_cam))[:3, 3]
            for frame in recording.frames
        ]
    )
    steps = np.linalg.norm(np.diff(places, axis=0), axis=1)
    return np.concatenate([[0.0], np.cumsum(steps)])


def _any_fitted(recording: Recording, start_us: int, stop_us: int) -> bool:
    return any(start_us <= frame.timestamp_us < stop_us and not frame.held_out for frame in recording.frames)
