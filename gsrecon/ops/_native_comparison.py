"""The compiled comparisons of pictures and depths with what was recorded, as torch operations."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from gsrecon.ops import _native
from gsrecon.ops._native import all_dense, fresh, pooled, pooled_like
from gsrecon.ops._once_differentiable import once_differentiable


class ComparisonWeights(NamedTuple):
    """A comparison is (constant + absolute * L1 + similarity * SSIM) / share of the pixels that count."""

    constant: float
    absolute: float
    similarity: float


class _ComparePictures(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        image: Tensor,
        truth: Tensor,
        counts: Tensor | None,
        weights: ComparisonWeights,
        recording: bool,
    ) -> tuple[Tensor, Tensor]:
        inputs = all_dense(_batch(image, 4), _batch(truth, 4), None if counts is None else _batch(counts, 3))
        learns = recording and ctx.needs_input_grad[0]
        kept = pooled(image, (3 * image.numel(),)) if learns and weights.similarity != 0 else None
        figures = fresh(image, (3,))
        _native.kernels_for(image).compare_pictures(*inputs, *weights, figures, kept)
        comparison, squared = figures[0], figures[1]
        ctx.mark_non_differentiable(squared)
        if learns:
            ctx.weights, ctx.shape = weights, image.shape
            ctx.save_for_backward(*inputs, figures, kept)
        return comparison, squared

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        image, truth, counts, figures, kept = ctx.saved_tensors
        v_image = pooled_like(image)
        _native.kernels_for(image).compare_pictures_vjp(
            image, truth, counts, *ctx.weights, figures, kept, gradients[0].reshape(1), v_image
        )
        return v_image.view(ctx.shape), None, None, None, None


def compare_pictures(
    image: Tensor, truth: Tensor, counts: Tensor | None, weights: ComparisonWeights
) -> tuple[Tensor, Tensor]:
    """A comparison of pictures [..., H, W, C], and their mean squared difference beside it.

    Differentiable once, in `image` float32 alone. `truth` is float32, or uint8 in steps of 1 / 255; `counts`
    [..., H, W] says which pixels do, None: all.
    """
    compared = _ComparePictures.apply(image, truth, counts, weights, torch.is_grad_enabled())
    return compared  # pyright: ignore[reportReturnType] - two tensors


class _CompareDepths(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, depth: Tensor, places: Tensor, measured: Tensor, limit: float) -> Tensor:
        inputs = all_dense(depth.reshape(-1), places, measured)
        figures = fresh(depth, (2,))
        _native.kernels_for(depth).compare_depths(*inputs, limit, figures)
        ctx.limit, ctx.shape = limit, depth.shape
        ctx.save_for_backward(*inputs, figures)
        return figures[0]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        depth, places, measured, figures = ctx.saved_tensors
        v_depth = pooled_like(depth)
        _native.kernels_for(depth).compare_depths_vjp(
            depth, places, measured, ctx.limit, figures, gradients[0].reshape(1), v_depth
        )
        return v_depth.view(ctx.shape), None, None, None


def compare_depths(depth: Tensor, places: Tensor, measured: Tensor, limit: float) -> Tensor:
    """Mean of |log(depth / measured)| up to a limit over places int32 [M] of `depth`, both float32.

    Differentiable once, in `depth`. See `ops/depth_loss.py`.
    """
    mean = _CompareDepths.apply(depth, places, measured, limit)
    return mean  # pyright: ignore[reportReturnType] - one tensor


def _batch(pictures: Tensor, dims: int) -> Tensor:
    """Pictures in one batch: of `dims` dimensions."""
    return pictures if pictures.ndim == dims else pictures.reshape(-1, *pictures.shape[1 - dims :])
