"""What gsplat 1.5.3 draws, composed in float64 from its own torch functions and a loop over Gaussians."""

from typing import Any

import torch
from gsplat.cuda._torch_impl import (
    _fully_fused_projection,
    _quat_scale_to_covar_preci,
    _spherical_harmonics,
)
from torch import Tensor


def rasterization_oracle(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    colors: Tensor,
    viewmats: Tensor,
    Ks: Tensor,
    width: int,
    height: int,
    sh_degree: int | None = None,
    backgrounds: Tensor | None = None,
    render_mode: str = "RGB",
    rasterize_mode: str = "classic",
    camera_model: Any = "pinhole",
) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """Pictures, alphas, and `meta` in [C, N, ...]; `means_at_pixels` has the gradients behind absgrad."""
    covars, _ = _quat_scale_to_covar_preci(quats, scales, compute_preci=False)
    assert covars is not None
    radii, means2d, depths, conics, compensations = _fully_fused_projection(
        means, covars, viewmats, Ks, width, height,
        calc_compensations=rasterize_mode == "antialiased", camera_model=camera_model,
    )  # fmt: skip
    cameras, gaussians = depths.shape
    seen_opacities = opacities.expand(cameras, gaussians)
    if compensations is not None:
        seen_opacities = seen_opacities * compensations
    if sh_degree is not None:
        centres = viewmats.inverse()[:, :3, 3]
        harmonics = colors if colors.ndim == 4 else colors.expand(cameras, -1, -1, -1)
        colors = _spherical_harmonics(sh_degree, means - centres[:, None], harmonics)
        colors = (colors + 0.5).clamp(min=0)
    colors = colors.expand(cameras, gaussians, colors.shape[-1])
    behind = colors.new_zeros(cameras, colors.shape[-1]) if backgrounds is None else backgrounds
    if not render_mode.startswith("RGB"):
        colors, behind = colors[..., :0], behind[..., :0]
    if "D" in render_mode:
        colors = torch.cat([colors, depths[..., None]], dim=-1)
        behind = torch.cat([behind, behind.new_zeros(cameras, 1)], dim=-1)

    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    pixels = torch.stack([x, y], dim=-1).reshape(-1, 2) + 0.5
    means_at_pixels = means2d[:, None].expand(-1, len(pixels), -1, -1).clone()
    images, alphas = [], []
    for c in range(cameras):
        visible = (radii[c] > 0).all(-1).nonzero()[:, 0].tolist()
        left = torch.ones(len(pixels), dtype=means.dtype)
        open_pixels = torch.ones(len(pixels), dtype=torch.bool)
        total = colors.new_zeros(len(pixels), colors.shape[-1])
        for g in sorted(visible, key=lambda g: depths[c, g].item()):
            dx, dy = (pixels - means_at_pixels[c, :, g]).unbind(-1)
            xx, xy, yy = conics[c, g]
            sigma = 0.5 * (xx * dx * dx + yy * dy * dy) + xy * dx * dy
            alpha = (seen_opacities[c, g] * (-sigma).exp()).clamp(max=0.999)
            touched = open_pixels & (sigma >= 0) & (alpha >= 1 / 255)
            open_pixels = open_pixels & ~(touched & (left * (1 - alpha) <= 1e-4))
            alpha = torch.where(touched & open_pixels, alpha, 0.0)
            total = total + (left * alpha)[:, None] * colors[c, g]
            left = left * (1 - alpha)
        images.append((total + left[:, None] * behind[c]).reshape(height, width, -1))
        alphas.append((1 - left).reshape(height, width, 1))
    image, alpha = torch.stack(images), torch.stack(alphas)
    if "ED" in render_mode:
        depth = image[..., -1:] / alpha.clamp(min=1e-10)
        image = torch.cat([image[..., :-1], depth], dim=-1)
    return image, alpha, {
        "means2d": means2d, "radii": radii, "depths": depths, "conics": conics, "opacities": seen_opacities,
        "means_at_pixels": means_at_pixels,
    }  # fmt: skip
