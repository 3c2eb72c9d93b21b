"""Whether objects that were put somewhere go through others."""

import math
from collections.abc import Collection
from dataclasses import dataclass

import torch
from jaxtyping import Float64
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


def collisions(cast: Cast, ids: Collection[str]) -> dict[str, Collision]:
    """The first collision of each of some objects with any other, looked for every tenth of a second.

    Args:
        cast: All objects.
        ids: Which to look at.
    """
    everyone = cast.ids
    wanted = [everyone.index(id) for id in everyone if id in ids]
    times = _moments(cast)
    if not wanted or len(times) == 0:
        return {}
    poses, there = (each.cpu() for each in cast.at(times))
    sizes = torch.stack([cast[id].shape.size_lwh for id in everyone]).double().cpu() - _FORGIVEN_M
    sizes = sizes.clamp_min(0.01)
    found = {}
    for number in wanted:
        reach = 0.5 * (sizes.norm(dim=1) + sizes[number].norm())
        away = (poses[:, :, :3, 3] - poses[:, number, None, :3, 3]).norm(dim=2)
        close = there & there[:, number, None] & (away < reach)
        close[:, number] = False
        moments, others = close.nonzero().unbind(1)
        if len(moments) == 0:
            continue
        own = sizes[number].expand(len(moments), 3)
        hit = boxes_overlap(own, poses[moments, number], sizes[others], poses[moments, others]).nonzero()
        if len(hit):
            first = int(hit[0])
            other = everyone[int(others[first])]
            found[everyone[number]] = Collision(everyone[number], other, float(times[moments[first]]))
    return found


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
