"""Compositing and inspection as torch operations, on the kernels of the tensors' device."""

from typing import NamedTuple

import torch
from torch import Tensor

from gsrecon.ops import _native
from gsrecon.ops._native import arguments, contiguous, pooled_like
from gsrecon.ops._native_project import Projection
from gsrecon.ops._tile_lists import TileLists, TileRequest, tile_lists


class Composition(NamedTuple):
    """What `composite` gives: channels [C, H, W, D], alpha [C, H, W], and the tile lists behind them."""

    image: Tensor
    alpha: Tensor
    lists: TileLists


@torch.library.custom_op("gsrecon::composite", mutates_args=(), device_types=("cpu", "cuda"))
def _composite(
    means2d: Tensor,
    radii: Tensor,
    depths: Tensor,
    conics: Tensor,
    opacities: Tensor,
    colors: Tensor,
    absgrad_probe: Tensor | None,
    width: int,
    height: int,
    with_depth: bool,
    with_gradients: bool,
    deterministic: bool,
    max_entries: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    module = _native.kernels_for(means2d)
    projected = arguments(means2d, radii, depths, conics, opacities, colors)
    request = TileRequest(width, height, with_depth, with_gradients, deterministic, max_entries)
    lists = tile_lists(module, [t for t in projected if t is not None], request)
    image = means2d.new_empty(len(depths), height, width, colors.shape[-1] + with_depth)
    alpha = means2d.new_empty(len(depths), height, width)
    module.composite(*projected, width, height, with_depth, *lists[:4], image, alpha)
    return (
        *(image, alpha),
        *(lists.records, lists.camera_records, lists.tile_entries, lists.entries, lists.slots, lists.totals),
    )


@torch.library.custom_op("gsrecon::composite_vjp", mutates_args=(), device_types=("cpu", "cuda"))
def _composite_vjp(
    means2d: Tensor,
    radii: Tensor,
    depths: Tensor,
    conics: Tensor,
    opacities: Tensor,
    colors: Tensor,
    image: Tensor,
    alpha: Tensor,
    records: Tensor,
    camera_records: Tensor,
    tile_entries: Tensor,
    entries: Tensor,
    slots: Tensor,
    v_image: Tensor | None,
    v_alpha: Tensor | None,
    width: int,
    height: int,
    with_depth: bool,
    absgrad: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    v_means2d, v_conics, v_opacities, v_colors = (
        pooled_like(t) for t in (means2d, conics, opacities, colors)
    )
    v_depths = pooled_like(depths if with_depth else None, means2d)
    v_absolute = pooled_like(means2d if absgrad else None, means2d)
    _native.kernels_for(means2d).composite_vjp(
        *arguments(means2d, radii, depths, conics, opacities, colors), width, height, with_depth,
        records, camera_records, tile_entries, entries, slots, *arguments(image, alpha),
        contiguous(v_image), contiguous(v_alpha), v_means2d, v_conics, v_opacities, v_colors,
        v_depths if with_depth else None, v_absolute if absgrad else None,
    )  # fmt: skip
    return v_means2d, v_conics, v_opacities, v_colors, v_depths, v_absolute


def _composite_setup(ctx, inputs, output) -> None:
    *tensors, probe, ctx.width, ctx.height, ctx.with_depth, _, _, _ = inputs
    ctx.absgrad = probe is not None
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(*output[2:])
    ctx.save_for_backward(*tensors, *output[:-1])


def _composite_backward(ctx, v_image, v_alpha, *_):
    v_means2d, v_conics, v_opacities, v_colors, v_depths, v_absolute = _composite_vjp(
        *ctx.saved_tensors, v_image, v_alpha, ctx.width, ctx.height, ctx.with_depth, ctx.absgrad
    )
    return (
        v_means2d, None, v_depths if ctx.with_depth else None, v_conics, v_opacities, v_colors,
        v_absolute if ctx.absgrad else None, None, None, None, None, None, None,
    )  # fmt: skip


_composite.register_autograd(_composite_backward, setup_context=_composite_setup)


def composite(
    projection: Projection,
    colors: Tensor,
    absgrad_probe: Tensor | None,
    *,
    width: int,
    height: int,
    with_depth: bool,
    max_entries: int | None = None,
) -> Composition:
    """Blend projected Gaussians; colors [C or 1, N, D]; `with_depth` appends sum(w z) as channel D + 1.

    Differentiable in means2d, depths, conics, opacities and colors; the gradient of `absgrad_probe` [C, N, 2]
    is the sum over pixels of |dL/dmeans2d|. Where torch is asked for deterministic algorithms, gradients on a
    GPU are the same bits in every run; on the CPU they always are.
    """
    inputs = (*projection[:5], colors, absgrad_probe)
    with_gradients = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in inputs)
    image, alpha, *lists = _composite(
        *inputs,
        width,
        height,
        with_depth,
        with_gradients,
        torch.are_deterministic_algorithms_enabled(),
        max_entries or 0,
    )
    return Composition(image, alpha, TileLists(*lists))


@torch.no_grad()
def inspect(
    projection: Projection,
    colors: Tensor,
    composition: Composition,
    object_index: Tensor | None,
    *,
    width: int,
    height: int,
    with_depth: bool,
    ids: bool,
    median_depth: bool,
) -> tuple[Tensor | None, Tensor | None]:
    """The object with the most blend weight and the median depth of every pixel, [C, H, W] each, or None."""
    alpha = composition.alpha
    id_picture = alpha.new_empty(alpha.shape, dtype=torch.int32) if ids else None
    depth_picture = alpha.new_empty(alpha.shape) if median_depth else None
    _native.kernels_for(alpha).inspect(
        *arguments(*projection[:5], colors), width, height, with_depth,
        *(t.detach() for t in composition.lists[:4]), object_index, id_picture, depth_picture,
    )  # fmt: skip
    return id_picture, depth_picture
