"""The specification's first half: what each camera sees of each Gaussian."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int32
from torch import Tensor

from gsrecon.geometry.camera import CameraModel
from gsrecon.geometry.rigid import quat_to_rotmat
from gsrecon.ops.lens import fisheye, fisheye_widest_tangent, pinhole
from gsrecon.ops.masking import where
from gsrecon.ops.settings import ALPHA_MIN, SUPPORT_SIGMAS, RasterizeSettings

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
    means = where(sound, means, 0.0)
    scales = where(sound, scales, 1.0)
    opacities = where(sound, opacities, 0.0)
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
    xx, yy, determinant = (where(seen, t, 1.0) for t in (xx, yy, determinant))
    xy, sharp = where(seen, xy, 0.0), where(seen, sharp, 0.0)

    opacities = opacities.expand_as(z)
    if settings.mode == "antialiased":
        ratio = sharp / determinant
        compensations = where(ratio > 0, where(ratio > 0, ratio, 1.0).sqrt(), 0.0)
        opacities = opacities * compensations
    seen = seen & (opacities >= ALPHA_MIN)

    with torch.no_grad():
        reach = (2 * (opacities / ALPHA_MIN).clamp(min=1).log()).sqrt().clamp(max=SUPPORT_SIGMAS)
        extents = torch.stack([xx, yy], dim=-1).sqrt()
        radii = (reach[..., None] * extents).ceil().clamp(max=_MAX_RADIUS)
        seen = seen & (radii > settings.radius_clip).any(-1)
        size = radii.new_tensor([width, height])
        seen = seen & ((means2d + radii > 0) & (means2d - radii < size)).all(-1)
        radii = where(seen, radii, 0.0).to(torch.int32)
    conics = torch.stack([yy / determinant, -xy / determinant, xx / determinant], dim=-1)
    return Projected(
        means2d=where(seen, means2d, 0.0),
        radii=radii,
        depths=where(seen, points[..., 2], 0.0),
        conics=where(seen, conics, 0.0),
        opacities=where(seen, opacities, 0.0),
        directions=where(seen, directions, 0.0),
    )
