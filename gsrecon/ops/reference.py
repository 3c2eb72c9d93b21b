"""The rasterizer in plain torch: the specification every backend is tested against.

Any float dtype; float64 gives the numbers others are measured by. Written to be read, not to be fast: a few
thousand Gaussians on a small picture take a fraction of a second.

Rules are those of gsplat 1.5.3 (its fused CUDA kernels), alpha's clamp that of 1.6. Sources: Kerbl et al.,
"3D Gaussian Splatting", 2023; Yu et al., "Mip-Splatting", 2024 (antialiased); Radl et al., "StopThePop", 2024
(opacity-aware bounds); Ye et al., "gsplat", 2024.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from gsrecon.geometry.camera import Cameras
from gsrecon.geometry.spherical_harmonics import eval_sh
from gsrecon.ops.reference_compositing import Composited, composite
from gsrecon.ops.reference_projection import Projected, project
from gsrecon.ops.settings import RasterInfo, Rasterized, RasterizeSettings
from gsrecon.ops.splats import Splats

__all__ = [
    "Composited",
    "Projected",
    "colors_seen",
    "compose_poses",
    "composite",
    "project",
    "rasterize_reference",
]


def rasterize_reference(
    splats: Splats,
    cameras: Cameras,
    settings: RasterizeSettings | None = None,
    backgrounds: Float[Tensor, "C 3"] | None = None,
) -> Rasterized:
    """Draw Gaussians; differentiable in every float tensor of splats, `cameras.viewmats`, backgrounds.

    Results are in the dtype of `splats.means`; `world_from_object` and the camera are composed in float64.

    Raises:
        ValueError: when appearance is missing or given twice, or `sh_rest` holds too few coefficients.
    """
    settings = settings or RasterizeSettings()
    dtype = splats.means.dtype
    cam_from_object = compose_poses(cameras.viewmats, splats.world_from_object)
    projected = project(
        splats.means,
        splats.quats,
        splats.scales,
        splats.opacities,
        cam_from_object,
        splats.object_index,
        cameras.Ks,
        cameras.width,
        cameras.height,
        settings,
        cameras.model,
        cameras.distortion,
    )
    probe = None
    if settings.absgrad:
        probe = torch.zeros_like(projected.means2d, requires_grad=True)
    composited = composite(
        projected,
        colors_seen(splats, projected.directions, settings.sh_degree),
        cameras.width,
        cameras.height,
        settings,
        features=splats.features,
        object_index=splats.object_index,
        backgrounds=None if backgrounds is None else backgrounds.to(dtype),
        absgrad_probe=probe,
    )
    return Rasterized(
        image=composited.image,
        alpha=composited.alpha,
        depth=composited.depth,
        ids=composited.ids,
        median_depth=composited.median_depth,
        features=composited.features,
        info=RasterInfo(
            projected.means2d,
            projected.radii,
            projected.depths,
            projected.conics,
            projected.opacities,
            probe,
        ),
    )


def compose_poses(
    cam_from_world: Float[Tensor, "C 4 4"], world_from_object: Float[Tensor, "C K 4 4"] | None
) -> Float[Tensor, "C K 4 4"]:
    """`cam_from_object` of every object in every camera, in float64: world coordinates may be kilometres."""
    cam_from_world = cam_from_world.double()[:, None]
    if world_from_object is None:
        return cam_from_world
    # Not as a matrix product: a GPU's library for those is not deterministic without a variable of its own.
    return (cam_from_world[..., :, :, None] * world_from_object.double()[..., None, :, :]).sum(dim=-2)


def colors_seen(
    splats: Splats, directions: Float[Tensor, "C N 3"], sh_degree: int | None
) -> Float[Tensor, "C N 3"]:
    """Colours of the Gaussians from each camera: plain ones as they are, harmonics as max(0, 0.5 + sum).

    Raises:
        ValueError: when appearance is missing or given twice, or `sh_rest` holds too few coefficients.
    """
    if (splats.colors is None) == (splats.sh0 is None):
        raise ValueError(
            "splats: expected either sh0 or colors, got " + ("none" if splats.sh0 is None else "both")
        )
    if splats.colors is not None:
        return splats.colors.expand_as(directions)
    assert splats.sh0 is not None
    if sh_degree is None:
        held = 0 if splats.sh_rest is None else splats.sh_rest.shape[-2]
        degree = round((held + 1) ** 0.5) - 1
    else:
        degree = sh_degree
    return (eval_sh(splats.sh0, splats.sh_rest, directions, degree) + 0.5).clamp_min(0).expand_as(directions)
