"""The specification's second half: blending projected Gaussians front to back."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int, Int32
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from gsrecon.ops.masking import where
from gsrecon.ops.reference_projection import Projected
from gsrecon.ops.settings import (
    ALPHA_MAX,
    ALPHA_MIN,
    DEPTH_ALPHA_MIN,
    TRANSMITTANCE_STOP,
    RasterizeSettings,
)

_TILE = 16
_MAX_PAIRS = 1 << 20


@dataclass(frozen=True)
class Composited:
    """Pictures of C cameras; fields as in `Rasterized`."""

    image: Float[Tensor, "C H W 3"]
    alpha: Float[Tensor, "C H W"]
    depth: Float[Tensor, "C H W"] | None
    ids: Int32[Tensor, "C H W"] | None
    median_depth: Float[Tensor, "C H W"] | None
    features: Float[Tensor, "C H W F"] | None


def composite(
    projected: Projected,
    colors: Float[Tensor, "C N 3"],
    width: int,
    height: int,
    settings: RasterizeSettings,
    *,
    features: Float[Tensor, "N F"] | None = None,
    object_index: Int32[Tensor, " N"] | None = None,
    backgrounds: Float[Tensor, "C 3"] | None = None,
    absgrad_probe: Float[Tensor, "C N 2"] | None = None,
) -> Composited:
    """Blend projected Gaussians front to back, by depth along z, ties by index.

    Args:
        projected: What `project` gave.
        colors: Colours per camera and Gaussian.
        width: Picture width [px].
        height: Picture height [px].
        settings: Which outputs are wanted.
        features: Extra channels, blended like colours.
        object_index: Object of each Gaussian, for `ids`; None: all 0.
        backgrounds: Colours behind everything; None: black.
        absgrad_probe: Zeros; its gradient becomes the sum over pixels of |dL/dmeans2d|.
    """
    count, gaussians = projected.depths.shape
    if object_index is None:
        object_index = torch.zeros(gaussians, dtype=torch.int32, device=colors.device)
    channels = [colors, projected.depths[..., None]]
    if features is not None:
        channels.append(features.expand(count, -1, -1))
    values = torch.cat(channels, dim=-1)
    pictures = [
        _composite_camera(c, projected, values, object_index, width, height, absgrad_probe)
        for c in range(count)
    ]
    sums, transmittance, ids, median = (torch.stack(parts) for parts in zip(*pictures, strict=True))

    image = sums[..., :3]
    if backgrounds is not None:
        image = image + transmittance[..., None] * backgrounds[:, None, None]
    alpha = 1 - transmittance
    solid = alpha >= DEPTH_ALPHA_MIN
    depth = where(solid, sums[..., 3] / where(solid, alpha, 1.0), 0.0)
    return Composited(
        image=image,
        alpha=alpha,
        depth=depth if settings.depth else None,
        ids=ids if settings.ids else None,
        median_depth=median if settings.median_depth else None,
        features=None if features is None else sums[..., 4:],
    )


def _composite_camera(
    camera: int,
    projected: Projected,
    values: Float[Tensor, "C N D"],
    objects: Int32[Tensor, " N"],
    width: int,
    height: int,
    probe: Float[Tensor, "C N 2"] | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Channel sums [H, W, D], transmittance, ids and median depth [H, W] of one camera, tile by tile.

    Tiles only bound the work: outside mean +- radius, alpha is below 1/255 everywhere.
    """
    means2d, radii = projected.means2d[camera], projected.radii[camera]
    drawn = torch.nonzero((radii > 0).all(-1))[:, 0]
    ordered = drawn[projected.depths[camera].detach()[drawn].argsort(stable=True)]
    low, high = (means2d.detach() - radii)[ordered], (means2d.detach() + radii)[ordered]
    rows = []
    for y0 in range(0, height, _TILE):
        row = []
        for x0 in range(0, width, _TILE):
            x1, y1 = min(x0 + _TILE, width), min(y0 + _TILE, height)
            corner, far_corner = low.new_tensor([x0, y0]), low.new_tensor([x1, y1])
            here = ordered[((high > corner) & (low < far_corner)).all(-1)]
            pixels = _pixel_centres(x0, x1, y0, y1).to(low)
            parts = []
            for chunk in pixels.split(max(1, _MAX_PAIRS // max(1, len(here)))):
                parts.append(
                    _checkpointed(
                        _composite_pixels,
                        chunk,
                        means2d[here],
                        projected.conics[camera, here],
                        projected.opacities[camera, here],
                        values[camera, here],
                        objects[here],
                        None if probe is None else probe[camera, here],
                    )
                )
            row.append([torch.cat(t).unflatten(0, (y1 - y0, x1 - x0)) for t in zip(*parts, strict=True)])
        rows.append([torch.cat(t, dim=1) for t in zip(*row, strict=True)])
    sums, transmittance, ids, median = (torch.cat(t, dim=0) for t in zip(*rows, strict=True))
    return sums, transmittance, ids, median


def _composite_pixels(
    pixels: Float[Tensor, "P 2"],
    means2d: Float[Tensor, "G 2"],
    conics: Float[Tensor, "G 3"],
    opacities: Float[Tensor, " G"],
    values: Float[Tensor, "G D"],
    objects: Int[Tensor, " G"],
    probe: Float[Tensor, "G 2"] | None,
) -> tuple[Float[Tensor, "P D"], Float[Tensor, " P"], Int32[Tensor, " P"], Float[Tensor, " P"]]:
    """Blend Gaussians, given front to back, at pixels: channel sums, transmittance, ids, median depth."""
    means = (
        means2d.expand(len(pixels), -1, -1) if probe is None else _PerPixel.apply(means2d, probe, len(pixels))
    )
    dx, dy = (means - pixels[:, None]).unbind(-1)
    xx, xy, yy = conics.unbind(-1)
    sigma = 0.5 * (xx * dx * dx + yy * dy * dy) + xy * dx * dy
    alphas = (opacities * (-sigma).exp()).clamp(max=ALPHA_MAX)
    with torch.no_grad():
        touches = (sigma >= 0) & (alphas >= ALPHA_MIN)
        after = (1 - where(touches, alphas, 0.0)).cumprod(dim=1)
        blended = touches & (after > TRANSMITTANCE_STOP)
    alphas = where(blended, alphas, 0.0)
    after = (1 - alphas).cumprod(dim=1)
    before = torch.cat([torch.ones_like(after[:, :1]), after[:, :-1]], dim=1)[:, : len(opacities)]
    weights = alphas * before
    transmittance = (1 - alphas).prod(dim=1)
    with torch.no_grad():
        ids = strongest_object(weights, transmittance, objects)
        median = (where((before > 0.5) & (after <= 0.5), 1.0, 0.0).to(values) * values[:, 3]).sum(dim=1)
    return weights @ values, transmittance, ids, median


def strongest_object(
    weights: Float[Tensor, "P G"], transmittance: Float[Tensor, " P"], objects: Int[Tensor, " G"]
) -> Int32[Tensor, " P"]:
    """The object whose weights sum to the most, -1 where that is less than the remaining transmittance.

    Between equal sums the object met first from the front wins; "none" lies behind all of them.
    """
    if len(objects) == 0:
        return torch.full_like(transmittance, -1, dtype=torch.int32)
    names, column = objects.unique(return_inverse=True)
    column = column.expand_as(weights)
    sums = weights.new_zeros(len(weights), len(names)).scatter_add(1, column, weights)
    place = torch.arange(len(objects), dtype=weights.dtype).to(weights)
    place = torch.where(weights > 0, place, torch.inf)
    first = torch.full_like(sums, torch.inf).scatter_reduce(1, column, place, "amin")
    most = sums.amax(dim=1)
    first = torch.where(sums == most[:, None], first, torch.inf)
    return torch.where(most >= transmittance, names[first.argmin(dim=1)].int(), -1)


class _PerPixel(torch.autograd.Function):
    """Centres copied for every pixel: they get the sum of the copies' gradients, a probe that of |g|."""

    @staticmethod
    def forward(ctx: Any, means2d: Tensor, probe: Tensor, pixels: int) -> Tensor:
        return means2d.expand(pixels, -1, -1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        return grads[0].sum(dim=0), grads[0].abs().sum(dim=0), None


def _checkpointed(function: Any, *arguments: Any) -> Any:
    """Call without keeping what the backward pass can compute again: memory stays that of one chunk."""
    if not torch.is_grad_enabled():
        return function(*arguments)
    return checkpoint(function, *arguments, use_reentrant=False, preserve_rng_state=False)


def _pixel_centres(x0: int, x1: int, y0: int, y1: int) -> Float[Tensor, "P 2"]:
    """Centres of the pixels of a rectangle, row by row [px]."""
    y, x = torch.meshgrid(torch.arange(y0, y1), torch.arange(x0, x1), indexing="ij")
    return torch.stack([x, y], dim=-1).reshape(-1, 2).double() + 0.5
