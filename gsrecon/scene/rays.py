"""Directions in which places of a picture look."""

from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from gsrecon.geometry.camera import CameraModel, Cameras


def picture_directions(cameras: Cameras, camera: int) -> Float[Tensor, "H W 3"]:
    """Viewing directions of all pixel centres of one camera in its own axes, kept for the next picture.

    They are on the device of the cameras, whose lens is read once: reading from a GPU waits for all its work.
    """
    distortion = None if cameras.distortion is None else _numbers(cameras.distortion)[camera]
    K = _numbers(cameras.Ks)[camera]
    return _picture_directions(K, distortion, cameras.width, cameras.height, cameras.model, cameras.Ks.device)


_read = WeakTensorKeyDictionary()


def _numbers(rows: Float[Tensor, "C ..."]) -> list[tuple[float, ...]]:
    """The numbers of each row, kept as long as the tensor lives and nobody writes to it."""
    version = None if rows.is_inference() else rows._version
    known = _read.get(rows)
    if known is None or version is None or known[0] != version:
        known = version, [tuple(row) for row in rows.flatten(1).tolist()]
        _read[rows] = known
    return known[1]


@lru_cache(maxsize=16)
def _picture_directions(
    K: tuple[float, ...],
    distortion: tuple[float, ...] | None,
    width: int,
    height: int,
    model: CameraModel,
    device: torch.device,
) -> Float[Tensor, "H W 3"]:
    lens = Cameras(
        viewmats=torch.eye(4)[None],
        Ks=torch.tensor(K).reshape(1, 3, 3),
        width=width,
        height=height,
        model=model,
        distortion=None if distortion is None else torch.tensor([distortion]),
    )
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    return directions_in_cam(lens, 0, x, y).to(device)


def directions_in_cam(
    cameras: Cameras, camera: int, x: Float[Tensor, "*places"], y: Float[Tensor, "*places"]
) -> Float[Tensor, "*places 3"]:
    """Viewing directions of one camera in its own axes, of any length but zero; no gradients.

    Args:
        cameras: C cameras.
        camera: Which of them.
        x: Places in the picture, rightwards [px]; pixel centres are at +0.5.
        y: Places in the picture, downwards [px].
    """
    with torch.no_grad():
        inverse = torch.linalg.inv(cameras.Ks[camera].float())
        u = inverse[0, 0] * x + inverse[0, 1] * y + inverse[0, 2]
        v = inverse[1, 1] * y + inverse[1, 2]
        if cameras.model == "pinhole":
            return torch.stack([u, v, torch.ones_like(u)], dim=-1)
        radius = torch.sqrt(u * u + v * v)
        coefficients = [0.0] * 4 if cameras.distortion is None else cameras.distortion[camera].tolist()
        angle = _kannala_brandt_angle(radius, coefficients)
        # At the centre sin(angle) / radius tends to 1.
        across = torch.where(radius > 1e-6, torch.sin(angle) / radius.clamp_min(1e-6), 1.0)
        return torch.stack([u * across, v * across, torch.cos(angle)], dim=-1)


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
