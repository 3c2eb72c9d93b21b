"""Height, roll and pitch of a car over time from the ground that several of its lidar sweeps see.

Each sweep sees patches of ground in a grid that is fixed in the world, see `ground.py`. Two sweeps that see
the same patch must put it at the same height; x, y and yaw stay as they were recorded. This is point-to-plane
registration (Chen, Medioni, "Object modelling by registration of multiple range images", 1992) of all
sweeps at once: a robust least squares over (z, roll, pitch) of every sweep, held by two priors where the
ground says nothing: the correction changes slowly, and it is small.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64, Int64

from gsrecon.data.ground import GroundPatches
from gsrecon.geometry.rigid import se3_exp

STRIDES = (1, 2, 3, 5, 8, 13, 21, 34)
"""Sweeps this far apart are compared."""
CHECKED_STRIDES = (4, 10)
"""Sweeps this far apart are not, and judge the result."""

_SCALES_M = (1.0, 0.5, 0.25, 0.12, 0.06, 0.06, 0.06, 0.06, 0.06)
"""Disagreements much larger than this do not count (moving cars); it shrinks as the sweeps settle."""
_FEWEST_SHARED = 15
# The patches of a pair share errors (the lidar's own, a sweep bent by the car's motion), so hundreds of them
# count as a few. Counted singly, they would tilt a whole drive by degrees for a tenth of a millimetre.
_INDEPENDENT = 5.0
_SETTLED = 1e-5


@dataclass(frozen=True)
class Sighting:
    """One sweep: where the car was and what ground it saw."""

    timestamp_us: int
    car_in_world: Float64[np.ndarray, " 3"]
    yaw: float
    """Heading of the car, anticlockwise from world x [rad]."""
    patches: GroundPatches | None


@dataclass(frozen=True)
class Priors:
    """What is expected of corrections before the ground is looked at, as standard deviations."""

    height_m: float
    """Of a sweep's height correction [m]."""
    tilt_rad: float
    """Of a sweep's roll and pitch corrections [rad]."""
    height_walk_m: float = 0.5
    """Of the change of height in one second [m]."""
    tilt_walk_rad: float = 0.035
    """Of the change of roll and pitch in one second [rad]."""


@dataclass(frozen=True)
class _Shared:
    """Patches that two sightings both have, as rows of each one's patches."""

    first: int
    second: int
    rows_first: Int64[np.ndarray, " K"]
    rows_second: Int64[np.ndarray, " K"]


def level_sightings(sightings: Sequence[Sighting], priors: Priors) -> Float64[np.ndarray, "T 3"]:
    """The correction of each sighting: z [m], roll and pitch [rad], see `correction_motions`.

    Args:
        sightings: In the order of time, at least two.
        priors: Decide what no ground shows: the height and tilt of the whole drive, sightings without ground.
    """
    shared = list(_shared_patches(sightings, STRIDES))
    corrections = np.zeros((len(sightings), 3))
    times = np.array([sighting.timestamp_us for sighting in sightings]) * 1e-6
    for scale in _SCALES_M:
        system = _BlockSystem(len(sightings), max(STRIDES))
        _add_priors(system, corrections, times, priors)
        poses = _Moved(sightings, corrections)
        for pair in shared:
            _add_pair(system, poses, pair, scale)
        step = system.solve()
        corrections += step
        if np.abs(step).max() < _SETTLED:
            break
    return corrections


def disagreements(
    sightings: Sequence[Sighting],
    corrections: Float64[np.ndarray, "T 3"],
    strides: Sequence[int],
) -> Float64[np.ndarray, " M"]:
    """How far apart pairs of sightings put the ground they share, along its normal [m].

    Args:
        sightings: In the order of time.
        corrections: One of each sighting.
        strides: Sightings this far apart are compared.
    """
    poses = _Moved(sightings, corrections)
    found = [np.abs(poses.compare(pair)[0]) for pair in _shared_patches(sightings, strides)]
    return np.concatenate([np.zeros(0), *found])


def correction_motions(
    corrections: Float64[np.ndarray, "T 3"],
    cars_in_world: Float64[np.ndarray, "T 3"],
    yaws: Float64[np.ndarray, " T"],
) -> Float64[np.ndarray, "T 4 4"]:
    """`corrected_from_recorded` in world: lifts by z and turns about the car by (roll, pitch, 0).

    The rotation vector's axes are the car's forward and left directions laid level; x, y and heading of the
    car stay.
    """
    z, roll, pitch = corrections.T
    cosine, sine = np.cos(yaws), np.sin(yaws)
    axis = np.stack([cosine * roll - sine * pitch, sine * roll + cosine * pitch, np.zeros_like(roll)], axis=1)
    motions = np.zeros((len(z), 4, 4))
    turns = se3_exp(torch.from_numpy(np.concatenate([np.zeros_like(axis), axis], axis=1)))
    motions[:, :3, :3] = turns[:, :3, :3].numpy()
    motions[:, :3, 3] = cars_in_world - np.einsum("tij,tj->ti", motions[:, :3, :3], cars_in_world)
    motions[:, 2, 3] += z
    motions[:, 3, 3] = 1.0
    return motions


class _Moved:
    """The sightings with their corrections applied."""

    def __init__(self, sightings: Sequence[Sighting], corrections: Float64[np.ndarray, "T 3"]) -> None:
        self.sightings = sightings
        self.cars = np.stack([sighting.car_in_world for sighting in sightings])
        self.yaws = np.array([sighting.yaw for sighting in sightings])
        self.motions = correction_motions(corrections, self.cars, self.yaws)

    def compare(self, pair: _Shared) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Disagreement along the normal [m], its derivatives (6: first, then second) and its variance."""
        a, normal_a, sigma_a = self._take(pair.first, pair.rows_first)
        b, normal_b, sigma_b = self._take(pair.second, pair.rows_second)
        normal = normal_a + normal_b
        normal /= np.linalg.norm(normal, axis=1, keepdims=True)
        error = ((a - b) * normal).sum(axis=1)
        slopes = np.concatenate(
            [self._derivatives(pair.first, a, normal), -self._derivatives(pair.second, b, normal)], axis=1
        )
        return error, slopes, sigma_a**2 + sigma_b**2

    def _take(self, index: int, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        patches = self.sightings[index].patches
        assert patches is not None
        motion = self.motions[index]
        points = patches.points[rows] @ motion[:3, :3].T + motion[:3, 3]
        return points, patches.normals[rows] @ motion[:3, :3].T, patches.sigma_m[rows]

    def _derivatives(self, index: int, points: np.ndarray, normals: np.ndarray) -> np.ndarray:
        """Of points . normals with respect to z, roll and pitch of a sighting."""
        yaw = self.yaws[index]
        torque = np.cross(points - self.cars[index], normals)  # n . (w x l) = w . (l x n)
        roll = np.cos(yaw) * torque[:, 0] + np.sin(yaw) * torque[:, 1]
        pitch = np.cos(yaw) * torque[:, 1] - np.sin(yaw) * torque[:, 0]
        return np.stack([normals[:, 2], roll, pitch], axis=1)


class _BlockSystem:
    """Normal equations of 3 unknowns a sighting, where only sightings at most `reach` apart are coupled.

    Kept as square blocks of `reach` sightings on and beside the diagonal, so that memory and time grow with
    the drive's length only linearly.
    """

    def __init__(self, sightings: int, reach: int) -> None:
        self.sightings = sightings
        self.reach = reach
        blocks = -(-sightings // reach)
        size = 3 * reach
        self.diagonal = np.zeros((blocks, size, size))
        self.beside = np.zeros((blocks, size, size))
        """Rows in one block, columns in the next."""
        self.gradient = np.zeros((blocks, size))

    def add(self, indices: Sequence[int], hessian: np.ndarray, gradient: np.ndarray) -> None:
        """Adds J^T W J and J^T W r of a residual of one or two sightings, the earlier one first."""
        for m, i in enumerate(indices):
            block, row = divmod(i, self.reach)
            rows = slice(3 * row, 3 * row + 3)
            self.gradient[block, rows] += gradient[3 * m : 3 * m + 3]
            for n, j in enumerate(indices):
                other, column = divmod(j, self.reach)
                part = hessian[3 * m : 3 * m + 3, 3 * n : 3 * n + 3]
                columns = slice(3 * column, 3 * column + 3)
                if other == block:
                    self.diagonal[block, rows, columns] += part
                elif other == block + 1:
                    self.beside[block, rows, columns] += part

    def solve(self) -> Float64[np.ndarray, "T 3"]:
        """The Gauss-Newton step, by elimination from the first block to the last and back."""
        unused = np.arange(self.gradient.size).reshape(self.gradient.shape) >= 3 * self.sightings
        diagonal = self.diagonal + np.eye(3 * self.reach) * unused[:, :, None]
        right = -self.gradient
        for k in range(1, len(diagonal)):
            carried = np.linalg.solve(diagonal[k - 1], np.c_[self.beside[k - 1], right[k - 1]])
            diagonal[k] -= self.beside[k - 1].T @ carried[:, :-1]
            right[k] -= self.beside[k - 1].T @ carried[:, -1]
        step = np.zeros_like(right)
        after = np.zeros(3 * self.reach)
        for k in reversed(range(len(diagonal))):
            step[k] = np.linalg.solve(diagonal[k], right[k] - self.beside[k] @ after)
            after = step[k]
        return step.reshape(-1, 3)[: self.sightings]


def _add_priors(system: _BlockSystem, corrections: np.ndarray, times: np.ndarray, priors: Priors) -> None:
    weight = np.array([priors.height_m, priors.tilt_rad, priors.tilt_rad]) ** -2.0
    walk = np.array([priors.height_walk_m, priors.tilt_walk_rad, priors.tilt_walk_rad]) ** -2.0
    for i, correction in enumerate(corrections):
        system.add([i], np.diag(weight), weight * correction)
        if i > 0:
            stiff = walk / max(times[i] - times[i - 1], 1e-3)
            pull = stiff * (correction - corrections[i - 1])
            along = np.diag(stiff)
            system.add(
                [i - 1, i], np.block([[along, -along], [-along, along]]), np.concatenate([-pull, pull])
            )


def _add_pair(system: _BlockSystem, poses: _Moved, pair: _Shared, scale_m: float) -> None:
    error, slopes, variance = poses.compare(pair)
    share = _INDEPENDENT / len(error)
    weight = share * (1 + (error / scale_m) ** 2) ** -2.0 / variance  # Geman, McClure
    weighted = slopes * weight[:, None]
    system.add([pair.first, pair.second], weighted.T @ slopes, weighted.T @ error)


def _shared_patches(sightings: Sequence[Sighting], strides: Sequence[int]) -> Iterator[_Shared]:
    for stride in strides:
        for i in range(len(sightings) - stride):
            first, second = sightings[i].patches, sightings[i + stride].patches
            if first is None or second is None:
                continue
            _, rows_first, rows_second = np.intersect1d(
                first.cells, second.cells, assume_unique=True, return_indices=True
            )
            if len(rows_first) >= _FEWEST_SHARED:
                yield _Shared(i, i + stride, rows_first, rows_second)
