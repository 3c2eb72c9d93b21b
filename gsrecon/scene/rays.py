"""Directions in which pixels look."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from gsrecon.geometry.camera import Cameras


def directions_in_world(cameras: Cameras, pixels: Int64[Tensor, " M"]) -> Float[Tensor, "M 3"]:
    """Viewing directions in world axes, of any length, through pixel centres; no gradients.

    Args:
        cameras: C cameras.
        pixels: Flat indices into [C, H, W].
    """
    with torch.no_grad():
        per_picture = cameras.width * cameras.height
        parts = []
        for camera in range(len(cameras)):
            inside = pixels if len(cameras) == 1 else pixels[pixels // per_picture == camera]
            within = inside - camera * per_picture
            rays = directions_in_cam(cameras, camera, within)
            parts.append(rays @ cameras.viewmats[camera, :3, :3].to(rays.dtype))
        return parts[0] if len(parts) == 1 else torch.cat(parts)


def directions_in_cam(cameras: Cameras, camera: int, pixels: Int64[Tensor, " M"]) -> Float[Tensor, "M 3"]:
    """Viewing directions of one camera in its own axes, of any length; flat pixel indices into [H, W]."""
    inverse = torch.linalg.inv(cameras.Ks[camera].detach().float())
    row = torch.div(pixels, cameras.width, rounding_mode="floor")
    x = (pixels - row * cameras.width).float() + 0.5
    y = row.float() + 0.5
    u = inverse[0, 0] * x + inverse[0, 1] * y + inverse[0, 2]
    v = inverse[1, 1] * y + inverse[1, 2]
    if cameras.model == "pinhole":
        return torch.stack([u, v, torch.ones_like(u)], dim=1)
    radius = torch.sqrt(u * u + v * v)
    coefficients = [0.0] * 4 if cameras.distortion is None else cameras.distortion[camera].tolist()
    angle = _kannala_brandt_angle(radius, coefficients)
    across = torch.sin(angle) / radius.clamp_min(1e-12)
    return torch.stack([u * across, v * across, torch.cos(angle)], dim=1)


def _kannala_brandt_angle(radius: Tensor, coefficients: list[float]) -> Tensor:
    """Angle to the optical axis [rad] of r = t (1 + k1 t^2 + ... + k4 t^8), by Newton's method."""
    k1, k2, k3, k4 = coefficients
    angle = radius.clone()
    for _ in range(10):
        s = angle * angle
        value = angle * (1 + s * (k1 + s * (k2 + s * (k3 + s * k4)))) - radius
        slope = 1 + s * (3 * k1 + s * (5 * k2 + s * (7 * k3 + s * 9 * k4)))
        angle = (angle - value / slope.clamp_min(1e-3)).clamp(0.0, torch.pi)
    return angle
