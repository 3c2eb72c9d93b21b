"""Lens models: where a point in the camera lands in the picture, and how the picture moves with the point.

Both give the pixel and its Jacobian in closed form, so that autograd through the Jacobian stays exact.
"""

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gsrecon.ops.settings import FRUSTUM_MARGIN

_SERIES_BELOW = 0.03
_SERIES_TERMS = 13


def pinhole(
    points: Float[Tensor, "C N 3"], Ks: Float[Tensor, "C 3 3"], width: int, height: int
) -> tuple[Float[Tensor, "C N 2"], Float[Tensor, "C N 2 3"]]:
    """Pixels and Jacobians of points in the camera [m], z > 0.

    The Jacobian is taken at the point itself inside the picture and a margin of 0.3 half-widths around it,
    and held at the margin's edge outside, where the linear approximation would blow covariances up.

    Source: Zwicker et al., "EWA splatting", 2002; the margin is that of the 3D Gaussian splatting code.
    """
    x, y, z = points.unbind(-1)
    fx, fy, cx, cy = (k[:, None] for k in (Ks[:, 0, 0], Ks[:, 1, 1], Ks[:, 0, 2], Ks[:, 1, 2]))
    margin_x, margin_y = FRUSTUM_MARGIN * 0.5 * width / fx, FRUSTUM_MARGIN * 0.5 * height / fy
    u, v = x / z, y / z
    held_u = _hold(u, -(cx / fx + margin_x), (width - cx) / fx + margin_x)
    held_v = _hold(v, -(cy / fy + margin_y), (height - cy) / fy + margin_y)
    zero = torch.zeros_like(z)
    jacobians = torch.stack(
        [fx / z, zero, -fx * held_u / z, zero, fy / z, -fy * held_v / z],
        dim=-1,
    ).unflatten(-1, (2, 3))
    return torch.stack([fx * u + cx, fy * v + cy], dim=-1), jacobians


def fisheye(
    points: Float[Tensor, "C N 3"], Ks: Float[Tensor, "C 3 3"], distortion: Float[Tensor, "C 4"] | None
) -> tuple[Float[Tensor, "C N 2"], Float[Tensor, "C N 2 3"]]:
    """Pixels and Jacobians of points in the camera [m], z > 0, by the Kannala-Brandt model.

    With w = (x^2 + y^2) / z^2 and theta = atan(sqrt(w)), a point lands at f (x, y) h(w) / z + c, where
    h = (theta / sqrt(w)) (1 + k1 theta^2 + k2 theta^4 + k3 theta^6 + k4 theta^8), smooth on the axis too.

    Source: Kannala, Brandt, "A generic camera model and calibration method", 2006.
    """
    x, y, z = points.unbind(-1)
    fx, fy, cx, cy = (k[:, None] for k in (Ks[:, 0, 0], Ks[:, 1, 1], Ks[:, 0, 2], Ks[:, 1, 2]))
    k = torch.zeros(len(Ks), 4).to(Ks) if distortion is None else distortion
    k1, k2, k3, k4 = (k[:, i, None] for i in range(4))
    w = (x * x + y * y) / (z * z)
    ratio, ratio_w = _atan_ratio(w)
    t = w * ratio * ratio
    stretch = 1 + t * (k1 + t * (k2 + t * (k3 + t * k4)))
    stretch_t = k1 + t * (2 * k2 + t * (3 * k3 + t * 4 * k4))
    h = ratio * stretch
    h_w = ratio_w * stretch + ratio * stretch_t * ratio / (1 + w)
    # d(x h / z): h depends on x, y through w_x = 2 x / z^2 and on z through w_z = -2 w / z.
    slope = 2 * h_w / z**3
    along_z = -(h + 2 * w * h_w) / (z * z)
    jacobians = torch.stack(
        [
            fx * (h / z + x * x * slope),
            fx * x * y * slope,
            fx * x * along_z,
            fy * x * y * slope,
            fy * (h / z + y * y * slope),
            fy * y * along_z,
        ],
        dim=-1,
    ).unflatten(-1, (2, 3))
    return torch.stack([fx * x * h / z + cx, fy * y * h / z + cy], dim=-1), jacobians


def fisheye_widest_tangent(distortion: Float[Tensor, "C 4"] | None, cameras: int) -> Float[Tensor, " C"]:
    """Tangent of the widest angle off the axis that a fisheye lens sees, per camera, in float64.

    Past the first angle at which r(theta) = theta (1 + k1 theta^2 + ...) stops growing, the polynomial folds
    the world back into the picture; what lies there is not drawn. Infinity where it never folds.
    """
    if distortion is None:
        return torch.full((cameras,), math.inf, dtype=torch.float64)
    if distortion.device.type == "cpu":
        return _tangents_of_roots(distortion.detach().double())
    return _tangents_by_search(distortion.detach().double())


def _tangents_of_roots(distortion: Float[Tensor, "C 4"]) -> Float[Tensor, " C"]:
    tangents = []
    for k1, k2, k3, k4 in distortion.tolist():
        roots = np.roots([9 * k4, 7 * k3, 5 * k2, 3 * k1, 1.0])
        folds = [r.real for r in roots if abs(r.imag) < 1e-9 * (1 + abs(r)) and r.real > 0]
        widest = math.sqrt(min(folds)) if folds else math.inf
        tangents.append(math.tan(widest) if widest < math.pi / 2 else math.inf)
    return torch.tensor(tangents, dtype=torch.float64)


def _tangents_by_search(distortion: Float[Tensor, "C 4"]) -> Float[Tensor, " C"]:
    """The same without waiting for a device: the first sign change of r' on a grid, refined by Newton."""
    grid = torch.linspace(0, math.pi / 2, 2049, dtype=torch.float64, device=distortion.device)[1:]
    factors = distortion * torch.arange(3, 10, 2, dtype=torch.float64, device=distortion.device)

    def slope(theta: Tensor) -> tuple[Tensor, Tensor]:
        """r'(theta) and its derivative, [C, M] for theta [C, M]."""
        p = theta * theta
        a, b, c, d = factors.T[..., None]
        value = 1 + p * (a + p * (b + p * (c + p * d)))
        return value, 2 * theta * (a + p * (2 * b + p * (3 * c + p * 4 * d)))

    folded = slope(grid.expand(len(distortion), -1))[0] <= 0
    theta = grid[folded.int().argmax(dim=1)][:, None]
    for _ in range(6):
        value, derivative = slope(theta)
        theta = theta - torch.where(derivative != 0, value / derivative, 0.0)
    return torch.where(folded.any(dim=1), theta[:, 0].tan(), math.inf)


def _hold(value: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Clamp with a full gradient inside and on the bounds, and none outside."""
    return torch.where(value < low, low, torch.where(value > high, high, value))


def _atan_ratio(w: Tensor) -> tuple[Tensor, Tensor]:
    """A(w) = atan(sqrt(w)) / sqrt(w) and its derivative, by series where the closed form would cancel."""
    near = w < _SERIES_BELOW
    far_w = torch.where(near, torch.ones_like(w), w)
    root = far_w.sqrt()
    far = root.atan() / root
    far_slope = (1 / (1 + far_w) - far) / (2 * far_w)
    near_w = torch.where(near, w, torch.zeros_like(w))
    series, slope = torch.zeros_like(w), torch.zeros_like(w)
    for n in reversed(range(_SERIES_TERMS)):
        series = series * near_w + (-1) ** n / (2 * n + 1)
        slope = slope * near_w + (-1) ** (n + 1) * (n + 1) / (2 * n + 3)
    return torch.where(near, series, far), torch.where(near, slope, far_slope)
