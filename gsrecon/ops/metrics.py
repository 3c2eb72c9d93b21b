"""How alike two pictures are: PSNR and SSIM as the 3D Gaussian splatting papers compute them."""

import math
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gsrecon.ops._native import is_compiled
from gsrecon.ops._native_comparison import ComparisonWeights, compare_pictures

HIGHEST_PSNR = 100.0
"""What equal pictures are told to have in place of infinity, which has no mean [dB]."""
SSIM_WINDOW = 11
SSIM_SIGMA = 1.5
SSIM_C1 = 0.01**2
SSIM_C2 = 0.03**2

_UNNORMALISED = [math.exp(-((i - SSIM_WINDOW // 2) ** 2) / (2 * SSIM_SIGMA**2)) for i in range(SSIM_WINDOW)]
_WINDOW = [w / sum(_UNNORMALISED) for w in _UNNORMALISED]


def psnr(
    image: Float[Tensor, "*batch H W 3"],
    truth: Float[Tensor, "*batch H W 3"],
    mask: Bool[Tensor, "*batch H W"] | None = None,
) -> Float[Tensor, ""]:
    """Peak signal-to-noise ratio [dB] of pictures in [0, 1], over all pixels or those where the mask is set.

    Infinite for equal pictures, not a number where the mask is empty.
    """
    squared = (image - truth) ** 2
    if mask is not None:
        squared = squared[mask]
    return -10 * squared.mean().log10()


def ssim(image: Float[Tensor, "*batch H W 3"], truth: Float[Tensor, "*batch H W 3"]) -> Float[Tensor, ""]:
    """Mean structural similarity of pictures in [0, 1]; differentiable in both.

    float32 goes through compiled kernels for value and gradient; everything else, and a truth that wants a
    gradient, through `ssim_map`, the reference.
    """
    compiled = is_compiled(image, truth) and image.shape == truth.shape
    if not compiled or truth.requires_grad or image.numel() == 0:
        return ssim_map(image, truth).mean()
    return compare_pictures(image, truth, None, ComparisonWeights(constant=0, absolute=0, similarity=1))[0]


def masked_ssim(
    image: Float[Tensor, "H W 3"], truth: Float[Tensor, "H W 3"], mask: Bool[Tensor, "H W"]
) -> Float[Tensor, ""]:
    """Mean structural similarity over the pixels where the mask is set; not a number where it is empty."""
    # Pixels that do not count must not reach others through a window: there the truth stands in.
    return ssim_map(torch.where(mask[..., None], image, truth), truth)[mask].mean()


def ssim_map(
    image: Float[Tensor, "*batch H W 3"], truth: Float[Tensor, "*batch H W 3"]
) -> Float[Tensor, "*batch H W 3"]:
    """Structural similarity per pixel and channel; differentiable in both.

    Gaussian window of 11 pixels and sigma 1.5, constants 0.01^2 and 0.03^2, zeros around the picture.

    Source: Wang et al., "Image quality assessment: from error visibility to structural similarity", 2004.
    """
    x, y = image.movedim(-1, -3), truth.movedim(-1, -3)
    # Two calls: the truth's half has no backward pass.
    mean_x, mean_xx, mean_xy = _blur(torch.stack([x, x * x, x * y])).unbind(0)
    mean_y, mean_yy = _blur(torch.stack([y, y * y])).unbind(0)
    luminance = (2 * mean_x * mean_y + SSIM_C1) / (mean_x**2 + mean_y**2 + SSIM_C1)
    variance_x, variance_y = mean_xx - mean_x**2, mean_yy - mean_y**2
    covariance = mean_xy - mean_x * mean_y
    contrast = (2 * covariance + SSIM_C2) / (variance_x + variance_y + SSIM_C2)
    return (luminance * contrast).movedim(-3, -1)


class _Blur(torch.autograd.Function):
    """Separable Gaussian window over the last two dimensions with zeros around; its own adjoint.

    Eleven shifted sums a direction: on a CPU several times faster than a convolution with one channel.
    """

    @staticmethod
    def forward(ctx: Any, planes: Tensor) -> Tensor:
        return _shifted_sums(_shifted_sums(planes, -1), -2)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return _blur(grads[0])


def _blur(planes: Tensor) -> Tensor:
    blurred = _Blur.apply(planes)
    assert isinstance(blurred, Tensor)
    return blurred


def _shifted_sums(planes: Tensor, dim: int) -> Tensor:
    """Weighted sum of the planes shifted by -5 to 5 along one dimension."""
    size, reach = planes.shape[dim], SSIM_WINDOW // 2
    total = planes * _WINDOW[reach]
    for shift in range(1, min(reach, size - 1) + 1):
        kept = size - shift
        weight = _WINDOW[reach + shift]
        total.narrow(dim, 0, kept).add_(planes.narrow(dim, shift, kept), alpha=weight)
        total.narrow(dim, shift, kept).add_(planes.narrow(dim, 0, kept), alpha=weight)
    return total
