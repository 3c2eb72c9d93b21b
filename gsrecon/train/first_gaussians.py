"""First Gaussians at coloured points, no more than the cap allows."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from gsrecon.gaussians.gaussians import Gaussians
from gsrecon.gaussians.init import InitialGaussians, gaussians_from_points
from gsrecon.gaussians.order import morton_order
from gsrecon.ops.knn import mean_neighbour_distance
from gsrecon.train.config import TrainConfig


def first_gaussians(
    points: Float[Tensor, "N 3"],
    colors: Float[Tensor, "N 3"],
    largest_m: Float[Tensor, " N"],
    config: TrainConfig,
    generator: torch.Generator,
) -> tuple[Gaussians, Int64[Tensor, " M"]]:
    """As large as their neighbours are far, and in an order that keeps neighbours together.

    Args:
        points: Centres [m].
        colors: RGB in [0, 1].
        largest_m: Upper limits of the standard deviations [m], infinite where neighbours alone decide.
        config: The cap, opacity and degree of harmonics.
        generator: Chooses among more points than the cap.

    Returns:
        The Gaussians, and the row of the point at which each stands.
    """
    kept = at_most(config.density.cap, torch.arange(len(points)), generator)
    points, colors, largest_m = points[kept], colors[kept], largest_m[kept]
    shape = InitialGaussians(sh_degree=config.sh_degree, opacity=config.initial.opacity)
    scales = torch.minimum(mean_neighbour_distance(points, k=3) * shape.scale_factor, largest_m)
    order = morton_order(points)
    return gaussians_from_points(points[order], colors[order], shape, scales[order]), kept[order]


def at_most(count: int, rows: Int64[Tensor, " N"], generator: torch.Generator) -> Int64[Tensor, " M"]:
    """A random choice of rows, in their order, where there are too many."""
    if len(rows) <= count:
        return rows
    return rows[torch.randperm(len(rows), generator=generator)[:count].sort().values]
