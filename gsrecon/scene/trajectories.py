"""Where many objects are at any time: keyed poses, interpolated on SE(3), and corrections of them."""

import math
from collections.abc import Mapping, Sequence
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

from gsrecon.geometry.rigid import interpolate, se3_exp

_NOWHERE_M = 1e7
"""Objects that are not there for one of several cameras lie this far below."""


class Trajectories:
    """World_from_actor(t) = keys(t) exp(correction(t)) of K objects, packed one after the other.

    Keys are interpolated with the rotation on the shortest arc and the translation on the line. Beyond the
    ends the last motion goes on; an object whose span has no end stays. Corrections are tangent vectors in
    the object's axes, piecewise linear between knots that lie wider apart than the keys, so that a time
    without a picture takes those of its neighbours.
    """

    def __init__(
        self,
        key_counts: Int64[Tensor, " K"],
        key_times_s: Float64[Tensor, " S"],
        key_poses: Float64[Tensor, "S 4 4"],
        knot_counts: Int64[Tensor, " K"],
        knot_times_s: Float64[Tensor, " R"],
        spans_s: Float64[Tensor, "K 2"],
    ) -> None:
        self.key_counts = key_counts
        self.key_times_s = key_times_s
        """Of each object ascending, object by object [s]."""
        self.key_poses = key_poses
        """`world_from_actor` as annotated."""
        self.knot_counts = knot_counts
        self.knot_times_s = knot_times_s
        self.spans_s = spans_s
        """From when to when each object is there [s]."""
        zeros = torch.zeros(len(knot_times_s), 3, device=knot_times_s.device)
        self.translations: Float[Tensor, "R 3"] = zeros
        """Corrections along the object's axes [m]."""
        self.rotations: Float[Tensor, "R 3"] = zeros.clone()
        """Corrections about the object's axes [rad]."""
        self.hidden_of: Int64[Tensor, " H"] = key_counts.new_zeros(0)
        """Which object each entry of `hidden_s` is about."""
        self.hidden_s: Float64[Tensor, "H 2"] = spans_s.new_zeros(0, 2)
        """From when to when objects are hidden within their spans, the end not counted [s]."""

    @staticmethod
    def start(
        times_s: Sequence[Float64[Tensor, " _"]],
        world_from_actor: Sequence[Float64[Tensor, "_ 4 4"]],
        spans_s: Sequence[tuple[float, float]],
        knot_interval_s: float,
    ) -> "Trajectories":
        """Trajectories as annotated, without corrections.

        Args:
            times_s: Key times of each object, strictly ascending [s].
            world_from_actor: Poses at them.
            spans_s: From when to when each object is there [s]; at an infinite end it stays where it is.
            knot_interval_s: Corrections have knots about this far apart [s].

        Raises:
            ValueError: An object has no key, or its keys do not ascend.
        """
        for number, times in enumerate(times_s):
            if len(times) == 0 or bool((times.diff() <= 0).any()):
                raise ValueError(
                    f"times_s: expected at least one time in ascending order, got {times.tolist()} for "
                    f"object {number}"
                )
        knots = [_knots(times, knot_interval_s) for times in times_s]
        keys = [_held(*keys) for keys in zip(times_s, world_from_actor, spans_s, strict=True)]
        return Trajectories(
            key_counts=torch.tensor([len(times) for times, _ in keys]),
            key_times_s=torch.cat([times.double() for times, _ in keys]),
            key_poses=torch.cat([poses.double() for _, poses in keys]),
            knot_counts=torch.tensor([len(times) for times in knots]),
            knot_times_s=torch.cat(knots),
            spans_s=torch.tensor(spans_s, dtype=torch.float64).reshape(-1, 2),
        )

    def __len__(self) -> int:
        """Number of objects."""
        return len(self.key_counts)

    def present(self, times_s: Float[Tensor, " C"]) -> Bool[Tensor, "C K"]:
        """Which objects are there at each time."""
        times = times_s.to(self.spans_s, non_blocking=times_s.device.type == "cpu")[:, None]
        there = (times >= self.spans_s[:, 0]) & (times <= self.spans_s[:, 1])
        if len(self.hidden_of) == 0:
            return there
        hidden = (times >= self.hidden_s[:, 0]) & (times < self.hidden_s[:, 1])
        often = torch.zeros_like(there, dtype=torch.int64).index_add(1, self.hidden_of, hidden.long())
        return there & (often == 0)

    def at(self, times_s: Float[Tensor, " C"]) -> Float64[Tensor, "C K 4 4"]:
        """Poses at each time, differentiable in the corrections; far below all where an object is not."""
        poses = torch.stack([self._at(float(time)) for time in times_s])
        gone = ~self.present(times_s)
        nowhere = torch.eye(4, dtype=torch.float64, device=poses.device)
        nowhere[2, 3] = -_NOWHERE_M
        return torch.where(gone[:, :, None, None], nowhere, poses)

    def roughness(self) -> Float[Tensor, ""]:
        """Mean square of how fast corrections change, in decimetres and 0.01 rad a second.

        A tenth of the mean square of the corrections themselves is added.
        """
        inner = self._inner_knots
        steps = (self.knot_times_s[inner + 1] - self.knot_times_s[inner]).float()[:, None]
        total = self.translations.new_zeros(())
        for values, unit in ((self.translations, 10.0), (self.rotations, 100.0)):
            change = unit * (values[inner + 1] - values[inner]) / steps
            total = total + (change.square().sum() + 0.1 * (unit * values).square().sum()) / len(values)
        return total

    @cached_property
    def _inner_knots(self) -> Int64[Tensor, " I"]:
        """Knots that have another one of the same object behind them."""
        inner = torch.ones_like(self.knot_times_s, dtype=torch.bool)
        inner[self.knot_counts.cumsum(0) - 1] = False
        return inner.nonzero()[:, 0]

    def parameters(self) -> dict[str, Tensor]:
        """The corrections."""
        return {"actor_translations": self.translations, "actor_rotations": self.rotations}

    def tensors(self) -> dict[str, Tensor]:
        """Corrections, keys, knots and spans."""
        hidden = {"hidden_of": self.hidden_of, "hidden_s": self.hidden_s} if len(self.hidden_of) else {}
        return {
            **self.parameters(),
            **hidden,
            "key_counts": self.key_counts,
            "key_times_s": self.key_times_s,
            "key_poses": self.key_poses,
            "knot_counts": self.knot_counts,
            "knot_times_s": self.knot_times_s,
            "spans_s": self.spans_s,
        }

    @staticmethod
    def restored(tensors: Mapping[str, Tensor]) -> "Trajectories":
        """From what `tensors` gave."""
        names = ("key_counts", "key_times_s", "key_poses", "knot_counts", "knot_times_s", "spans_s")
        again = Trajectories(**{name: tensors[name] for name in names})
        again.translations = tensors["actor_translations"]
        again.rotations = tensors["actor_rotations"]
        again.hidden_of = tensors.get("hidden_of", again.hidden_of)
        again.hidden_s = tensors.get("hidden_s", again.hidden_s)
        return again

    def _at(self, time_s: float) -> Float64[Tensor, "K 4 4"]:
        with torch.no_grad():
            before, after, share = _located(self.key_counts, self.key_times_s, time_s, beyond=True)
            keyed = interpolate(self.key_poses[before], self.key_poses[after], share)
        before, after, share = _located(self.knot_counts, self.knot_times_s, time_s, beyond=False)
        values = torch.cat([self.translations, self.rotations], dim=1)
        correction = torch.lerp(values[before].double(), values[after].double(), share[:, None])
        return keyed @ se3_exp(correction)


def _held(
    times_s: Float64[Tensor, " T"], poses: Float64[Tensor, "T 4 4"], span_s: tuple[float, float]
) -> tuple[Float64[Tensor, " H"], Float64[Tensor, "H 4 4"]]:
    """The keys, an end repeated a second farther out where the span is infinite.

    Annotations jitter: the motion between its last keys would carry a parked car off.
    """
    start, stop = (math.isinf(end) for end in span_s)
    times = [times_s[:1] - 1.0] * start + [times_s] + [times_s[-1:] + 1.0] * stop
    held = [poses[:1]] * start + [poses] + [poses[-1:]] * stop
    return torch.cat(times), torch.cat(held)


def _knots(times_s: Float64[Tensor, " T"], interval_s: float) -> Float64[Tensor, " R"]:
    """Evenly spread over the keys' span, about the interval apart, never more than there are keys."""
    span = float(times_s[-1] - times_s[0])
    count = min(len(times_s), round(span / interval_s) + 1)
    if count < 2:
        return 0.5 * (times_s[:1] + times_s[-1:]).double()
    return torch.linspace(float(times_s[0]), float(times_s[-1]), count, dtype=torch.float64)


def _located(
    counts: Int64[Tensor, " K"], times_s: Float64[Tensor, " S"], time_s: float, beyond: bool
) -> tuple[Int64[Tensor, " K"], Int64[Tensor, " K"], Float64[Tensor, " K"]]:
    """Of each object the entries around a time and the share of the way between; one entry is both.

    Args:
        counts: Entries of each object.
        times_s: Their times.
        time_s: The time.
        beyond: Shares below 0 and above 1 outside the entries; otherwise the ends are held.
    """
    first = counts.cumsum(0) - counts
    last = first + counts - 1
    objects = torch.arange(len(counts), device=counts.device)
    owner = torch.repeat_interleave(objects, counts, output_size=len(times_s))
    earlier = torch.zeros_like(counts).index_add(0, owner, (times_s <= time_s).long())
    before = (first + earlier - 1).clamp(first, (last - 1).clamp(first))
    after = (before + 1).clamp(max=last)
    step = times_s[after] - times_s[before]
    share = (time_s - times_s[before]) / torch.where(step > 0, step, 1.0)
    share = torch.where(step > 0, share, 0.0)
    return before, after, share if beyond else share.clamp(0.0, 1.0)
