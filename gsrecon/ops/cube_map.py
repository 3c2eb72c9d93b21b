"""A picture over a cube map: six square faces of plain colours at infinity."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from gsrecon.ops import _native_cube_map
from gsrecon.ops._native import is_compiled

LEAST_LIGHT = 0.002
"""Where a pixel lets less light through, the map shows less than half a step of 8-bit colour."""


def over_cube_map(
    image: Float[Tensor, "H W 3"],
    alpha: Float[Tensor, "H W"],
    texels: Float[Tensor, "6 R R 3"],
    directions_in_cam: Float[Tensor, "H W 3"],
    world_from_cam: Float[Tensor, "3 3"],
) -> Float[Tensor, "H W 3"]:
    """A picture + (1 - alpha) map, where enough light comes through; differentiable in the first three.

    float32 goes through one compiled pass for values and gradients, everything else through plain torch, the
    reference; so does a GPU where torch is asked for deterministic algorithms, as pixels share texels.

    Args:
        image: Colours in front, weighted by alpha.
        alpha: How much of the light they stop.
        texels: The map; see `look_up` for its layout.
        directions_in_cam: Viewing direction of every pixel in the camera, of any length but zero.
        world_from_cam: The camera's rotation.
    """
    tensors = (image, alpha, texels, directions_in_cam, world_from_cam)
    exact = texels.device.type == "cuda" and torch.are_deterministic_algorithms_enabled()
    if exact or not is_compiled(*tensors):
        return over_cube_map_reference(*tensors)
    shown = _native_cube_map.cube_map(
        image.reshape(-1, 3),
        alpha.reshape(-1),
        texels,
        directions_in_cam.reshape(-1, 3),
        world_from_cam,
        LEAST_LIGHT,
    )
    return shown.reshape(image.shape)


def over_cube_map_reference(
    image: Float[Tensor, "H W 3"],
    alpha: Float[Tensor, "H W"],
    texels: Float[Tensor, "6 R R 3"],
    directions_in_cam: Float[Tensor, "H W 3"],
    world_from_cam: Float[Tensor, "3 3"],
) -> Float[Tensor, "H W 3"]:
    """The same in plain torch, any float precision and device."""
    # Not as a matrix product: on a GPU those are not deterministic without a variable of their own.
    in_cam, rotation = directions_in_cam.to(texels.dtype), world_from_cam.to(texels.dtype)
    directions = (in_cam[..., None, :] * rotation).sum(dim=-1)
    light = torch.where(1 - alpha > LEAST_LIGHT, 1 - alpha, 0.0)
    return image + light[..., None] * look_up(texels, directions.reshape(-1, 3)).reshape(image.shape)


def look_up(texels: Float[Tensor, "6 R R 3"], directions: Float[Tensor, "M 3"]) -> Float[Tensor, "M 3"]:
    """Colours in directions of any length but zero, bilinearly filtered; differentiable in the texels.

    Face 2a looks along the positive axis a (x, y, z), face 2a + 1 along the negative one; columns follow the
    next axis, rows the one after it. Filtering stops at a face's edge.
    """
    rows, weights = _corners(directions, texels.shape[1])
    return (texels.reshape(-1, 3)[rows] * weights[..., None]).sum(dim=1)


def _corners(
    directions: Float[Tensor, "M 3"], size: int
) -> tuple[Int64[Tensor, "M 4"], Float[Tensor, "M 4"]]:
    """Flat indices and weights of the four texels around each direction."""
    lengths, axis = directions.abs().max(dim=1)
    along = directions.gather(1, axis[:, None])[:, 0]
    face = 2 * axis + (along < 0)
    others = torch.stack([(axis + 1) % 3, (axis + 2) % 3], dim=1)
    place = directions.gather(1, others) / lengths[:, None]
    place = ((place + 1) * (0.5 * size) - 0.5).clamp(0, size - 1)
    low = place.floor().clamp(max=max(size - 2, 0))
    share = place - low
    column, row = low.long().unbind(1)
    first = (face * size + row) * size + column
    step = 0 if size == 1 else 1
    rows = torch.stack([first, first + step, first + step * size, first + step * (size + 1)], dim=1)
    right, down = share.unbind(1)
    weights = torch.stack(
        [(1 - right) * (1 - down), right * (1 - down), (1 - right) * down, right * down], dim=1
    )
    return rows, weights
