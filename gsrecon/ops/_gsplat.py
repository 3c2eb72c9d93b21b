"""The package gsplat as a backend, where it is asked for: on a GPU, and for what it can draw."""

import torch
from torch import Tensor

from gsrecon.errors import BackendUnavailableError
from gsrecon.geometry.camera import Cameras
from gsrecon.ops.reference import compose_poses
from gsrecon.ops.settings import DEPTH_ALPHA_MIN, RasterInfo, Rasterized, RasterizeSettings
from gsrecon.ops.splats import Splats


def rasterize_gsplat(
    splats: Splats, cameras: Cameras, settings: RasterizeSettings, backgrounds: Tensor | None
) -> Rasterized:
    """As `rasterize`, by gsplat 1.5.

    Raises:
        BackendUnavailableError: gsplat is not installed, or there is no GPU.
        ValueError: More than one object, ids, median depth, or a distorted lens, which gsplat does not draw.
    """
    _refuse(splats, cameras, settings)
    rasterization = load_rasterization(splats.means.device)
    options = {
        "viewmats": compose_poses(cameras.viewmats, splats.world_from_object)[:, 0].float(),
        "Ks": cameras.Ks.float(),
        "width": cameras.width,
        "height": cameras.height,
        "near_plane": settings.near_plane,
        "far_plane": settings.far_plane,
        "radius_clip": settings.radius_clip,
        "eps2d": settings.eps2d,
        "rasterize_mode": settings.mode,
        "camera_model": cameras.model,
        "packed": False,
    }
    geometry = (splats.means, splats.quats, splats.scales, splats.opacities)
    colors, degree = _colors(splats, settings)
    drawn, alpha, meta = rasterization(
        *geometry,
        colors,
        sh_degree=degree,
        render_mode="RGB+ED" if settings.depth else "RGB",
        absgrad=settings.absgrad,
        **options,
    )
    alpha, image = alpha[..., 0], drawn[..., :3]
    if backgrounds is not None:
        image = image + (1 - alpha)[..., None] * backgrounds[:, None, None]
    features = None
    if splats.features is not None:
        features = rasterization(*geometry, splats.features, **options)[0]
    return Rasterized(
        image=image,
        alpha=alpha,
        depth=torch.where(alpha >= DEPTH_ALPHA_MIN, drawn[..., 3], 0.0) if settings.depth else None,
        ids=None,
        median_depth=None,
        features=features,
        info=RasterInfo(
            meta["means2d"],
            meta["radii"],
            meta["depths"],
            meta["conics"],
            meta["opacities"].expand(len(cameras), -1),
            _probe(meta["means2d"]) if settings.absgrad else None,
        ),
    )


def load_rasterization(device: torch.device):
    """The function `gsplat.rasterization`.

    Raises:
        BackendUnavailableError: gsplat is not installed, or the tensors are not on a GPU.
    """
    if device.type != "cuda":
        raise BackendUnavailableError(
            f"the gsplat backend draws on a GPU alone, got tensors on {device}; move them there with .cuda()"
        )
    try:
        from gsplat import rasterization
    except ImportError as error:
        raise BackendUnavailableError(
            f"gsplat does not load ({error}); install it with pip install 'gsrecon[gsplat]'"
        ) from error
    return rasterization


def _refuse(splats: Splats, cameras: Cameras, settings: RasterizeSettings) -> None:
    refused = {
        "splats.object_index": splats.object_index is not None,
        "settings.ids": settings.ids,
        "settings.median_depth": settings.median_depth,
        "settings.max_entries": settings.max_entries is not None,
        "cameras.distortion": cameras.distortion is not None,
    }
    for name, asked in refused.items():
        if asked:
            raise ValueError(f"{name}: the gsplat backend cannot draw it; use backend='auto'")


def _colors(splats: Splats, settings: RasterizeSettings) -> tuple[Tensor, int | None]:
    if splats.colors is not None:
        return splats.colors, None
    if splats.sh0 is None:
        raise ValueError("splats: expected either sh0 or colors, got none")
    rows = [splats.sh0[:, None]] + ([] if splats.sh_rest is None else [splats.sh_rest])
    harmonics = torch.cat(rows, dim=1)
    held = round(harmonics.shape[1] ** 0.5) - 1
    return harmonics, held if settings.sh_degree is None else settings.sh_degree


def _probe(means2d: Tensor) -> Tensor:
    """A leaf whose gradient is what gsplat leaves at `means2d.absgrad` in the backward pass."""
    probe = torch.zeros_like(means2d, requires_grad=True)

    def keep(_: Tensor) -> None:
        probe.grad = means2d.absgrad  # pyright: ignore[reportAttributeAccessIssue]

    if means2d.requires_grad:
        means2d.register_hook(keep)
    return probe
