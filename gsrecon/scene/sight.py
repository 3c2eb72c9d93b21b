"""Which places a camera may see, cheaply and on the safe side."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gsrecon.geometry.camera import Cameras
from gsrecon.ops.settings import FRUSTUM_MARGIN

_BLUR_PX = 2.0
"""The picture is taken to be this much larger on all sides, for the rasterizer widens what it draws."""


def may_be_seen(
    points_in_world: Float[Tensor, "N 3"], reach: Float[Tensor, " N"] | float, cameras: Cameras
) -> Bool[Tensor, " N"]:
    """False only where no camera sees any point within `reach` [m] of the place.

    The rasterizer's linearised projection draws a Gaussian somewhat wider than it is; that is allowed for.
    Pinhole cameras look through four planes; of other lenses nothing is known here, and all may be seen.
    """
    seen = torch.zeros(len(points_in_world), dtype=torch.bool, device=points_in_world.device)
    with torch.no_grad():
        for camera in range(len(cameras)):
            if cameras.model != "pinhole":
                return torch.ones_like(seen)
            view = cameras.viewmats[camera].to(points_in_world)
            planes = _side_planes(cameras, camera).to(points_in_world)
            # Planes go through the camera's centre: turned into world, their offset is that of the centre.
            normals, offsets = planes @ view[:3, :3], planes @ view[:3, 3]
            inside = points_in_world @ normals.T + offsets
            seen |= (inside.amin(dim=1) + (1 + FRUSTUM_MARGIN) * reach) > 0
    return seen


def _side_planes(cameras: Cameras, camera: int) -> Float[Tensor, "5 3"]:
    """Unit normals, inwards, of the planes left, right, above, below and behind, in camera axes.

    A pixel x = fx X / Z + cx is right of the left edge where fx X + cx Z > 0, and so on: each plane is a row
    of K or a difference of two.
    """
    edges = torch.tensor(
        [
            [1.0, 0.0, _BLUR_PX],
            [-1.0, 0.0, cameras.width + _BLUR_PX],
            [0.0, 1.0, _BLUR_PX],
            [0.0, -1.0, cameras.height + _BLUR_PX],
            [0.0, 0.0, 1.0],
        ]
    )
    K = cameras.Ks[camera].detach()
    return torch.nn.functional.normalize(edges.to(K, non_blocking=True) @ K, dim=1)
