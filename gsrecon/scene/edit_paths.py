"""New ways for objects: smooth curves through waypoints, timed, in their lane, with wheels on the ground."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64

from gsrecon.scene.ground import Ground

_SPACING_M = 0.25
"""Points of a curve lie about this far apart."""
_INTERVAL_S = 0.1
"""Poses of a way."""
_WHEELBASE, _TRACK = 0.6, 0.8
"""Shares of length and width at which an object stands on the ground."""
_LANE_M = (2.0, 6.0)
"""How wide a lane can be."""
_SIDE_M = 5.0
"""Lane lines are looked for this far to either side."""
_SMOOTHED_M = 12.0
"""Steps from lane to lane are spread over this length."""


@dataclass(frozen=True)
class Curve:
    """A polyline so fine that it is taken for a smooth curve."""

    points: Float64[np.ndarray, "P 2"]
    waypoints: np.ndarray
    """Numbers of the points that were given."""

    @property
    def arc(self) -> Float64[np.ndarray, " P"]:
        """Length from the start to each point [m]."""
        steps = np.linalg.norm(np.diff(self.points, axis=0), axis=1)
        return np.concatenate([[0.0], np.cumsum(steps)])

    @property
    def tangents(self) -> Float64[np.ndarray, "P 2"]:
        """Directions of travel."""
        along = np.gradient(self.points, axis=0)
        return along / np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-12)


@dataclass(frozen=True)
class Timed:
    """Where something is along a curve at each time."""

    times_s: Float64[np.ndarray, " T"]
    places: Float64[np.ndarray, "T 2"]
    tangents: Float64[np.ndarray, "T 2"]


def curve_through(waypoints: Sequence[tuple[float, float]]) -> Curve:
    """The centripetal Catmull-Rom spline through points: smooth, without loops or overshooting.

    Source: Yuksel, Schaefer, Keyser, "Parameterization and applications of Catmull-Rom curves", 2011.

    Raises:
        ValueError: There are fewer than two points, or two that follow each other are the same.
    """
    given = np.array(waypoints, dtype=np.float64).reshape(-1, 2)
    steps = np.linalg.norm(np.diff(given, axis=0), axis=1)
    if len(given) < 2 or (steps < 0.01).any():
        raise ValueError("waypoints: expected at least two places [x, y] [m], none twice in a row")
    # The ends go on as they came.
    p = np.concatenate([2 * given[:1] - given[1:2], given, 2 * given[-1:] - given[-2:-1]])
    parts, numbers = [given[:1]], [0]
    for k, step in enumerate(steps):
        count = max(1, int(np.ceil(step / _SPACING_M)))
        parts.append(_catmull_rom(p[k : k + 4], np.arange(1, count + 1) / count))
        numbers.append(numbers[-1] + count)
    return Curve(np.concatenate(parts), np.array(numbers))


def in_lane(curve: Curve, lines: Sequence[Float[np.ndarray, "_ 2"]]) -> Curve | None:
    """The curve moved sideways into the middle of the lane it is in; None where no lane is near.

    The lane is what lies between the nearest lane line to the left and to the right. Where lines are
    missing, the way keeps its distance from where they were.
    """
    left = np.stack([-curve.tangents[:, 1], curve.tangents[:, 0]], axis=1)
    shift = np.full(len(curve.points), np.nan)
    segments = np.concatenate(
        [np.concatenate([line[:-1], line[1:]], axis=1) for line in lines] or [np.zeros((0, 4))]
    )
    for k, (place, side) in enumerate(zip(curve.points, left, strict=True)):
        offsets = _crossings(place, side, segments)
        to_left, to_right = (
            offsets[offsets >= 0].min(initial=np.inf),
            offsets[offsets < 0].max(initial=-np.inf),
        )
        if _LANE_M[0] <= to_left - to_right <= _LANE_M[1]:
            shift[k] = 0.5 * (to_left + to_right)
    known = np.flatnonzero(np.isfinite(shift))
    if len(known) == 0:
        return None
    arc = curve.arc
    shift = np.interp(arc, arc[known], shift[known])
    width = min(round(0.5 * _SMOOTHED_M / _SPACING_M), len(shift) - 1)
    padded = np.pad(shift, width, mode="reflect", reflect_type="odd")
    shift = np.convolve(padded, np.full(2 * width + 1, 1 / (2 * width + 1)), "valid")
    return Curve(curve.points + shift[:, None] * left, curve.waypoints)


def at_speeds(curve: Curve, speeds_mps: Sequence[float], start_s: float) -> Timed:
    """With a speed at each waypoint, or one for all; evenly faster or slower in between.

    Raises:
        ValueError: The number is wrong, a speed is negative, or two that follow each other are 0.
    """
    count = len(curve.waypoints)
    speeds = np.array(speeds_mps if len(speeds_mps) != 1 else list(speeds_mps) * count, dtype=np.float64)
    if len(speeds) != count or (speeds < 0).any() or (speeds[1:] + speeds[:-1] <= 0).any():
        raise ValueError(
            f"speeds_mps: expected one for all or one for each of {count} waypoints [m/s], none negative and "
            f"no two zeros in a row, got {list(speeds_mps)}"
        )
    arc = curve.arc[curve.waypoints]
    ends = start_s + np.concatenate([[0.0], np.cumsum(2 * np.diff(arc) / (speeds[1:] + speeds[:-1]))])
    times = _grid(ends)
    part = np.clip(np.searchsorted(ends, times, side="right") - 1, 0, count - 2)
    since, lasts = times - ends[part], ends[part + 1] - ends[part]
    gained = (speeds[part + 1] - speeds[part]) / lasts
    return _timed(curve, times, arc[part] + speeds[part] * since + 0.5 * gained * since * since)


def at_times(curve: Curve, times_s: Sequence[float]) -> Timed:
    """With a time at each waypoint; speeds change smoothly and nothing ever goes back.

    Source: Fritsch, Butland, "A method for constructing local monotone piecewise cubic interpolants", 1984.

    Raises:
        ValueError: The number is wrong or times do not ascend.
    """
    ends, arc = np.array(times_s, dtype=np.float64), curve.arc[curve.waypoints]
    if len(ends) != len(arc) or (np.diff(ends) <= 0).any():
        raise ValueError(
            f"times_s: expected an ascending time for each of {len(arc)} waypoints [s], got {list(times_s)}"
        )
    step, slope = np.diff(ends), np.diff(arc) / np.diff(ends)
    speed = np.concatenate([slope[:1], slope[-1:]]) if len(slope) == 1 else np.empty(len(ends))
    if len(slope) > 1:
        speed[0], speed[-1] = slope[0], slope[-1]
        w1, w2 = 2 * step[1:] + step[:-1], step[1:] + 2 * step[:-1]
        speed[1:-1] = (w1 + w2) / (w1 / slope[:-1] + w2 / slope[1:])
    times = _grid(ends)
    part = np.clip(np.searchsorted(ends, times, side="right") - 1, 0, len(slope) - 1)
    h, u = step[part], (times - ends[part]) / step[part]
    v0, v1, s0, s1 = speed[part], speed[part + 1], arc[part], arc[part + 1]
    way = (1 + 2 * u) * (1 - u) ** 2 * s0 + u**2 * (3 - 2 * u) * s1
    return _timed(curve, times, way + h * (u * (1 - u) ** 2 * v0 - u**2 * (1 - u) * v1))


def wheels(
    places: Float64[np.ndarray, "T 2"], tangents: Float64[np.ndarray, "T 2"], size_lwh: Sequence[float]
) -> Float64[np.ndarray, "T 4 2"]:
    """Where an object stands on the ground: front left, front right, rear left, rear right [m]."""
    left = np.stack([-tangents[:, 1], tangents[:, 0]], axis=1)
    ahead, aside = 0.5 * _WHEELBASE * size_lwh[0], 0.5 * _TRACK * size_lwh[1]
    return np.stack(
        [places + a * ahead * tangents + b * aside * left for a in (1, -1) for b in (1, -1)], axis=1
    )


def on_ground(
    places: Float64[np.ndarray, "T 2"],
    tangents: Float64[np.ndarray, "T 2"],
    size_lwh: Sequence[float],
    ground: Ground,
    above_m: float = 0.0,
) -> Float64[np.ndarray, "T 4 4"]:
    """`world_from_actor` of a box that stands on the ground, or so far above it, as its wheels lie."""
    stands = wheels(places, tangents, size_lwh)
    z = ground.nearest(stands.reshape(-1, 2)).reshape(-1, 4)
    rise = (z[:, 0] + z[:, 1] - z[:, 2] - z[:, 3]) / 2 / (_WHEELBASE * size_lwh[0])
    bank = (z[:, 0] + z[:, 2] - z[:, 1] - z[:, 3]) / 2 / (_TRACK * size_lwh[1])
    x = np.concatenate([tangents, rise[:, None]], axis=1)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    y = np.stack([-tangents[:, 1], tangents[:, 0], bank], axis=1)
    y -= (x * y).sum(axis=1, keepdims=True) * x
    y /= np.linalg.norm(y, axis=1, keepdims=True)
    poses = np.tile(np.eye(4), (len(places), 1, 1))
    up = np.cross(x, y)
    poses[:, :3, :3] = np.stack([x, y, up], axis=2)
    contacts = np.concatenate([places, z.mean(axis=1, keepdims=True)], axis=1)
    poses[:, :3, 3] = contacts + (0.5 * size_lwh[2] + above_m) * up
    return poses


def _catmull_rom(
    p: Float64[np.ndarray, "4 2"], share: Float64[np.ndarray, " S"]
) -> Float64[np.ndarray, "S 2"]:
    """Between the second and the third of four points: Barry and Goldman's pyramid."""
    knots = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(p, axis=0), axis=1) ** 0.5)])
    t = (knots[1] + share * (knots[2] - knots[1]))[:, None]
    level = [np.broadcast_to(point, (len(share), 2)) for point in p]
    for width in (1, 2, 3):
        spans = [(knots[k], knots[k + width]) for k in range(4 - width)]
        if width == 3:  # the last level is between the two middle knots
            spans = [(knots[1], knots[2])]
        if width == 2:
            spans = [(knots[0], knots[2]), (knots[1], knots[3])]
        level = [
            ((b - t) * low + (t - a) * high) / (b - a)
            for (a, b), low, high in zip(spans, level[:-1], level[1:], strict=True)
        ]
    return level[0]


def _crossings(
    place: Float64[np.ndarray, " 2"], side: Float64[np.ndarray, " 2"], segments: Float64[np.ndarray, "S 4"]
) -> Float64[np.ndarray, " C"]:
    """How far to the side lines cross it, negative to the other side [m]."""
    start, along = segments[:, :2] - place, segments[:, 2:] - segments[:, :2]
    turn = side[0] * along[:, 1] - side[1] * along[:, 0]
    safe = np.where(np.abs(turn) < 1e-9, np.inf, turn)
    offset = (start[:, 0] * along[:, 1] - start[:, 1] * along[:, 0]) / safe
    share = (start[:, 0] * side[1] - start[:, 1] * side[0]) / safe
    steep = np.abs(turn) > 0.5 * np.linalg.norm(along, axis=1)  # no stop lines
    return offset[np.isfinite(safe) & steep & (share >= 0) & (share <= 1) & (np.abs(offset) <= _SIDE_M)]


def _grid(ends: Float64[np.ndarray, " W"]) -> Float64[np.ndarray, " T"]:
    return np.linspace(ends[0], ends[-1], max(2, int(np.ceil((ends[-1] - ends[0]) / _INTERVAL_S)) + 1))


def _timed(curve: Curve, times: Float64[np.ndarray, " T"], way: Float64[np.ndarray, " T"]) -> Timed:
    arc, tangents = curve.arc, curve.tangents
    places, along = (
        np.stack([np.interp(way, arc, values) for values in of_curve.T], axis=1)
        for of_curve in (curve.points, tangents)
    )
    return Timed(times, places, along / np.linalg.norm(along, axis=1, keepdims=True))
