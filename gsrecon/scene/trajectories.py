"""Where many objects are at any time: keyed poses, interpolated on SE(3), and corrections of them."""

import math
from collections.abc import Mapping, Sequence
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

from gsrecon.geometry.rigid import assemble, inverse, se3_log
from gsrecon.ops.mean_squares import Penalty, weighted_mean_squares
from gsrecon.ops.rigid_motions import se3_exps

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

    def at(
        self, times_s: Float[Tensor, " C"], present: Bool[Tensor, "C K"] | None = None
    ) -> Float64[Tensor, "C K 4 4"]:
        """Poses at each time, differentiable in the corrections; far below all where an object is not.

        Args:
            times_s: The times [s].
            present: What `present` says about them, if that was asked already.
        """
        poses = torch.stack([self._at(float(time)) for time in times_s])
        there = self.present(times_s) if present is None else present
        return torch.where(there[:, :, None, None], poses, self._nowhere)

    @cached_property
    def _nowhere(self) -> Float64[Tensor, "4 4"]:
        pose = torch.eye(4, dtype=torch.float64)
        pose[2, 3] = -_NOWHERE_M
        return pose.to(self.key_poses.device)

    def roughness(self) -> Float[Tensor, ""]:
        """Mean square of how fast corrections change, in decimetres and 0.01 rad a second.

        A tenth of the mean square of the corrections themselves is added.
        """
        following, rates = self._knots.following, self._knot_rates
        penalties: list[Penalty] = []
        for values, unit in ((self.translations, 10.0), (self.rotations, 100.0)):
            # A knot that follows itself does not change.
            penalties.append((3 * unit**2, (values[following] - values) * rates))
            penalties.append((0.3 * unit**2, values))
        return weighted_mean_squares(penalties)

    @cached_property
    def _knot_rates(self) -> Float[Tensor, "R 1"]:
        """1 / the time to the next knot of the same object [1/s], 0 where there is none."""
        steps = self.knot_times_s[self._knots.following] - self.knot_times_s
        return torch.where(steps > 0, 1 / steps, 0.0).float()[:, None]

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
        before, after, share = self._knots.around(time_s, beyond=False)
        values = torch.cat([self.translations, self.rotations], dim=1)
        correction = torch.lerp(values[before].double(), values[after].double(), share[:, None])
        return self._keyed(time_s) @ se3_exps(correction)

    @torch.no_grad()
    def _keyed(self, time_s: float) -> Float64[Tensor, "K 4 4"]:
        """As `geometry.rigid.interpolate` between the keys around a time."""
        before, after, share = self._keys.around(time_s, beyond=True)
        start, end = self.key_poses[before], self.key_poses[after]
        turned = start @ se3_exps(share[:, None] * self._turns[before])
        return assemble(turned[:, :3, :3], torch.lerp(start[:, :3, 3], end[:, :3, 3], share[:, None]))

    @cached_property
    def _turns(self) -> Float64[Tensor, "S 6"]:
        """From each key to the next of its object: the rotation's tangent vector."""
        turns = se3_log(inverse(self.key_poses) @ self.key_poses[self._keys.following])
        turns[:, :3] = 0.0
        return turns

    @cached_property
    def _keys(self) -> "_Times":
        return _Times(self.key_counts, self.key_times_s)

    @cached_property
    def _knots(self) -> "_Times":
        return _Times(self.knot_counts, self.knot_times_s)


class _Times:
    """Ascending times of K objects, one after the other."""

    def __init__(self, counts: Int64[Tensor, " K"], times_s: Float64[Tensor, " S"]) -> None:
        self._times_s = times_s
        objects = torch.arange(len(counts), device=counts.device)
        self._owner = torch.repeat_interleave(objects, counts, output_size=len(times_s))
        self._first = counts.cumsum(0) - counts
        self._last = self._first + counts - 1
        self._last_start = (self._last - 1).clamp(self._first)
        entries = torch.arange(len(times_s), device=counts.device)
        self.following: Int64[Tensor, " S"] = (entries + 1).clamp(max=self._last[self._owner])
        """The next one of the same object; an object's last one follows itself."""

    def around(
        self, time_s: float, beyond: bool
    ) -> tuple[Int64[Tensor, " K"], Int64[Tensor, " K"], Float64[Tensor, " K"]]:
        """Of each object the entries around a time and the share of the way between; one entry is both.

        Args:
            time_s: The time.
            beyond: Shares below 0 and above 1 outside the entries; otherwise the ends are held.
        """
        passed = (self._times_s <= time_s).long()
        earlier = torch.zeros_like(self._first).index_add(0, self._owner, passed)
        before = (self._first + earlier - 1).clamp(self._first, self._last_start)
        after = self.following[before]
        start = self._times_s[before]
        step = self._times_s[after] - start
        share = (time_s - start) / torch.where(step > 0, step, 1.0)
        share = torch.where(step > 0, share, 0.0)
        return before, after, share if beyond else share.clamp(0.0, 1.0)


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
