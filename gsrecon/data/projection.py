"""Projecting points into a recorded camera, in numpy and float64."""

import numpy as np
from jaxtyping import Float, Float64

from gsrecon.geometry.camera import CameraModel


def project(
    points_in_cam: Float[np.ndarray, "N 3"],
    K: Float64[np.ndarray, "3 3"],
    model: CameraModel = "pinhole",
    distortion: tuple[float, float, float, float] | None = None,
) -> Float64[np.ndarray, "N 2"]:
    """Pixels (x right, y down, pixel centres at +0.5) of points [m]; undefined for z <= 0 of a pinhole."""
    points = np.asarray(points_in_cam, dtype=np.float64)
    x, y, z = points[:, 0], points[:, 1], points[:, 2]
    if model == "pinhole":
        rays = np.stack([x / z, y / z], axis=1)
    else:
        # Kannala-Brandt: the radius is a polynomial of the angle to the optical axis.
        across = np.hypot(x, y)
        angle = np.arctan2(across, z)
        k1, k2, k3, k4 = distortion or (0.0, 0.0, 0.0, 0.0)
        s = angle * angle
        radius = angle * (1 + s * (k1 + s * (k2 + s * (k3 + s * k4))))
        per_metre = radius / np.maximum(across, 1e-12)
        rays = np.stack([x * per_metre, y * per_metre], axis=1)
    return rays @ K[:2, :2].T + K[:2, 2]


def unproject(
    pixels: Float[np.ndarray, "N 2"],
    K: Float64[np.ndarray, "3 3"],
    model: CameraModel = "pinhole",
    distortion: tuple[float, float, float, float] | None = None,
) -> Float64[np.ndarray, "N 3"]:
    """Unit rays in the camera of pixels (pixel centres at +0.5)."""
    rays = np.linalg.solve(K, np.concatenate([pixels, np.ones((len(pixels), 1))], axis=1).T).T
    if model == "fisheye":
        radius = np.hypot(rays[:, 0], rays[:, 1])
        angle = _angle_of_radius(radius, distortion or (0.0, 0.0, 0.0, 0.0))
        across = np.sin(angle) / np.maximum(radius, 1e-12)
        rays = np.stack([rays[:, 0] * across, rays[:, 1] * across, np.cos(angle)], axis=1)
    return rays / np.linalg.norm(rays, axis=1, keepdims=True)


def _angle_of_radius(
    radius: Float64[np.ndarray, " N"], distortion: tuple[float, float, float, float]
) -> Float64[np.ndarray, " N"]:
    """Newton's method on the lens polynomial, from the equidistant lens."""
    k1, k2, k3, k4 = distortion
    angle = radius.copy()
    for _ in range(10):
        s = angle * angle
        value = angle * (1 + s * (k1 + s * (k2 + s * (k3 + s * k4)))) - radius
        slope = 1 + s * (3 * k1 + s * (5 * k2 + s * (7 * k3 + s * 9 * k4)))
        angle = np.clip(angle - value / np.maximum(slope, 1e-3), 0.0, np.pi)
    return angle
