"""Points for what the lidar does not reach: high, far and dark things."""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from gsrecon.data.log import Camera, DrivingLog
from gsrecon.geometry.camera import Cameras
from gsrecon.scene.rays import directions_in_cam
from gsrecon.train.config import InitialPoints
from gsrecon.train.views import View, Views

_LIDAR_REACH_PX = 4
"""Pixels farther than this from any lidar point are beyond the lidar."""
_FIRST_RADIUS_PX = 2.0
"""Largest standard deviation of a point beyond the lidar, in pixels of the picture it was taken from."""
_UPRIGHT_SPREAD = 0.05
"""Standard deviation of the logarithm of a depth that is taken from the lidar below."""


def points_beyond_lidar(
    views: Views, log: DrivingLog, initial: InitialPoints, generator: torch.Generator
) -> tuple[Float[Tensor, "N 3"], Float[Tensor, "N 3"], Float[Tensor, " N"]]:
    """Points on rays of pixels without lidar nearby.

    Streets are lined by upright things that reach higher than the lidar: a share of the points above the
    highest lidar point of their column stands as far away as that point, all others at depths spread evenly
    in the logarithm. Training finds out which of them stand where something is; the others fade.

    Returns:
        Points in world [m], their colours in [0, 1], and the size of some pixels there [m].
    """
    per_view = -(-initial.beyond_lidar // max(1, len(views)))
    points, colors, sizes = [torch.zeros(0, 3)], [torch.zeros(0, 3)], [torch.zeros(0)]
    for view in views.in_order(range(len(views) if initial.beyond_lidar > 0 else 0)):
        candidates = _beyond_lidar(view).reshape(-1).nonzero()[:, 0]
        if len(candidates) == 0:
            continue
        chosen = candidates[torch.randint(len(candidates), (per_view,), generator=generator)]
        row = torch.div(chosen, view.image.shape[1], rounding_mode="floor")
        column = chosen - row * view.image.shape[1]
        depths = _depths(view, row, column, initial, generator)
        camera = log.cameras[view.frame.camera]
        rays = directions_in_cam(_lens(camera), 0, column + 0.5, row + 0.5)
        in_cam = rays / rays[:, 2:].clamp_min(0.1) * depths[:, None]
        world_from_cam = torch.from_numpy(view.frame.world_from_cam)
        in_world = in_cam.double() @ world_from_cam[:3, :3].T + world_from_cam[:3, 3]
        points.append(in_world.float())
        colors.append(view.image.reshape(-1, 3)[chosen].float() / 255)
        sizes.append(_FIRST_RADIUS_PX * depths / float(camera.K[0, 0]))
    wanted = slice(initial.beyond_lidar)
    return torch.cat(points)[wanted], torch.cat(colors)[wanted], torch.cat(sizes)[wanted]


def _depths(
    view: View,
    row: Int64[Tensor, " M"],
    column: Int64[Tensor, " M"],
    initial: InitialPoints,
    generator: torch.Generator,
) -> Float[Tensor, " M"]:
    """Depths along z [m] for pixels beyond the lidar."""
    anywhere = torch.rand(len(row), generator=generator)
    depths = initial.nearest * (initial.farthest / initial.nearest) ** anywhere
    top_row, top_depth = _highest_lidar(view)
    spread = torch.exp(_UPRIGHT_SPREAD * torch.randn(len(row), generator=generator))
    upright = torch.rand(len(row), generator=generator) < initial.upright_share
    return torch.where(upright & (row < top_row[column]), top_depth[column] * spread, depths)


def _highest_lidar(view: View) -> tuple[Int64[Tensor, " W"], Float[Tensor, " W"]]:
    """Row and depth [m] of the highest lidar point in or near each column; row -1 where there is none."""
    width = view.image.shape[1]
    top_row, top_depth = torch.full((width,), -1), torch.zeros(width)
    # One point a pixel: from the lowest row to the highest, and from far columns to the column itself.
    pixels = view.depth_pixels.long()
    order = pixels.argsort(descending=True)
    row = torch.div(pixels[order], width, rounding_mode="floor")
    column, depth = pixels[order] - row * width, view.depths[order]
    last = torch.full((width,), -1)
    last.scatter_reduce_(0, column, torch.arange(len(order)), reduce="amax")
    for reach in sorted(range(-_LIDAR_REACH_PX, _LIDAR_REACH_PX + 1), key=abs, reverse=True):
        here = (last >= 0).nonzero()[:, 0]
        here = here[(here + reach >= 0) & (here + reach < width)]
        top_row[here + reach], top_depth[here + reach] = row[last[here]], depth[last[here]]
    return top_row, top_depth


def _beyond_lidar(view: View) -> Bool[Tensor, "H W"]:
    """Pixels that count, are not known to be sky, and have no lidar point near them."""
    height, width = view.image.shape[:2]
    hits = torch.zeros(height * width)
    hits[view.depth_pixels] = 1
    size = 2 * _LIDAR_REACH_PX + 1
    near = torch.nn.functional.max_pool2d(
        hits.reshape(1, height, width), size, stride=1, padding=_LIDAR_REACH_PX
    )[0]
    beyond = near == 0
    if view.counts is not None:
        beyond &= view.counts
    if view.sky is not None:
        beyond &= ~view.sky
    return beyond


def _lens(camera: Camera) -> Cameras:
    """A camera at the origin of its own axes."""
    return Cameras(
        viewmats=torch.eye(4)[None],
        Ks=torch.from_numpy(camera.K).float()[None],
        width=camera.width,
        height=camera.height,
        model=camera.model,
        distortion=None if camera.distortion is None else torch.tensor([camera.distortion]),
    )
