"""Draw Gaussians: the one public entry to every backend."""

from dataclasses import fields
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from gsrecon.errors import BackendUnavailableError
from gsrecon.geometry.camera import Cameras
from gsrecon.ops._gsplat import rasterize_gsplat
from gsrecon.ops._native_composite import Channels, Composition, composite, inspect
from gsrecon.ops._native_project import Projection, project
from gsrecon.ops.device_errors import device_errors
from gsrecon.ops.lens import fisheye_widest_tangent
from gsrecon.ops.reference import compose_poses, rasterize_reference
from gsrecon.ops.settings import RasterInfo, Rasterized, RasterizeSettings
from gsrecon.ops.splats import Splats

Backend = Literal["auto", "cpu", "cuda", "gsplat", "reference"]
"""What draws; see `rasterize`."""


def rasterize(
    splats: Splats,
    cameras: Cameras,
    settings: RasterizeSettings | None = None,
    backgrounds: Float[Tensor, "C 3"] | None = None,
    backend: Backend = "auto",
) -> Rasterized:
    """Draw N Gaussians into C cameras.

    Differentiable in every float tensor of `splats`, in `cameras.viewmats` (through positions, covariances
    and the directions of the harmonics) and in `backgrounds`.

    Args:
        splats: Activated Gaussians, each in its object's frame.
        cameras: Where to draw them.
        settings: Rules and wanted outputs.
        backgrounds: Colour behind everything, per camera; None is black.
        backend: `cpu` and `cuda` are the compiled ones (float32), for tensors in the CPU's memory and on a
            GPU; `gsplat` is the package of that name, on a GPU; `reference` is plain torch, any float type,
            slow; `auto` is the compiled one for the device the tensors are on.

    Raises:
        ValueError: when there is no camera, appearance is missing or given twice, shapes or devices disagree,
            or the backend cannot take the type.
        BackendUnavailableError: when the backend does not run here.
        DeviceMemoryError: when the GPU's memory is not enough.
        DeviceFailedError: when the GPU fails.

    Rules: Kerbl et al. 2023 as gsplat draws them; see `ops/reference.py`, the specification.
    """
    settings = settings or RasterizeSettings()
    if len(cameras) == 0:
        raise ValueError("cameras: expected at least one, got none")
    if backend == "reference":
        return rasterize_reference(splats, cameras, settings, backgrounds)
    if backend not in ("auto", "cpu", "cuda", "gsplat"):
        raise ValueError(f"backend: expected 'auto', 'cpu', 'cuda', 'gsplat' or 'reference', got {backend!r}")
    _check(splats, cameras, backgrounds, backend)
    draw = rasterize_gsplat if backend == "gsplat" else _rasterize_compiled
    size = (len(splats), len(cameras), cameras.width, cameras.height)
    with device_errors(*size, splats.means.device):
        return draw(splats, cameras, settings, backgrounds)


def _rasterize_compiled(
    splats: Splats, cameras: Cameras, settings: RasterizeSettings, backgrounds: Tensor | None
) -> Rasterized:
    projection = project_compiled(splats, cameras, settings, _harmonics_degree(splats, settings))
    colors = _channels(splats, projection, len(cameras))
    probe = torch.zeros_like(projection.means2d, requires_grad=True) if settings.absgrad else None
    composition = composite(
        projection,
        colors,
        probe,
        Channels(image=3, depth=settings.depth),
        width=cameras.width,
        height=cameras.height,
        max_entries=settings.max_entries,
    )
    ids, median_depth = None, None
    if settings.ids or settings.median_depth:
        ids, median_depth = inspect(
            projection.depths,
            composition,
            splats.object_index,
            ids=settings.ids,
            median_depth=settings.median_depth,
        )
    image, alpha = composition.image, composition.alpha
    if backgrounds is not None:
        image = image + (1 - alpha)[..., None] * backgrounds[:, None, None]
    return Rasterized(
        image=image,
        alpha=alpha,
        depth=composition.depth,
        ids=ids,
        median_depth=median_depth,
        features=_features(splats, composition),
        info=RasterInfo(
            projection.means2d,
            projection.radii,
            projection.depths,
            projection.conics,
            projection.opacities,
            probe,
            composition.lists.totals[1],
        ),
    )


def project_compiled(
    splats: Splats, cameras: Cameras, settings: RasterizeSettings, sh_degree: int
) -> Projection:
    """The compiled projection; a degree of -1 does without the harmonics' colours."""
    return project(
        splats.means,
        splats.quats,
        splats.scales,
        splats.opacities,
        splats.sh0 if sh_degree >= 0 else None,
        _sh_rest(splats) if sh_degree >= 0 else None,
        splats.object_index,
        _cam_from_object(cameras, splats),
        cameras.Ks.float(),
        _fisheye_lens(cameras),
        width=cameras.width,
        height=cameras.height,
        model=cameras.model,
        antialiased=settings.mode == "antialiased",
        near_plane=settings.near_plane,
        far_plane=settings.far_plane,
        radius_clip=settings.radius_clip,
        eps2d=settings.eps2d,
        sh_degree=sh_degree,
    )


def _cam_from_object(cameras: Cameras, splats: Splats) -> Float[Tensor, "C K 4 4"]:
    if splats.world_from_object is None:
        return cameras.viewmats[:, None].float()
    return compose_poses(cameras.viewmats, splats.world_from_object).float()


def _harmonics_degree(splats: Splats, settings: RasterizeSettings) -> int:
    """The degree to draw, -1 for plain colours."""
    if (splats.colors is None) == (splats.sh0 is None):
        raise ValueError(
            "splats: expected either sh0 or colors, got " + ("none" if splats.sh0 is None else "both")
        )
    if splats.sh0 is None:
        return -1
    coefficients = 1 + (0 if splats.sh_rest is None else splats.sh_rest.shape[1])
    held = round(coefficients**0.5) - 1
    if settings.sh_degree is None:
        return held
    if settings.sh_degree > held:
        raise ValueError(f"sh_degree: sh_rest holds degree {held}, got {settings.sh_degree}")
    return settings.sh_degree


def _fisheye_lens(cameras: Cameras) -> Float[Tensor, "C 5"] | None:
    """Kannala-Brandt coefficients and the tangent of the widest angle the lens sees."""
    if cameras.distortion is None:
        return None
    widest = fisheye_widest_tangent(cameras.distortion, len(cameras))
    return torch.cat([cameras.distortion, widest[:, None].to(cameras.distortion)], dim=-1).float()


def _sh_rest(splats: Splats) -> Tensor | None:
    if splats.sh0 is None or splats.sh_rest is not None:
        return splats.sh_rest
    return splats.means.new_empty(len(splats), 0, 3)


def _channels(splats: Splats, projection: Projection, cameras: int) -> Float[Tensor, "C N D"]:
    """Colours and features side by side: one row of all cameras where nothing depends on the camera."""
    colors = projection.colors
    if splats.colors is not None:
        colors = splats.colors if splats.colors.ndim == 3 else splats.colors[None]
    if splats.features is None:
        return colors
    return torch.cat([colors, splats.features.expand(len(colors), -1, -1)], dim=-1)


def _features(splats: Splats, composition: Composition) -> Tensor | None:
    if splats.features is None or composition.features is not None:
        return composition.features
    return composition.image[..., 3:]  # none at all, but asked for


_DIMENSIONS = {"means": 2, "quats": 2, "scales": 2, "opacities": 1, "sh0": 2, "sh_rest": 3, "features": 2}
"""Of the tensors that all cameras share."""


def _check(splats: Splats, cameras: Cameras, backgrounds: Tensor | None, backend: Backend) -> None:
    device = splats.means.device
    if backend in ("cpu", "cuda") and device.type != backend:
        move = "move them there with .cuda()" if backend == "cuda" else "move them there with .cpu()"
        raise BackendUnavailableError(
            f"the {backend} backend draws tensors on {backend}, got {device}; {move}"
        )
    for holder, name in ((splats, "splats"), (cameras, "cameras")):
        for field in fields(holder):
            tensor = getattr(holder, field.name)
            if isinstance(tensor, Tensor):
                _check_device(tensor, f"{name}.{field.name}", device)
    if backgrounds is not None:
        _check_device(backgrounds, "backgrounds", device)
    index = splats.object_index
    if index is not None and (index.dtype != torch.int32 or index.ndim != 1):
        raise ValueError(f"object_index: expected int32 [N], got {index.dtype} {list(index.shape)}")
    for field in fields(splats):
        tensor = getattr(splats, field.name)
        if tensor is None or not tensor.is_floating_point() or field.name == "world_from_object":
            continue
        if tensor.dtype != torch.float32:
            raise ValueError(
                f"{field.name}: the compiled backends take float32, got {tensor.dtype}; "
                "use backend='reference' for other types"
            )
        if tensor.ndim != _DIMENSIONS.get(field.name, tensor.ndim):
            raise ValueError(f"{field.name}: expected {_DIMENSIONS[field.name]}-d, got {list(tensor.shape)}")
    if splats.world_from_object is not None:
        expected = (len(cameras), 4, 4)
        shape = splats.world_from_object.shape
        if (shape[0], *shape[2:]) != expected:
            raise ValueError(f"world_from_object: expected [{len(cameras)}, K, 4, 4], got {list(shape)}")


def _check_device(tensor: Tensor, name: str, device: torch.device) -> None:
    if tensor.device != device:
        raise ValueError(
            f"{name}: expected a tensor on {device}, where splats.means is, got {tensor.device}; "
            "everything that is drawn has to be on one device"
        )
