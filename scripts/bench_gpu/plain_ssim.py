"""Structural similarity by torch's convolutions, what a trainer has without a kernel for it."""

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from gsrecon.ops.metrics import SSIM_C1, SSIM_C2, SSIM_SIGMA, SSIM_WINDOW


class PlainSsim:
    """Mean SSIM of pictures [C, H, W, 3]; the window is made once."""

    def __init__(self, device: torch.device) -> None:
        x = torch.arange(SSIM_WINDOW, device=device) - SSIM_WINDOW // 2
        line = torch.exp(-(x**2) / (2 * SSIM_SIGMA**2))
        line = line / line.sum()
        self._window = (line[:, None] * line)[None, None].repeat(3, 1, 1, 1)

    def __call__(self, image: Tensor, truth: Tensor) -> Tensor:
        """Differentiable in both; zeros around the pictures.

        Source: Wang et al., "Image quality assessment: from error visibility to structural similarity", 2004.
        """
        x, y = image.permute(0, 3, 1, 2), truth.permute(0, 3, 1, 2)
        mean_x, mean_y = self._blurred(x), self._blurred(y)
        variance_x = self._blurred(x * x) - mean_x**2
        variance_y = self._blurred(y * y) - mean_y**2
        covariance = self._blurred(x * y) - mean_x * mean_y
        luminance = (2 * mean_x * mean_y + SSIM_C1) / (mean_x**2 + mean_y**2 + SSIM_C1)
        contrast = (2 * covariance + SSIM_C2) / (variance_x + variance_y + SSIM_C2)
        return (luminance * contrast).mean()

    def _blurred(self, planes: Tensor) -> Tensor:
        return conv2d(planes, self._window, padding=SSIM_WINDOW // 2, groups=3)
