"""What training minimises of a picture beside the true one."""

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from gsrecon.ops._native import is_compiled
from gsrecon.ops._native_comparison import ComparisonWeights, compare_pictures
from gsrecon.ops.metrics import ssim_map

_LEAST_SHARE_COUNTING = 1e-6


def picture_loss(
    image: Float[Tensor, "*batch H W 3"],
    truth: Float[Tensor, "*batch H W 3"] | UInt8[Tensor, "*batch H W 3"],
    counts: Bool[Tensor, "*batch H W"] | None,
    ssim_share: float,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """(1 - share) L1 + share (1 - SSIM) over the pixels that count, and the mean squared error beside it.

    Pixels that do not count are replaced by the truth: they add nothing and pull nowhere. The loss is
    differentiable in the picture, the squared error is not. float32 goes through compiled kernels for value
    and gradient; everything else, and a truth that wants a gradient, through plain torch, the reference.

    Args:
        image: Pictures in [0, 1].
        truth: What they should be, in [0, 1] or in 8 bits.
        counts: Pixels that count; None: all of them.
        ssim_share: Share of 1 - SSIM; at 0 nothing is spent on it.
    """
    if not _has_kernel(image, truth, counts):
        return picture_loss_reference(image, truth, counts, ssim_share)
    weights = ComparisonWeights(constant=ssim_share, absolute=1 - ssim_share, similarity=-ssim_share)
    return compare_pictures(image, truth, counts, weights)


def picture_loss_reference(
    image: Float[Tensor, "*batch H W 3"],
    truth: Float[Tensor, "*batch H W 3"] | UInt8[Tensor, "*batch H W 3"],
    counts: Bool[Tensor, "*batch H W"] | None,
    ssim_share: float,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """The same in plain torch, any float precision and device."""
    if truth.dtype == torch.uint8:
        truth = truth.to(image.dtype) / 255
    if counts is not None:
        image = torch.where(counts[..., None], image, truth)
    share_counting = 1.0 if counts is None else counts.to(image.dtype).mean().clamp_min(_LEAST_SHARE_COUNTING)
    difference = image - truth
    absolute = difference.abs().mean() / share_counting
    squared = difference.detach().square().mean() / share_counting
    if ssim_share == 0.0:
        return absolute, squared
    dissimilar = (1 - ssim_map(image, truth).mean()) / share_counting
    return (1 - ssim_share) * absolute + ssim_share * dissimilar, squared


def _has_kernel(image: Tensor, truth: Tensor, counts: Tensor | None) -> bool:
    if image.numel() == 0 or image.shape != truth.shape or truth.requires_grad:
        return False
    if counts is not None and (counts.device != image.device or counts.shape != image.shape[:-1]):
        return False
    if truth.dtype == torch.uint8:
        return is_compiled(image) and truth.device == image.device
    return is_compiled(image, truth)
