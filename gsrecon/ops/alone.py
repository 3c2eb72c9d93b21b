"""Objects drawn without anything else: how much of each pixel an object's own Gaussians would cover."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float, Int32, Int64
from torch import Tensor

from gsrecon.geometry.camera import Cameras
from gsrecon.ops import _native
from gsrecon.ops._native import fresh
from gsrecon.ops.rasterize import Backend, project_compiled
from gsrecon.ops.reference import compose_poses, project
from gsrecon.ops.settings import ALPHA_MAX, ALPHA_MIN, RasterizeSettings
from gsrecon.ops.splats import Splats


@dataclass(frozen=True)
class Alone:
    """K objects in one picture, each as it looks with nothing else there."""

    windows: Int32[np.ndarray, "K 4"]
    """Part of the picture that each reaches: left, top, right, bottom [px]; no area where it reaches none."""
    alphas: tuple[Float[np.ndarray, "_ _"], ...]
    """Alpha inside the window, row by row."""


@torch.no_grad()
def draw_alone(
    splats: Splats,
    cameras: Cameras,
    settings: RasterizeSettings,
    objects: int,
    backend: Backend = "auto",
) -> Alone:
    """Each object's alpha, 1 - the product of (1 - alpha) of its own Gaussians.

    A product needs no order and no depth: the cost is that of the Gaussians' own pixels, whatever the number
    of objects. No early stop, so that values lie up to 1e-4 above those of `rasterize`. No gradient.

    Args:
        splats: Activated Gaussians with their `object_index`; those of object 0 are left out.
        cameras: One camera.
        settings: As the picture was drawn.
        objects: Objects are numbered below this; the result has a row for each, 0 too.
        backend: As `rasterize`.

    Raises:
        ValueError: There is not exactly one camera, or the splats have no `object_index`.
    """
    if len(cameras) != 1 or splats.object_index is None:
        raise ValueError(
            f"cameras, splats: expected one camera and an object_index, got {len(cameras)} and "
            f"{'none' if splats.object_index is None else 'one'}"
        )
    size = (cameras.width, cameras.height)
    if backend == "reference":
        shown = project(
            splats.means,
            splats.quats,
            splats.scales,
            splats.opacities,
            compose_poses(cameras.viewmats, splats.world_from_object),
            splats.object_index,
            cameras.Ks,
            *size,
            settings,
            cameras.model,
            cameras.distortion,
        )
    else:
        shown = project_compiled(splats, cameras, settings, sh_degree=-1)
    means2d, radii, conics, opacities = shown.means2d[0], shown.radii[0], shown.conics[0], shown.opacities[0]
    rows, first = _by_object(splats.object_index, radii, objects)
    windows = _windows(means2d, radii, rows, first, *size)
    areas = (windows[:, 2] - windows[:, 0]).astype(np.int64) * (windows[:, 3] - windows[:, 1])
    first_pixel = np.concatenate([[0], np.cumsum(areas)])
    if backend == "reference":
        parts = [
            _reference(means2d[of], conics[of], opacities[of], window)
            for of, window in zip(_split(rows, first), windows, strict=True)
        ]
        return Alone(windows, tuple(parts))
    alpha = fresh(means2d, (int(first_pixel[-1]),))
    places = (torch.from_numpy(part).to(alpha.device) for part in (first, windows, first_pixel))
    _native.kernels_for(alpha).alone(means2d, radii, conics, opacities, rows.int(), *places, alpha)
    pixels = alpha.cpu().numpy()
    parts = [
        pixels[first_pixel[k] : first_pixel[k + 1]].reshape(bottom - top, right - left)
        for k, (left, top, right, bottom) in enumerate(windows.tolist())
    ]
    return Alone(windows, tuple(parts))


def _by_object(
    object_index: Int32[Tensor, " N"], radii: Int32[Tensor, "N 2"], objects: int
) -> tuple[Int64[Tensor, " M"], Int64[np.ndarray, " _"]]:
    """Visible rows object by object, and where each object's begin."""
    rows = ((object_index > 0) & (radii > 0).all(dim=1)).nonzero()[:, 0]
    of_row = object_index[rows].long()
    rows = rows[of_row.argsort(stable=True)]
    counts = torch.bincount(of_row, minlength=objects)
    if len(counts) > objects:
        raise ValueError(f"objects: expected more than {len(counts) - 1}, got {objects}")
    return rows, np.concatenate([[0], counts.cumsum(0).cpu().numpy()]).astype(np.int64)


def _split(rows: Int64[Tensor, " M"], first: Int64[np.ndarray, " _"]) -> list[Int64[Tensor, " _"]]:
    return [rows[start:stop] for start, stop in pairwise(first.tolist())]


def _windows(
    means2d: Float[Tensor, "N 2"],
    radii: Int32[Tensor, "N 2"],
    rows: Int64[Tensor, " M"],
    first: Int64[np.ndarray, " _"],
    width: int,
    height: int,
) -> Int32[np.ndarray, "K 4"]:
    windows = np.zeros((len(first) - 1, 4), dtype=np.int32)
    low, high = (
        edge.cpu().numpy() for edge in ((means2d - radii)[rows].floor(), (means2d + radii)[rows].ceil())
    )
    for k, (start, stop) in enumerate(pairwise(first)):
        if stop > start:
            left, top = low[start:stop].min(axis=0).clip(0, (width, height))
            right, bottom = high[start:stop].max(axis=0).clip(0, (width, height))
            if right > left and bottom > top:
                windows[k] = left, top, right, bottom
    return windows


def _reference(
    means2d: Float[Tensor, "M 2"],
    conics: Float[Tensor, "M 3"],
    opacities: Float[Tensor, " M"],
    window: Int32[np.ndarray, " 4"],
) -> Float[np.ndarray, "_ _"]:
    left, top, right, bottom = window.tolist()
    y, x = torch.meshgrid(
        torch.arange(top, bottom, dtype=means2d.dtype, device=means2d.device) + 0.5,
        torch.arange(left, right, dtype=means2d.dtype, device=means2d.device) + 0.5,
        indexing="ij",
    )
    left_over = torch.ones_like(x)
    for mean, (xx, xy, yy), opacity in zip(means2d, conics, opacities, strict=True):
        dx, dy = x - mean[0], y - mean[1]
        sigma = 0.5 * (xx * dx * dx + yy * dy * dy) + xy * dx * dy
        alpha = (opacity * (-sigma).exp()).clamp(max=ALPHA_MAX)
        left_over = left_over * torch.where((sigma >= 0) & (alpha >= ALPHA_MIN), 1 - alpha, 1.0)
    return (1 - left_over).cpu().numpy()
