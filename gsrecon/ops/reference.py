"""The rasterizer in plain torch: the specification every backend is tested against.

Any float dtype; float64 gives the numbers others are measured by. Written to be read, not to be fast: a few
thousand Gaussians on a small picture take a fraction of a second.

Rules are those of gsplat 1.5.3 (its fused CUDA kernels), alpha's clamp that of 1.6. Sources: Kerbl et al.,
"3D Gaussian Splatting", 2023; Yu et al., "Mip-Splatting", 2024 (antialiased); Radl et al., "StopThePop", 2024
(opacity-aware bounds); Ye et al., "gsplat", 2024.
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int, Int32
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from gsrecon.geometry.camera import CameraModel, Cameras
from gsrecon.geometry.rigid import quat_to_rotmat
from gsrecon.geometry.spherical_harmonics import eval_sh
from gsrecon.ops.lens import fisheye, fisheye_widest_tangent, pinhole
from gsrecon.ops.settings import (
    ALPHA_MAX,
    ALPHA_MIN,
    DEPTH_ALPHA_MIN,
    SUPPORT_SIGMAS,
    TRANSMITTANCE_STOP,
    RasterInfo,
    Rasterized,
    RasterizeSettings,
)
from gsrecon.ops.splats import Splats

_TILE = 16
_MAX_PAIRS = 1 << 20
_MAX_RADIUS = float(1 << 30)


@dataclass(frozen=True)
class Projected:
    """N Gaussians as C cameras see them; everything is zero where `radii` is 0 (culled)."""

    means2d: Float[Tensor, "C N 2"]
    """Centres [px]."""
    radii: Int32[Tensor, "C N 2"]
    """Half-extents of the region where alpha >= 1/255 [px], rounded up; 0 means culled."""
    depths: Float[Tensor, "C N"]
    """Centres' z in the camera [m]."""
    conics: Float[Tensor, "C N 3"]
    """Inverse 2D covariances (xx, xy, yy) [1/px^2]."""
    opacities: Float[Tensor, "C N"]
    """Opacities, in `antialiased` mode after the compensation."""
    directions: Float[Tensor, "C N 3"]
    """From the camera's centre to the Gaussian's, in the object's frame, not normalised [m]."""


@dataclass(frozen=True)
class Composited:
    """Pictures of C cameras; fields as in `Rasterized`."""

    image: Float[Tensor, "C H W 3"]
    alpha: Float[Tensor, "C H W"]
    depth: Float[Tensor, "C H W"] | None
    ids: Int32[Tensor, "C H W"] | None
    median_depth: Float[Tensor, "C H W"] | None
    features: Float[Tensor, "C H W F"] | None


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
    return cam_from_world if world_from_object is None else cam_from_world @ world_from_object.double()


def project(
    means: Float[Tensor, "N 3"],
    quats: Float[Tensor, "N 4"],
    scales: Float[Tensor, "N 3"],
    opacities: Float[Tensor, " N"],
    cam_from_object: Float[Tensor, "C K 4 4"],
    object_index: Int32[Tensor, " N"] | None,
    Ks: Float[Tensor, "C 3 3"],
    width: int,
    height: int,
    settings: RasterizeSettings,
    model: CameraModel = "pinhole",
    distortion: Float[Tensor, "C 4"] | None = None,
) -> Projected:
    """Project Gaussians into every camera and cull what cannot touch its picture.

    Culled are: values that are not finite, zero quaternions, z outside [near_plane, far_plane] or not
    positive, fisheye points past the angle where the lens folds back, covariances without a positive
    determinant, opacities (compensated) below 1/255, both radii at most `radius_clip`, supports outside the
    picture.

    Args:
        means: Centres in the object's frame [m].
        quats: Rotations wxyz, normalised inside.
        scales: Standard deviations [m].
        opacities: In [0, 1].
        cam_from_object: Rigid poses of the K objects in the C cameras; float64 keeps large worlds exact.
        object_index: Row of `cam_from_object` of each Gaussian; None: all 0.
        Ks: Intrinsics [px].
        width: Picture width [px].
        height: Picture height [px].
        settings: Planes, blur, mode.
        model: Lens model.
        distortion: Kannala-Brandt k1..k4, for the fisheye model.
    """
    dtype = means.dtype
    Ks = Ks.to(dtype)
    distortion = None if distortion is None else distortion.to(dtype)
    if object_index is None:
        object_index = torch.zeros(len(means), dtype=torch.int32, device=means.device)
    index = object_index.long()

    sound = torch.stack([t.isfinite().all(-1) for t in (means, quats, scales, opacities[:, None])]).all(0)
    sound = sound & (quats.abs().amax(-1) > 0)
    means = _where(sound, means, 0.0)
    scales = _where(sound, scales, 1.0)
    opacities = _where(sound, opacities, 0.0)
    quats = torch.where(sound[:, None], quats, quats.new_tensor([1.0, 0.0, 0.0, 0.0]))

    rotations = cam_from_object[..., :3, :3]
    translations = cam_from_object[..., :3, 3]
    centres = -(rotations.transpose(-1, -2) @ translations[..., None])[..., 0].to(dtype)
    rotations, translations = rotations.to(dtype)[:, index], translations.to(dtype)[:, index]
    directions = means - centres[:, index]
    points = (rotations @ means[..., None])[..., 0] + translations
    z = points[..., 2]
    seen = sound & (z >= settings.near_plane) & (z <= settings.far_plane) & (z > 0)
    if model == "fisheye":
        widest = fisheye_widest_tangent(distortion, len(Ks)).to(points)[:, None]
        seen = seen & (points[..., :2].norm(dim=-1) < widest * z)
    points = torch.where(seen[..., None], points, points.new_tensor([0.0, 0.0, 1.0]))

    halves = rotations @ (quat_to_rotmat(quats) * scales[:, None, :])
    if model == "fisheye":
        means2d, jacobians = fisheye(points, Ks, distortion)
    else:
        means2d, jacobians = pinhole(points, Ks, width, height)
    flat = jacobians @ halves
    covariances = flat @ flat.transpose(-1, -2)
    xx, xy, yy = covariances[..., 0, 0], covariances[..., 0, 1], covariances[..., 1, 1]
    sharp = xx * yy - xy * xy
    xx, yy = xx + settings.eps2d, yy + settings.eps2d
    determinant = xx * yy - xy * xy
    seen = seen & (determinant > 0) & determinant.isfinite() & means2d.isfinite().all(-1)
    xx, yy, determinant = (_where(seen, t, 1.0) for t in (xx, yy, determinant))
    xy, sharp = _where(seen, xy, 0.0), _where(seen, sharp, 0.0)

    opacities = opacities.expand_as(z)
    if settings.mode == "antialiased":
        ratio = sharp / determinant
        compensations = _where(ratio > 0, _where(ratio > 0, ratio, 1.0).sqrt(), 0.0)
        opacities = opacities * compensations
    seen = seen & (opacities >= ALPHA_MIN)

    with torch.no_grad():
        reach = (2 * (opacities / ALPHA_MIN).clamp(min=1).log()).sqrt().clamp(max=SUPPORT_SIGMAS)
        extents = torch.stack([xx, yy], dim=-1).sqrt()
        radii = (reach[..., None] * extents).ceil().clamp(max=_MAX_RADIUS)
        seen = seen & (radii > settings.radius_clip).any(-1)
        size = radii.new_tensor([width, height])
        seen = seen & ((means2d + radii > 0) & (means2d - radii < size)).all(-1)
        radii = _where(seen, radii, 0.0).to(torch.int32)
    conics = torch.stack([yy / determinant, -xy / determinant, xx / determinant], dim=-1)
    return Projected(
        means2d=_where(seen, means2d, 0.0),
        radii=radii,
        depths=_where(seen, points[..., 2], 0.0),
        conics=_where(seen, conics, 0.0),
        opacities=_where(seen, opacities, 0.0),
        directions=_where(seen, directions, 0.0),
    )


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
        return splats.colors.expand(len(directions), -1, -1)
    assert splats.sh0 is not None
    if sh_degree is None:
        held = 0 if splats.sh_rest is None else splats.sh_rest.shape[-2]
        degree = round((held + 1) ** 0.5) - 1
    else:
        degree = sh_degree
    return (eval_sh(splats.sh0, splats.sh_rest, directions, degree) + 0.5).clamp_min(0)


def composite(
    projected: Projected,
    colors: Float[Tensor, "C N 3"],
    width: int,
    height: int,
    settings: RasterizeSettings,
    *,
    features: Float[Tensor, "N F"] | None = None,
    object_index: Int32[Tensor, " N"] | None = None,
    backgrounds: Float[Tensor, "C 3"] | None = None,
    absgrad_probe: Float[Tensor, "C N 2"] | None = None,
) -> Composited:
    """Blend projected Gaussians front to back, by depth along z, ties by index.

    Args:
        projected: What `project` gave.
        colors: Colours per camera and Gaussian.
        width: Picture width [px].
        height: Picture height [px].
        settings: Which outputs are wanted.
        features: Extra channels, blended like colours.
        object_index: Object of each Gaussian, for `ids`; None: all 0.
        backgrounds: Colours behind everything; None: black.
        absgrad_probe: Zeros; its gradient becomes the sum over pixels of |dL/dmeans2d|.
    """
    count, gaussians = projected.depths.shape
    if object_index is None:
        object_index = torch.zeros(gaussians, dtype=torch.int32, device=colors.device)
    channels = [colors, projected.depths[..., None]]
    if features is not None:
        channels.append(features.expand(count, -1, -1))
    values = torch.cat(channels, dim=-1)
    pictures = [
        _composite_camera(c, projected, values, object_index, width, height, absgrad_probe)
        for c in range(count)
    ]
    sums, transmittance, ids, median = (torch.stack(parts) for parts in zip(*pictures, strict=True))

    image = sums[..., :3]
    if backgrounds is not None:
        image = image + transmittance[..., None] * backgrounds[:, None, None]
    alpha = 1 - transmittance
    solid = alpha >= DEPTH_ALPHA_MIN
    depth = _where(solid, sums[..., 3] / _where(solid, alpha, 1.0), 0.0)
    return Composited(
        image=image,
        alpha=alpha,
        depth=depth if settings.depth else None,
        ids=ids if settings.ids else None,
        median_depth=median if settings.median_depth else None,
        features=None if features is None else sums[..., 4:],
    )


def _composite_camera(
    camera: int,
    projected: Projected,
    values: Float[Tensor, "C N D"],
    objects: Int32[Tensor, " N"],
    width: int,
    height: int,
    probe: Float[Tensor, "C N 2"] | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Channel sums [H, W, D], transmittance, ids and median depth [H, W] of one camera, tile by tile.

    Tiles only bound the work: outside mean +- radius, alpha is below 1/255 everywhere.
    """
    means2d, radii = projected.means2d[camera], projected.radii[camera]
    drawn = torch.nonzero((radii > 0).all(-1))[:, 0]
    ordered = drawn[projected.depths[camera].detach()[drawn].argsort(stable=True)]
    low, high = (means2d.detach() - radii)[ordered], (means2d.detach() + radii)[ordered]
    rows = []
    for y0 in range(0, height, _TILE):
        row = []
        for x0 in range(0, width, _TILE):
            x1, y1 = min(x0 + _TILE, width), min(y0 + _TILE, height)
            corner, far_corner = low.new_tensor([x0, y0]), low.new_tensor([x1, y1])
            here = ordered[((high > corner) & (low < far_corner)).all(-1)]
            pixels = _pixel_centres(x0, x1, y0, y1).to(low)
            parts = []
            for chunk in pixels.split(max(1, _MAX_PAIRS // max(1, len(here)))):
                parts.append(
                    _checkpointed(
                        _composite_pixels,
                        chunk,
                        means2d[here],
                        projected.conics[camera, here],
                        projected.opacities[camera, here],
                        values[camera, here],
                        objects[here],
                        None if probe is None else probe[camera, here],
                    )
                )
            row.append([torch.cat(t).unflatten(0, (y1 - y0, x1 - x0)) for t in zip(*parts, strict=True)])
        rows.append([torch.cat(t, dim=1) for t in zip(*row, strict=True)])
    sums, transmittance, ids, median = (torch.cat(t, dim=0) for t in zip(*rows, strict=True))
    return sums, transmittance, ids, median


def _composite_pixels(
    pixels: Float[Tensor, "P 2"],
    means2d: Float[Tensor, "G 2"],
    conics: Float[Tensor, "G 3"],
    opacities: Float[Tensor, " G"],
    values: Float[Tensor, "G D"],
    objects: Int[Tensor, " G"],
    probe: Float[Tensor, "G 2"] | None,
) -> tuple[Float[Tensor, "P D"], Float[Tensor, " P"], Int32[Tensor, " P"], Float[Tensor, " P"]]:
    """Blend Gaussians, given front to back, at pixels: channel sums, transmittance, ids, median depth."""
    means = (
        means2d.expand(len(pixels), -1, -1) if probe is None else _PerPixel.apply(means2d, probe, len(pixels))
    )
    dx, dy = (means - pixels[:, None]).unbind(-1)
    xx, xy, yy = conics.unbind(-1)
    sigma = 0.5 * (xx * dx * dx + yy * dy * dy) + xy * dx * dy
    alphas = (opacities * (-sigma).exp()).clamp(max=ALPHA_MAX)
    with torch.no_grad():
        touches = (sigma >= 0) & (alphas >= ALPHA_MIN)
        after = (1 - _where(touches, alphas, 0.0)).cumprod(dim=1)
        blended = touches & (after > TRANSMITTANCE_STOP)
    alphas = _where(blended, alphas, 0.0)
    after = (1 - alphas).cumprod(dim=1)
    before = torch.cat([torch.ones_like(after[:, :1]), after[:, :-1]], dim=1)[:, : len(opacities)]
    weights = alphas * before
    transmittance = (1 - alphas).prod(dim=1)
    with torch.no_grad():
        ids = _strongest_object(weights, transmittance, objects)
        median = (_where((before > 0.5) & (after <= 0.5), 1.0, 0.0).to(values) * values[:, 3]).sum(dim=1)
    return weights @ values, transmittance, ids, median


def _strongest_object(
    weights: Float[Tensor, "P G"], transmittance: Float[Tensor, " P"], objects: Int[Tensor, " G"]
) -> Int32[Tensor, " P"]:
    """The object whose weights sum to the most, -1 where that is less than the remaining transmittance.

    Between equal sums the object met first from the front wins; "none" lies behind all of them.
    """
    if len(objects) == 0:
        return torch.full_like(transmittance, -1, dtype=torch.int32)
    names, column = objects.unique(return_inverse=True)
    column = column.expand_as(weights)
    sums = weights.new_zeros(len(weights), len(names)).scatter_add(1, column, weights)
    place = torch.arange(len(objects), dtype=weights.dtype).to(weights)
    place = torch.where(weights > 0, place, torch.inf)
    first = torch.full_like(sums, torch.inf).scatter_reduce(1, column, place, "amin")
    most = sums.amax(dim=1)
    first = torch.where(sums == most[:, None], first, torch.inf)
    return torch.where(most >= transmittance, names[first.argmin(dim=1)].int(), -1)


class _PerPixel(torch.autograd.Function):
    """Copies of the centres for every pixel: the centres get the sum of the gradients, a probe that of |g|."""

    @staticmethod
    def forward(ctx: Any, means2d: Tensor, probe: Tensor, pixels: int) -> Tensor:
        return means2d.expand(pixels, -1, -1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        return grads[0].sum(dim=0), grads[0].abs().sum(dim=0), None


def _checkpointed(function: Any, *arguments: Any) -> Any:
    """Call without keeping what the backward pass can compute again: memory stays that of one chunk."""
    if not torch.is_grad_enabled():
        return function(*arguments)
    return checkpoint(function, *arguments, use_reentrant=False, preserve_rng_state=False)


def _pixel_centres(x0: int, x1: int, y0: int, y1: int) -> Float[Tensor, "P 2"]:
    """Centres of the pixels of a rectangle, row by row [px]."""
    y, x = torch.meshgrid(torch.arange(y0, y1), torch.arange(x0, x1), indexing="ij")
    return torch.stack([x, y], dim=-1).reshape(-1, 2).double() + 0.5


def _where(condition: Bool[Tensor, "..."], value: Any, otherwise: float) -> Tensor:
    """`value` where the condition holds, aligned at the leading dimensions; its gradient stops elsewhere."""
    if isinstance(value, Tensor):
        condition = condition.reshape(condition.shape + (1,) * (value.ndim - condition.ndim))
    return torch.where(condition, value, otherwise)
