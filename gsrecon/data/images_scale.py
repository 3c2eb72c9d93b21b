"""How long a metre is in a model from pictures alone."""

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

_FEWEST = 20
"""Points that must agree before a scale is taken from them."""

_SAME_RAY = 0.01
"""Lidar points belong to a point of the model up to this angle between their rays [rad]."""

_MOST_DISTANCES = 10_000_000
"""Distances held in memory at once."""

_SMOOTH = 1.1
"""Lidar points around a ray belong to one surface while the farthest is no farther than this, relatively."""


def path_length(positions: Float64[np.ndarray, "T 3"]) -> float:
    """Length of a path along its positions, in their units."""
    return float(np.linalg.norm(np.diff(positions, axis=0), axis=1).sum())


def camera_height(points: Float64[np.ndarray, "N 3"], positions: Float64[np.ndarray, "T 3"]) -> float | None:
    """Height of a camera over the road it drives on, in the points' units; None where no road is found.

    Points are taken below the camera position nearest to them (z is up) and close to the path. The road is
    the height at which most of them lie.
    """
    if len(points) == 0:
        return None
    distances, nearests = _nearest(torch.from_numpy(points[:, :2]), torch.from_numpy(positions[:, :2]), 1)
    distance, nearest = distances[:, 0].numpy(), nearests[:, 0].numpy()
    below = positions[nearest, 2] - points[:, 2]
    near = (below > 0) & (distance < 4 * below)
    if near.sum() < _FEWEST:
        return None
    logs = np.log(below[near])
    # Bins of 4 %, counted with their neighbours.
    edges = np.arange(logs.min() - 0.06, logs.max() + 0.1, 0.04)
    counts = np.convolve(np.histogram(logs, edges)[0], [1, 2, 1], mode="same")
    peak = edges[int(np.argmax(counts))] + 0.02
    at_peak = np.abs(logs - peak) < 0.06
    return float(np.exp(np.median(logs[at_peak]))) if at_peak.sum() >= _FEWEST else None


def lidar_ratios(
    points_in_cam: Float64[np.ndarray, "N 3"], lidar_in_cam: Float64[np.ndarray, "L 3"]
) -> Float64[np.ndarray, " M"]:
    """Lidar's depth over the model's [m per unit] for the points with lidar around their ray."""
    points_in_cam = points_in_cam[points_in_cam[:, 2] > 0]
    lidar_in_cam = lidar_in_cam[lidar_in_cam[:, 2] > 0.5]
    if len(points_in_cam) == 0 or len(lidar_in_cam) < 3:
        return np.zeros(0)
    rays, beams = (
        torch.from_numpy(found[:, :2] / found[:, 2:]).float() for found in (points_in_cam, lidar_in_cam)
    )
    apart, nearest = _nearest(rays, beams, 3)
    depths = lidar_in_cam[nearest.numpy(), 2]
    good = (apart[:, 2] < _SAME_RAY).numpy() & (depths.max(axis=1) < _SMOOTH * depths.min(axis=1))
    return np.median(depths, axis=1)[good] / points_in_cam[good, 2]


def _nearest(
    points: Float[Tensor, "N 2"], others: Float[Tensor, "M 2"], count: int
) -> tuple[Float[Tensor, "N k"], Int64[Tensor, "N k"]]:
    """Distances and rows of each point's nearest others, nearest first."""
    rows_at_once = max(1, _MOST_DISTANCES // len(others))
    parts = [
        torch.cdist(part, others).topk(count, dim=1, largest=False) for part in points.split(rows_at_once)
    ]
    distances, rows = zip(*parts, strict=True)
    return torch.cat(distances), torch.cat(rows)
