"""The objects of a node one by one, with what they look like and where they are, and nodes made of them.

Nothing here writes into a tensor of the scene: what changes is made anew, the rest is shared.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

from gsrecon.gaussians.gaussians import Gaussians
from gsrecon.scene.actors import RigidActors
from gsrecon.scene.deformation import Deformation
from gsrecon.scene.trajectories import Trajectories

INSERTED = "inserted"
"""Node of objects that come from elsewhere."""
AS_RECORDED = (1.0, 0.0)
"""Clock of an object whose own time is the scene's."""


@dataclass(frozen=True)
class Deforming:
    """How an object deforms in its box: its part of a node's `Deformation`."""

    whole: Deformation
    """Of the node it comes from."""
    state: Float[Tensor, " M"]
    code: Float[Tensor, " _"]
    """What tells the networks which object it is."""
    deforms: bool


@dataclass(frozen=True, eq=False)
class Shape:
    """What an object looks like."""

    gaussians: Gaussians
    """In the frame of its box."""
    size_lwh: Float[Tensor, " 3"]
    """Length, width, height of the box [m]."""
    deforming: Deforming | None = None
    home: str = INSERTED
    """Id of the node it is kept in."""
    recorded_as: str = ""
    """Id of the object of this scene that it is the look of; empty where it comes from elsewhere."""
    sides: frozenset[str] | None = None
    """From which sides it was recorded elsewhere, where that is known."""

    def recoloured(self, gain: Sequence[float]) -> "Shape":
        """Every colour times a gain for red, green and blue."""
        return replace(self, gaussians=recoloured(self.gaussians, gain))

    def scaled(self, factor: float) -> "Shape":
        """The same at another size."""
        g = self.gaussians
        larger = replace(g, means=g.means * factor, log_scales=g.log_scales + math.log(factor))
        return replace(self, gaussians=larger, size_lwh=self.size_lwh * factor)

    def to(self, device: torch.device) -> "Shape":
        """On a device; objects that deform are on it already."""
        named = {name: tensor.to(device) for name, tensor in self.gaussians.named().items()}
        return replace(self, gaussians=Gaussians(**named), size_lwh=self.size_lwh.to(device))


@dataclass(frozen=True, eq=False)
class Way:
    """Where an object is, and when: its part of `Trajectories`."""

    key_times_s: Float64[Tensor, " S"]
    key_poses: Float64[Tensor, "S 4 4"]
    knot_times_s: Float64[Tensor, " R"]
    translations: Float[Tensor, "R 3"]
    rotations: Float[Tensor, "R 3"]
    span_s: Float64[Tensor, " 2"]
    hidden_s: Float64[Tensor, "H 2"]
    """From when to when it is hidden [s]."""
    clock: tuple[float, float] = AS_RECORDED
    """Rate and shift of its own time, `rate * time + shift`, by which it deforms."""

    @staticmethod
    def of(trajectories: Trajectories, number: int, clock: tuple[float, float] = AS_RECORDED) -> "Way":
        """One object's part of the trajectories of many."""
        keys, knots = (
            slice(stop - int(counts[number]), stop)
            for counts in (trajectories.key_counts, trajectories.knot_counts)
            for stop in (int(counts[: number + 1].sum()),)
        )
        return Way(
            trajectories.key_times_s[keys],
            trajectories.key_poses[keys],
            trajectories.knot_times_s[knots],
            trajectories.translations.detach()[knots],
            trajectories.rotations.detach()[knots],
            trajectories.spans_s[number],
            trajectories.hidden_s[trajectories.hidden_of == number],
            clock,
        )

    @staticmethod
    def along(
        times_s: Float64[Tensor, " T"],
        world_from_actor: Float64[Tensor, "T 4 4"],
        span_s: tuple[float, float],
        device: torch.device,
        clock: tuple[float, float] = AS_RECORDED,
    ) -> "Way":
        """A new one through poses, without corrections."""
        alone = Trajectories.start([times_s], [world_from_actor], [span_s], math.inf)
        there = Trajectories.restored({name: t.to(device) for name, t in alone.tensors().items()})
        return Way.of(there, 0, clock)

    def at(self, times_s: Float64[Tensor, " T"]) -> Float64[Tensor, "T 4 4"]:
        """Poses at times, hidden or not; far below all outside of its span."""
        with torch.no_grad():
            shown = replace(self, hidden_s=self.hidden_s[:0])
            return joined([shown]).at(times_s)[:, 0]

    def shown_at(self, times_s: Float64[Tensor, " T"]) -> tuple[Float64[Tensor, "T 4 4"], Bool[Tensor, " T"]]:
        """Poses at times, and whether the object is there and not hidden."""
        alone = joined([self])
        with torch.no_grad():
            return alone.at(times_s)[:, 0], alone.present(times_s)[:, 0]

    def moved(self, actor_from_moved_actor: Float64[Tensor, "4 4"]) -> "Way":
        """Moved all along in its own axes, as corrected: at any time, its pose is the old one times this.

        With the motion M of rotation R and translation t, corrections go along: M^-1 exp(v, w) M is
        exp(R^T (v + w x t), R^T w), so those between knots stay linear (Sola et al. 2018, the adjoint).
        """
        motion = actor_from_moved_actor.to(self.key_poses)
        back, by = motion[:3, :3].T, motion[:3, 3]
        v, w = self.translations.double(), self.rotations.double()
        return replace(
            self,
            key_poses=self.key_poses @ motion,
            translations=((v + torch.linalg.cross(w, by.expand_as(w))) @ back.T).float(),
            rotations=(w @ back.T).float(),
        )

    def retimed(self, rate: float, shift_s: float) -> "Way":
        """All of it `shift_s` later and, from its first moment on, `rate` times as fast."""
        finite = self.span_s[0] if math.isfinite(float(self.span_s[0])) else self.key_times_s[0]
        start = float(finite)

        def later(times_s: Tensor) -> Tensor:
            return start + shift_s + (times_s - start) / rate

        own_rate, own_shift = self.clock
        # The old time of a new one is start + rate (t - start - shift_s).
        clock = own_rate * rate, own_shift + own_rate * (start - rate * (start + shift_s))
        return replace(
            self,
            key_times_s=later(self.key_times_s),
            knot_times_s=later(self.knot_times_s),
            span_s=later(self.span_s),
            hidden_s=later(self.hidden_s),
            clock=clock,
        )


@dataclass(frozen=True)
class Figure:
    """One object."""

    id: str
    shape: Shape
    way: Way


def figures(node: RigidActors, ids: Collection[str] | None = None) -> list[Figure]:
    """The objects of a node, one by one: all, or those of some ids."""
    order = node.object_of_row.argsort(stable=True)
    counts = node.object_of_row.long().bincount(minlength=len(node.object_ids)).tolist()
    rows_of = order.split(counts)
    found = []
    for number, id in enumerate(node.object_ids):
        if ids is not None and id not in ids:
            continue
        rows = rows_of[number]
        named = {name: tensor.detach()[rows] for name, tensor in node.gaussians.named().items()}
        deforming = None
        if node.deformation is not None:
            whole = node.deformation
            state = whole.state.detach()[rows]
            deforming = Deforming(whole, state, whole.code(number), bool(node.deforms[number]))
        shape = Shape(Gaussians(**named), node.sizes_lwh[number], deforming, node.id, id)
        clock = AS_RECORDED if node.clocks is None else tuple(node.clocks[number].tolist())
        found.append(Figure(id, shape, Way.of(node.trajectories, number, clock)))
    return found


def some_of(node: RigidActors, ids: Collection[str]) -> RigidActors:
    """A node of some of the objects of another one, and of nothing else that it holds."""
    return assembled(node.id, figures(node, ids))


def recoloured(gaussians: Gaussians, gain: Sequence[float]) -> Gaussians:
    """Every colour, from any direction, times a gain for red, green and blue."""
    # The colour is 0.5 + Y0 sh0 + (sum of the rest): the half has to be scaled as well.
    half = 0.5 / (0.5 / math.sqrt(math.pi))
    gains = torch.tensor(list(gain), dtype=gaussians.sh0.dtype, device=gaussians.sh0.device)
    sh0 = (gaussians.sh0.detach() + half) * gains - half
    return replace(gaussians, sh0=sh0, sh_rest=gaussians.sh_rest.detach() * gains)


def shifted(by: tuple[float, float, float], turn_deg: float) -> Float64[Tensor, "4 4"]:
    """`actor_from_moved_actor` of a shift along an object's own axes [m] and a turn about its upright one."""
    a = np.radians(turn_deg)
    moved = np.eye(4)
    moved[:2, :2] = [[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]]
    moved[:3, 3] = by
    return torch.from_numpy(moved)


def assembled(id: str, wanted: Sequence[Figure], alike: RigidActors | None = None) -> RigidActors:
    """A node of objects; rows are taken over from one whose objects look the same."""
    shapes = [figure.shape for figure in wanted]
    if alike is not None:
        gaussians, labels, deformation = alike.gaussians, alike.object_of_row, alike.deformation
    else:
        gaussians = Gaussians.concatenate([shape.gaussians for shape in shapes])
        counts = torch.tensor([len(shape.gaussians) for shape in shapes])
        labels = torch.repeat_interleave(torch.arange(len(shapes), dtype=torch.int32), counts)
        labels = labels.to(gaussians.means.device)
        deformation = _deformation(shapes)
    deforms = [shape.deforming is not None and shape.deforming.deforms for shape in shapes]
    clocks = [figure.way.clock for figure in wanted]
    device = gaussians.means.device
    return RigidActors(
        [figure.id for figure in wanted],
        gaussians,
        labels,
        torch.stack([shape.size_lwh for shape in shapes]),
        joined([figure.way for figure in wanted]),
        deformation,
        torch.tensor(deforms, device=device),
        id,
        None
        if all(clock == AS_RECORDED for clock in clocks)
        else torch.tensor(clocks, dtype=torch.float64, device=device),
    )


def _deformation(shapes: Sequence[Shape]) -> Deformation | None:
    parts = [shape.deforming for shape in shapes if shape.deforming is not None]
    if not parts:
        return None
    states, codes = [part.state for part in parts], [part.code for part in parts]
    return parts[0].whole.of_objects(torch.cat(states), torch.stack(codes))


def joined(ways: Sequence[Way]) -> Trajectories:
    """The ways of some objects in one."""
    device = ways[0].key_times_s.device

    def counts(lengths: Sequence[int]) -> Tensor:
        return torch.tensor(lengths, dtype=torch.int64, device=device)

    found = Trajectories(
        counts([len(way.key_times_s) for way in ways]),
        torch.cat([way.key_times_s for way in ways]),
        torch.cat([way.key_poses for way in ways]),
        counts([len(way.knot_times_s) for way in ways]),
        torch.cat([way.knot_times_s for way in ways]),
        torch.stack([way.span_s for way in ways]),
    )
    found.translations = torch.cat([way.translations for way in ways])
    found.rotations = torch.cat([way.rotations for way in ways])
    numbers = counts([len(way.hidden_s) for way in ways])
    found.hidden_of = torch.repeat_interleave(torch.arange(len(ways), device=device), numbers)
    found.hidden_s = torch.cat([way.hidden_s for way in ways])
    return found
