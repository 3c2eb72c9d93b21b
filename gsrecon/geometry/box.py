"""Oriented boxes: a size (length, width, height) and the pose of the box's centre."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gsrecon.geometry.rigid import transform_points

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


def boxes_overlap(
    size_a: Float[Tensor, "*batch 3"],
    world_from_a: Float[Tensor, "*batch 4 4"],
    size_b: Float[Tensor, "*batch 3"],
    world_from_b: Float[Tensor, "*batch 4 4"],
) -> Bool[Tensor, "*batch"]:
    """True where two boxes have a part in common; boxes that only touch have none.

    Two convex bodies are apart where their shadows on some line are; for boxes it is enough to look along the
    axes of both and across each pair of them. Source: Gottschalk, Lin, Manocha, "OBBTree", 1996.

    Args:
        size_a: Length, width and height of the one [m].
        world_from_a: Pose of its centre.
        size_b: Of the other.
        world_from_b: Pose of its centre.
    """
    turn = world_from_a[..., :3, :3].transpose(-1, -2) @ world_from_b[..., :3, :3]
    between = (world_from_b[..., :3, 3] - world_from_a[..., :3, 3])[..., None, :] @ world_from_a[..., :3, :3]
    half_a, half_b = 0.5 * size_a, 0.5 * size_b
    own = torch.eye(3, dtype=turn.dtype, device=turn.device).expand_as(turn)
    # Rows are axes, in the frame of the first box.
    axes_b = turn.transpose(-1, -2)
    across = torch.linalg.cross(own[..., :, None, :], axes_b[..., None, :, :]).flatten(-3, -2)
    axes = torch.cat([own, axes_b, across], dim=-2)
    reach_a = (axes.abs() * half_a[..., None, :]).sum(-1)
    reach_b = ((axes @ turn).abs() * half_b[..., None, :]).sum(-1)
    apart = (axes * between).sum(-1).abs() >= reach_a + reach_b
    # Across parallel axes there is no direction to look along.
    return ~(apart & (axes.square().sum(-1) > 1e-9)).any(-1)
