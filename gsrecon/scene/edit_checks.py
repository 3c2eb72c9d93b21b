"""Whether objects that were put somewhere go through others."""

import math
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor

from gsrecon.geometry.box import boxes_overlap
from gsrecon.scene.edit_cast import Cast

_INTERVAL_S = 0.1
_FORGIVEN_M = 0.05
"""Boxes may overlap by this: annotated ones are not exact."""


@dataclass(frozen=True)
class Collision:
    """The first moment at which an object is in another one."""

    id: str
    other: str
    time_s: float

    def __str__(self) -> str:
        return f"{self.id} is in {self.other} at {self.time_s:.1f} s"


def collisions(cast: Cast, ids: Collection[str], before: Cast) -> dict[str, Collision]:
    """The first collision of each of some objects with any other, looked for every tenth of a second.

    Args:
        cast: All objects.
        ids: Which to look at.
        before: The objects as recorded; boxes that overlapped then already are no collision.
    """
    wanted = [id for id in cast.ids if id in ids]
    times = _moments(cast)
    if not wanted or len(times) == 0:
        return {}
    now, then = _Boxes(cast, times), _Boxes(before, times)
    found = {}
    for id in wanted:
        number = cast.ids.index(id)
        moments, others = now.overlaps(number, now.near(number))
        for moment, other in zip(moments.tolist(), (cast.ids[k] for k in others.tolist()), strict=True):
            if not then.overlapped(moment, id, other):
                found[id] = Collision(id, other, float(times[moment]))
                break
    return found


def meeting_camera(cast: Cast, ids: Collection[str]) -> dict[str, str]:
    """Those of some objects through which a recorded camera goes; what to tell of each."""
    recording = cast.graph.recording
    if recording is None or not recording.frames or not ids:
        return {}
    frames = sorted(recording.frames, key=lambda frame: frame.timestamp_us)
    times = torch.tensor([recording.time_s(frame.timestamp_us) for frame in frames], dtype=torch.float64)
    cameras = torch.from_numpy(np.stack([frame.world_from_cam[:3, 3] for frame in frames]))
    found = {}
    for id in ids:
        figure = cast[id]
        poses, there = (each.cpu() for each in figure.way.shown_at(times))
        in_box = ((cameras - poses[:, :3, 3])[:, None] @ poses[:, :3, :3])[:, 0]
        half = 0.5 * figure.shape.size_lwh.double().cpu()
        inside = (there & (in_box.abs() < half).all(dim=1)).nonzero()
        if len(inside):
            found[id] = f"the recorded camera is in {id} at {float(times[int(inside[0])]):.1f} s"
    return found


class _Boxes:
    """Where all boxes are at some moments."""

    def __init__(self, cast: Cast, times_s: Float64[Tensor, " T"]) -> None:
        self._cast, self._times, self._ids = cast, times_s, cast.ids

    @cached_property
    def _placed(self) -> tuple[Float64[Tensor, "T K 4 4"], Bool[Tensor, "T K"]]:
        poses, there = self._cast.at(self._times)
        return poses.cpu(), there.cpu()

    @cached_property
    def _sizes(self) -> Float64[Tensor, "K 3"]:
        sizes = [self._cast[id].shape.size_lwh.double().cpu() - _FORGIVEN_M for id in self._ids]
        return torch.stack(sizes).clamp_min(0.01)

    def near(self, number: int) -> Bool[Tensor, "T K"]:
        """When which others are so near that they may overlap."""
        poses, there = self._placed
        reach = 0.5 * (self._sizes.norm(dim=1) + self._sizes[number].norm())
        away = (poses[:, :, :3, 3] - poses[:, number, None, :3, 3]).norm(dim=2)
        close = there & there[:, number, None] & (away < reach)
        close[:, number] = False
        return close

    def overlaps(
        self, number: int, asked: Bool[Tensor, "T K"]
    ) -> tuple[Int64[Tensor, " H"], Int64[Tensor, " H"]]:
        """Moments and others of those asked for that overlap a box."""
        poses, _ = self._placed
        moments, others = asked.nonzero().unbind(1)
        own = self._sizes[number].expand(len(moments), 3)
        hit = boxes_overlap(own, poses[moments, number], self._sizes[others], poses[moments, others])
        return moments[hit], others[hit]

    def overlapped(self, moment: int, id: str, other: str) -> bool:
        """Whether two boxes, where both are known, overlap."""
        if id not in self._ids or other not in self._ids:
            return False
        number = self._ids.index(id)
        near = self.near(number)
        asked = torch.zeros_like(near)
        asked[moment, self._ids.index(other)] = near[moment, self._ids.index(other)]
        return len(self.overlaps(number, asked)[0]) > 0


def _moments(cast: Cast) -> Float64[Tensor, " T"]:
    """Over the recording, or where that is not known over all that has a beginning and an end."""
    recording = cast.graph.recording
    if recording is not None and recording.frames:
        ends = [recording.time_s(frame.timestamp_us) for frame in recording.frames]
    else:
        spans = [end for id in cast.ids for end in cast[id].way.span_s.tolist()]
        ends = [end for end in spans if math.isfinite(end)] or [0.0]
    count = math.floor((max(ends) - min(ends)) / _INTERVAL_S + 1e-6) + 1
    return min(ends) + _INTERVAL_S * torch.arange(count, dtype=torch.float64)
