"""First Gaussians from coloured points."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from gsrecon.gaussians.gaussians import Gaussians
from gsrecon.gaussians.surfaces import surface_frames
from gsrecon.geometry.spherical_harmonics import rgb_to_sh0
from gsrecon.ops.knn import mean_neighbour_distance

_MOST_VOXELS = 2**62


@dataclass(frozen=True)
class InitialGaussians:
    """How points become Gaussians."""

    sh_degree: int = 2
    """Degree of the harmonics that each Gaussian holds."""
    opacity: float = 0.3
    """Opacity of every first Gaussian."""
    scale_factor: float = 0.7
    """Standard deviation as a multiple of the mean distance to the three nearest points."""
    smallest_scale: float = 0.005
    """Lower limit of the standard deviations [m]."""
    largest_scale: float = 5.0
    """Upper limit of the standard deviations [m]."""
    thickness: float = 0.1
    """Standard deviation across a surface over that along it, where the points lie on one."""


def gaussians_from_points(
    points: Float[Tensor, "N 3"],
    colors: Float[Tensor, "N 3"],
    config: InitialGaussians,
    scales: Float[Tensor, " N"] | None = None,
) -> Gaussians:
    """Gaussians at points: discs where the points lie on a surface, else balls.

    Args:
        points: Centres [m].
        colors: RGB in [0, 1].
        config: Opacity, degree of harmonics, limits of the scales.
        scales: Standard deviations [m], where they are known better than by the neighbours' distances.

    Raises:
        ValueError: There are no points, or a colour is missing for some.
    """
    count = len(points)
    if count == 0:
        raise ValueError("points: expected at least one, got none; a scene cannot start from nothing")
    if colors.shape != (count, 3):
        raise ValueError(f"colors: expected [{count}, 3], got {list(colors.shape)}")
    if scales is None:
        scales = config.scale_factor * mean_neighbour_distance(points, k=3)
    quats, flat = surface_frames(points)
    spread = scales[:, None].repeat(1, 3)
    spread[flat, 0] *= config.thickness
    log_scales = spread.clamp(config.smallest_scale, config.largest_scale).log()
    rest = (config.sh_degree + 1) ** 2 - 1
    return Gaussians(
        means=points.clone(),
        quats=quats,
        log_scales=log_scales,
        logit_opacities=points.new_full((count,), config.opacity).logit(),
        sh0=rgb_to_sh0(colors),
        sh_rest=points.new_zeros(count, rest, 3),
    )


def thin_by_voxels(points: Float[Tensor, "N 3"], size: float) -> Int64[Tensor, " M"]:
    """Rows of one point a voxel, the first of each, in the order of the points.

    Args:
        points: Positions [m].
        size: Edge of a voxel [m]; 0 keeps all.
    """
    if size <= 0 or len(points) == 0:
        return torch.arange(len(points), device=points.device)
    voxels, order = _voxel_numbers(points, size).sort(stable=True)
    first = torch.ones_like(voxels, dtype=torch.bool)
    first[1:] = voxels[1:] != voxels[:-1]
    return order[first].sort().values


def thin_to_most(points: Float[Tensor, "N 3"], size: float, most: int) -> Int64[Tensor, " M"]:
    """Rows of one point a voxel of an edge [m], which grows until there are at most so many."""
    rows = thin_by_voxels(points, size)
    while len(rows) > most:
        size *= 1.25
        rows = thin_by_voxels(points, size)
    return rows


def _voxel_numbers(points: Float[Tensor, "N 3"], size: float) -> Int64[Tensor, " N"]:
    """A number for each voxel."""
    numbers, count = torch.zeros(len(points), dtype=torch.int64, device=points.device), 1
    for axis in range(3):
        cells = torch.floor(points[:, axis].double() / size).long()
        cells -= cells.min()
        extent = int(cells.max()) + 1
        if count * extent > _MOST_VOXELS:  # a few points very far apart
            numbers, count = torch.unique(numbers, return_inverse=True)[1], len(points)
            cells = torch.unique(cells, return_inverse=True)[1]
            extent = len(points)
        numbers, count = numbers * extent + cells, count * extent
    return numbers
