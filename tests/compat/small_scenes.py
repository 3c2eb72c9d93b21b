"""Small random scenes as arguments of gsplat's `rasterization`; float32 values held in float64."""

from typing import Any

import torch
from torch import Tensor

from gsrecon.geometry.rigid import se3_exp

WIDTH, HEIGHT, CAMERAS, GAUSSIANS = 19, 17, 2, 30


def small_scene(
    *colors_shape: int, seed: int = 0, backgrounds: bool = False, **options: Any
) -> dict[str, Any]:
    """Keyword arguments: Gaussians before two cameras, opacities up to 0.98, colours of a given shape."""
    generator = torch.Generator().manual_seed(seed)

    def random(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator, dtype=torch.float64)

    z = 1.5 + 6 * random(GAUSSIANS, 1)
    directions = 1.6 * random(GAUSSIANS, 2) - 0.8
    colors = random(*(colors_shape or (GAUSSIANS, 3)))
    harmonic = options.get("sh_degree") is not None
    scene = {
        "means": torch.cat([directions * z, z], dim=-1),
        "quats": 2 * random(GAUSSIANS, 4) - 1,
        "scales": z * (0.02 + 0.1 * random(GAUSSIANS, 3)),
        "opacities": 0.1 + 0.88 * random(GAUSSIANS),
        "colors": 2 * colors - 1 if harmonic else colors,
        "viewmats": se3_exp(0.2 * random(CAMERAS, 6) - 0.1),
        "Ks": torch.tensor([[14.0, 0, 9], [0, 15.0, 8], [0, 0, 1]], dtype=torch.float64).repeat(
            CAMERAS, 1, 1
        ),
    }
    if backgrounds:
        scene["backgrounds"] = random(CAMERAS, 3 if harmonic else colors.shape[-1])
    scene = {name: tensor.float().double() for name, tensor in scene.items()}
    return {**scene, "width": WIDTH, "height": HEIGHT, **options}


def as_leaves(scene: dict[str, Any], dtype: torch.dtype) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The scene in a type, everything differentiable a leaf, and these leaves by name."""
    copy = {k: v.to(dtype).clone() if isinstance(v, Tensor) else v for k, v in scene.items()}
    leaves = {k: v.requires_grad_() for k, v in copy.items() if isinstance(v, Tensor) and k != "Ks"}
    return copy, leaves
