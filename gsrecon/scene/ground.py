"""The ground that a scene shows around the way of its recording car, and what of it is road."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64

from gsrecon.gaussians.gaussians import Gaussians
from gsrecon.scene.actors import RigidActors
from gsrecon.scene.groups_scene import Scene, parts

_CELL_M, _REACH_M = 1.0, 25.0
"""Side of the grid's cells, and how far from the car's way they go."""
_AHEAD_M = 30.0
"""The road is thought to go straight on for this long where the recording ends."""
_STEP_M = 2.0
"""The car's way is looked at this finely."""
_SOLID = 0.3
"""Opacity from which a Gaussian is taken for something."""
_BELOW_M, _ABOVE_M, _BIN_M = 3.0, 1.0, 0.05
"""The ground under the car is looked for from here to here around its origin, in bins of this size."""
_TOLERANCE_M, _SLOPE = 0.3, 0.03
"""Ground lies this near to the height of the car's way, and so much farther for each metre beside it."""
_HOLES = 2
"""Rounds of filling cells that have known neighbours."""
_WITH_LANES_M, _LINE_M, _WITHOUT_LANES_M = 2.5, 2.2, 6.0
"""Road is what is this near to the car's way or to a lane line; where no lines are known, to the way."""


@dataclass(frozen=True)
class Ground:
    """Heights over a grid, NaN where the scene shows no ground."""

    corner: Float64[np.ndarray, " 2"]
    """X and y of the middle of the first cell [m]."""
    heights: Float64[np.ndarray, "X Y"]
    """Z at the middle of each cell [m]."""

    def height(self, places: Float[np.ndarray, "*N 2"]) -> Float64[np.ndarray, "*N"]:
        """Z at places (x, y) [m]; NaN where it is unknown."""
        at = (np.asarray(places, dtype=np.float64) - self.corner) / _CELL_M
        low = np.floor(at).astype(np.int64)
        share = at - low
        total, weights = np.zeros(at.shape[:-1]), np.zeros(at.shape[:-1])
        for step in ((0, 0), (0, 1), (1, 0), (1, 1)):
            cell = low + step
            inside = ((cell >= 0) & (cell < self.heights.shape)).all(axis=-1)
            x, y = np.moveaxis(np.where(inside[..., None], cell, 0), -1, 0)
            z = self.heights[x, y]
            weight = np.prod(np.where(step, share, 1 - share), axis=-1) * (inside & np.isfinite(z))
            total += weight * np.nan_to_num(z)
            weights += weight
        return np.where(weights > 1e-6, total / np.maximum(weights, 1e-6), np.nan)

    def nearest(self, places: Float[np.ndarray, "N 2"]) -> Float64[np.ndarray, " N"]:
        """The height there, or where it is unknown that of the nearest known place [m]."""
        found = self.height(places)
        cells = np.argwhere(np.isfinite(self.heights))
        for row in np.flatnonzero(np.isnan(found)):
            away = np.linalg.norm(self.corner + _CELL_M * cells - places[row], axis=1)
            found[row] = self.heights[tuple(cells[away.argmin()])]
        return found


class Surroundings:
    """What a scene and its lanes tell about where one can drive; found out when it is first asked for."""

    def __init__(
        self, scene: Scene, lanes: Sequence[Float[np.ndarray, "_ 3"]] = (), deepest: float = _BELOW_M
    ) -> None:
        """Of a scene.

        Args:
            scene: The scene, whole or in groups; of one in groups, each is read once.
            lanes: Lane lines of the drive, in the scene's world [m].
            deepest: How far below the car's origin ground is looked for [m].
        """
        self._scene = scene
        self._recording = scene.recording
        self._deepest = deepest
        self.lanes = tuple(np.asarray(line, dtype=np.float64)[:, :2] for line in lanes if len(line) > 1)

    @cached_property
    def way(self) -> Float64[np.ndarray, "T 3"]:
        """Where the recording car was, about every two metres, and straight on from there [m].

        Empty where that is not known.
        """
        if self._recording is None or not self._recording.frames:
            return np.zeros((0, 3))
        frames = sorted(self._recording.frames, key=lambda frame: frame.timestamp_us)
        cameras = self._recording.cameras
        # From one camera: what another is off by is no motion.
        first = frames[0].camera
        cam_from_ego = np.linalg.inv(cameras[first].ego_from_cam)
        poses = np.stack([f.world_from_cam @ cam_from_ego for f in frames if f.camera == first])
        ahead = poses[-1, :3, 3] + _AHEAD_M * poses[-1, :3, 0]
        return _spread(np.concatenate([poses[:, :3, 3], ahead[None]]))

    @cached_property
    def ground(self) -> Ground | None:
        """Heights around the car's way; None where the scene shows no ground or its way is unknown."""
        if len(self.way) == 0:
            return None
        points = [
            self._near(_solid_points(node.gaussians))
            for part in parts(self._scene)
            for node in part.gaussian_nodes
            if not isinstance(node, RigidActors)
        ]
        return fit_ground(np.concatenate(points), self.way, self._deepest) if points else None

    def _near(self, points: Float64[np.ndarray, "N 3"]) -> Float64[np.ndarray, "M 3"]:
        """Those that may be ground: of a long drive, there is no room for all points at once."""
        wide = np.array([_REACH_M, _REACH_M, _TOLERANCE_M + _SLOPE * _REACH_M])
        low = self.way.min(axis=0) - wide - [_CELL_M, _CELL_M, self._deepest]
        high = self.way.max(axis=0) + wide + [_CELL_M, _CELL_M, _ABOVE_M]
        return points[((points >= low) & (points <= high)).all(axis=1)]

    def on_road(self, places: Float[np.ndarray, "N 2"]) -> Bool[np.ndarray, " N"]:
        """Whether places (x, y) are road: ground that is known, near to the car's way or to a lane line."""
        if self.ground is None:
            return np.zeros(len(places), dtype=bool)
        known = np.isfinite(self.ground.height(places))
        near = distance_to_line(places, self.way[:, :2]) <= (
            _WITH_LANES_M if self.lanes else _WITHOUT_LANES_M
        )
        for line in self.lanes:
            near |= distance_to_line(places, line) <= _LINE_M
        return known & near


def fit_ground(
    points: Float[np.ndarray, "N 3"], way: Float64[np.ndarray, "T 3"], deepest: float = _BELOW_M
) -> Ground | None:
    """The ground in a cloud of points, near to the height that the car's own way has.

    Args:
        points: Centres of what is solid [m].
        way: Places of the car, whose origin is at one height above the ground [m].
        deepest: How far below its origin the ground may be [m].

    Returns:
        The ground; None where there are no points under the way.
    """
    low = way[:, :2].min(axis=0) - _REACH_M
    shape = np.ceil((way[:, :2].max(axis=0) + _REACH_M - low) / _CELL_M).astype(np.int64) + 1
    cells = np.rint((points[:, :2] - low) / _CELL_M).astype(np.int64)
    inside = ((cells >= 0) & (cells < shape)).all(axis=1)
    points, cells = points[inside], cells[inside]
    numbers = cells[:, 0] * shape[1] + cells[:, 1]
    names, of_cell = np.unique(numbers, return_inverse=True)
    if len(names) == 0:
        return None
    middles = low + _CELL_M * np.stack(np.divmod(names, shape[1]), axis=1)
    away, nearest = _nearest(middles, way[:, :2])
    above = points[:, 2] - way[nearest, 2][of_cell]
    beside = away[of_cell]
    under = above[(beside < 3.0) & (above > -deepest) & (above < _ABOVE_M)]
    if len(under) == 0:
        return None
    count, edges = np.histogram(under, np.arange(-deepest, _ABOVE_M + _BIN_M, _BIN_M))
    fullest = np.convolve(count, np.ones(3), "same").argmax()
    offset = float(np.median(under[np.abs(under - edges[fullest] - 0.5 * _BIN_M) < 2 * _BIN_M]))
    ground = (beside < _REACH_M) & (np.abs(above - offset) < _TOLERANCE_M + _SLOPE * beside)
    heights = np.full(int(shape.prod()), np.nan)
    order = np.lexsort((points[ground, 2], numbers[ground]))
    found, start, many = np.unique(numbers[ground][order], return_index=True, return_counts=True)
    heights[found] = points[ground, 2][order][start + many // 2]
    return Ground(low, _smooth(heights.reshape(shape)))


def distance_to_line(
    places: Float[np.ndarray, "N 2"], line: Float[np.ndarray, "P 2"]
) -> Float64[np.ndarray, " N"]:
    """From each place to a polyline [m]."""
    if len(line) < 2:
        return np.linalg.norm(places[:, None] - line[None], axis=2).min(axis=1, initial=np.inf)
    start, along = line[:-1], np.diff(line, axis=0)
    length = np.maximum((along * along).sum(axis=1), 1e-12)
    from_start = places[:, None] - start
    share = np.clip((from_start * along).sum(axis=2) / length, 0.0, 1.0)
    return np.linalg.norm(from_start - share[..., None] * along, axis=2).min(axis=1)


def _solid_points(gaussians: Gaussians) -> Float64[np.ndarray, "N 3"]:
    with torch.no_grad():
        kept = gaussians.opacities > _SOLID
        return gaussians.means[kept].double().cpu().numpy()


def _spread(places: Float64[np.ndarray, "F 3"]) -> Float64[np.ndarray, "T 3"]:
    steps = np.linalg.norm(np.diff(places, axis=0), axis=1)
    arc = np.concatenate([[0.0], np.cumsum(steps)])
    count = max(2, int(np.ceil(arc[-1] / _STEP_M)) + 1)
    return np.stack([np.interp(np.linspace(0, arc[-1], count), arc, x) for x in places.T], axis=1)


def _nearest(
    places: Float64[np.ndarray, "N 2"], way: Float64[np.ndarray, "T 2"]
) -> tuple[Float64[np.ndarray, " N"], np.ndarray]:
    """Distance to, and number of, the nearest place of the way."""
    parts = [
        torch.cdist(part, torch.from_numpy(way)).min(dim=1) for part in torch.from_numpy(places).split(4096)
    ]
    distance, number = (torch.cat([part[k] for part in parts]) for k in (0, 1))
    return distance.numpy(), number.numpy()


def _smooth(heights: Float64[np.ndarray, "X Y"]) -> Float64[np.ndarray, "X Y"]:
    """Outliers removed by medians of neighbours, small holes filled, the rest levelled a little."""
    heights = np.where(np.isfinite(heights), _of_neighbours(heights, np.nanmedian), np.nan)
    for _ in range(_HOLES):
        known = _of_neighbours(np.isfinite(heights).astype(np.float64), np.nansum)
        fill = np.isnan(heights) & (known >= 3)
        heights = np.where(fill, _of_neighbours(heights, np.nanmean), heights)
    return np.where(np.isfinite(heights), _of_neighbours(heights, np.nanmean), np.nan)


def _of_neighbours(
    grid: Float64[np.ndarray, "X Y"], summary: Callable[..., np.ndarray]
) -> Float64[np.ndarray, "X Y"]:
    """Of each cell and its eight neighbours, without those that are unknown."""
    padded = np.pad(grid, 1, constant_values=np.nan)
    blocks = np.lib.stride_tricks.sliding_window_view(padded, (3, 3)).reshape(*grid.shape, 9)
    found = np.full(grid.shape, np.nan)
    some = np.isfinite(blocks).any(axis=2)
    found[some] = summary(blocks[some], axis=1)
    return found
