"""Oriented boxes: a size (length, width, height) and the pose of the box's centre."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gsrecon.geometry.rigid import inverse, transform_points

# Corners as signs along (length, width, height): the front face counter-clockwise seen from behind the
# box, starting at the upper left, then the rear face in the same order.
_CORNER_SIGNS = (
    (1, 1, 1),
    (1, 1, -1),
    (1, -1, -1),
    (1, -1, 1),
    (-1, 1, 1),
    (-1, 1, -1),
    (-1, -1, -1),
    (-1, -1, 1),
)


def box_corners(
    size_lwh: Float[Tensor, "*batch 3"], world_from_actor: Float[Tensor, "*batch 4 4"]
) -> Float[Tensor, "*batch 8 3"]:
    """Corners in world [m]: front face first (upper left, lower left, lower right, upper right), then rear.

    Args:
        size_lwh: Length (actor x), width (actor y) and height (actor z) [m].
        world_from_actor: Poses of the box centres, x along the length, y left, z up.
    """
    signs = torch.tensor(_CORNER_SIGNS, dtype=size_lwh.dtype, device=size_lwh.device)
    corners_in_actor = 0.5 * signs * size_lwh[..., None, :]
    return transform_points(world_from_actor, corners_in_actor)


def points_in_box(
    points_in_world: Float[Tensor, "N 3"],
    size_lwh: Float[Tensor, "3"],
    world_from_actor: Float[Tensor, "4 4"],
) -> Bool[Tensor, " N"]:
    """True for points inside the box or on its surface.

    Args:
        points_in_world: Points in world [m].
        size_lwh: Length, width and height of the box [m].
        world_from_actor: Pose of the box centre.
    """
    points_in_actor = transform_points(inverse(world_from_actor), points_in_world)
    return (points_in_actor.abs() <= 0.5 * size_lwh).all(dim=-1)
