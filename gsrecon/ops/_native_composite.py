"""Compositing and inspection as torch operations, on the kernels of the tensors' device."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gsrecon.ops import _native
from gsrecon.ops._native import all_dense, dense, fresh, pooled
from gsrecon.ops._native_project import Projection
from gsrecon.ops._once_differentiable import once_differentiable
from gsrecon.ops._tile_lists import TileLists, TileRequest, tile_lists

_RECORD_CHANNELS = 4
"""Channels that a record holds; where there are more, blending reads the others from the inputs."""


class Composition(NamedTuple):
    """What `composite` gives, and the tile lists behind it."""

    image: Tensor
    """[C, H, W, D] channels, all or the first ones."""
    alpha: Tensor
    """[C, H, W]"""
    features: Tensor | None
    """[C, H, W, F] the channels that are left."""
    depth: Tensor | None
    """[C, H, W] expected depth."""
    lists: TileLists


class Channels(NamedTuple):
    """Where the channels of a picture go."""

    image: int
    """The first ones, side by side in `Composition.image`; the others are its features."""
    depth: bool
    """With the depths: as expected depth, unless they are appended."""
    appended: bool = False
    """The depths' weighted sum is one more channel, the last."""


class _Composite(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        request: TileRequest,
        channels: Channels,
        means2d: Tensor,
        radii: Tensor,
        depths: Tensor,
        conics: Tensor,
        opacities: Tensor,
        colors: Tensor,
        absgrad_probe: Tensor | None,
    ) -> tuple[Any, ...]:
        module = _native.kernels_for(means2d)
        projected = all_dense(means2d, radii, depths, conics, opacities, colors)
        lists = tile_lists(module, projected, request)
        shape = (len(depths), request.height, request.width)
        rows = colors.shape[-1] + channels.appended
        image = fresh(means2d, (*shape, min(channels.image, rows)))
        features = fresh(means2d, (*shape, rows - channels.image)) if rows > channels.image else None
        depth = fresh(means2d, shape) if channels.depth and not channels.appended else None
        alpha = fresh(means2d, shape)
        pictures = (image, features, depth, alpha)
        module.composite(projected[5], projected[2], channels.depth, *lists[:5], *pictures)
        ctx.with_depth, ctx.absgrad = channels.depth, absgrad_probe is not None
        ctx.colors_shape = colors.shape
        # The records hold all that the backward pass needs of a Gaussian, unless there are too many channels.
        many = colors.shape[-1] + channels.depth > _RECORD_CHANNELS
        beside = (projected[5], projected[2]) if many else (None, None)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*beside, *lists[:5], *pictures)
        return *pictures, lists

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        colors, depths, *lists_and_pictures = ctx.saved_tensors
        v_means2d, v_conics, v_opacities, v_colors, v_depths, v_absolute = run_composite_vjp(
            (colors, depths), lists_and_pictures, all_dense(*gradients[:4]),
            colors_shape=ctx.colors_shape, with_depth=ctx.with_depth, absgrad=ctx.absgrad,
        )  # fmt: skip
        return None, None, v_means2d, None, v_depths, v_conics, v_opacities, v_colors, v_absolute


def run_composite_vjp(
    colors_and_depths: tuple[Tensor | None, Tensor | None],
    lists_and_pictures: Sequence[Tensor | None],
    gradients: Sequence[Tensor | None],
    *,
    colors_shape: tuple[int, ...],
    with_depth: bool,
    absgrad: bool,
) -> list[Tensor | None]:
    """The kernel: gradients of means2d, conics, opacities, colors, depths, and the absolute ones.

    Args:
        colors_and_depths: The inputs, needed where a record does not hold all channels.
        lists_and_pictures: The first five of the tile lists; image, features, depth and alpha.
        gradients: Of the pictures.
        colors_shape: Of the colours.
        with_depth: Whether depths were blended.
        absgrad: Whether absolute gradients are wanted.
    """
    alpha = lists_and_pictures[-1]
    assert alpha is not None
    shape = (len(alpha), colors_shape[1])
    own = [
        pooled(alpha, (*shape, 2)),
        pooled(alpha, (*shape, 3)),
        pooled(alpha, shape),
        pooled(alpha, colors_shape),
        pooled(alpha, shape) if with_depth else None,
        pooled(alpha, (*shape, 2)) if absgrad else None,
    ]
    _native.kernels_for(alpha).composite_vjp(
        *colors_and_depths, with_depth, *lists_and_pictures, *gradients, *own
    )
    return own


def composite(
    projection: Projection,
    colors: Tensor,
    absgrad_probe: Tensor | None,
    channels: Channels,
    *,
    width: int,
    height: int,
    max_entries: int | None = None,
) -> Composition:
    """Blend projected Gaussians; colors [C or 1, N, D].

    Differentiable once in means2d, depths, conics, opacities and colors; the gradient of `absgrad_probe`
    [C, N, 2] is the sum over pixels of |dL/dmeans2d|. Where torch is asked for deterministic algorithms,
    gradients on a GPU are the same bits in every run; on the CPU they always are.
    """
    inputs = (*projection[:5], colors, absgrad_probe)
    request = TileRequest(
        width,
        height,
        with_depth=channels.depth,
        with_gradients=torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in inputs),
        deterministic=torch.are_deterministic_algorithms_enabled(),
        max_entries=max_entries or 0,
    )
    image, features, depth, alpha, lists = _Composite.apply(request, channels, *inputs)
    return Composition(image, alpha, features, depth, lists)


@torch.no_grad()
def inspect(
    depths: Tensor, composition: Composition, object_index: Tensor | None, *, ids: bool, median_depth: bool
) -> tuple[Tensor | None, Tensor | None]:
    """The object with the most blend weight and the median depth of every pixel, [C, H, W] each, or None.

    Args:
        depths: Of the projection [C, N].
        composition: The pictures.
        object_index: Object of each Gaussian [N]; None: 0.
        ids: Whether objects are wanted.
        median_depth: Whether the depth is.
    """
    alpha = composition.alpha
    id_picture = fresh(alpha, alpha.shape, torch.int32) if ids else None
    depth_picture = fresh(alpha, alpha.shape) if median_depth else None
    _native.kernels_for(alpha).inspect(
        dense(depths), *composition.lists[:5], dense(object_index), alpha, id_picture, depth_picture
    )
    return id_picture, depth_picture
