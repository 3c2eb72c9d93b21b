"""Rotations and rigid motions: quaternions (wxyz), SE(3) exponential and logarithm, interpolation.

Everything takes leading batch dimensions, keeps its dtype and is differentiable, at the identity too.
A rigid motion is a 4 x 4 matrix named `target_from_source`; a tangent vector is (v, w): translation
first [m], rotation vector second [rad].

Source: Sola, Deray, Atchuthan, "A micro Lie theory for state estimation in robotics", 2018.
"""

import torch
from jaxtyping import Float
from torch import Tensor


def quat_to_rotmat(quats: Float[Tensor, "*batch 4"]) -> Float[Tensor, "*batch 3 3"]:
    """Rotation matrices of quaternions wxyz; they are normalised inside, a zero one is undefined."""
    w, x, y, z = _normalized(quats).unbind(-1)
    rows = [
        1 - 2 * (y * y + z * z),
        2 * (x * y - w * z),
        2 * (x * z + w * y),
        2 * (x * y + w * z),
        1 - 2 * (x * x + z * z),
        2 * (y * z - w * x),
        2 * (x * z - w * y),
        2 * (y * z + w * x),
        1 - 2 * (x * x + y * y),
    ]
    return torch.stack(rows, dim=-1).reshape(*quats.shape[:-1], 3, 3)


def rotmat_to_quat(rotations: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 4"]:
    """Unit quaternions wxyz with w >= 0 of rotation matrices.

    Each of the four candidates divides by one component; the best conditioned one is taken, so that
    half turns are exact too.
    """
    m = rotations
    xx, yy, zz = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    x, y, z = (m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1])
    xy, xz, yz = (m[..., 0, 1] + m[..., 1, 0], m[..., 0, 2] + m[..., 2, 0], m[..., 1, 2] + m[..., 2, 1])
    # Row k holds 4 q_k q: proportional to the quaternion, with 4 q_k^2 on the diagonal.
    candidates = torch.stack(
        [
            torch.stack([1 + xx + yy + zz, x, y, z], dim=-1),
            torch.stack([x, 1 + xx - yy - zz, xy, xz], dim=-1),
            torch.stack([y, xy, 1 - xx + yy - zz, yz], dim=-1),
            torch.stack([z, xz, yz, 1 - xx - yy + zz], dim=-1),
        ],
        dim=-2,
    )
    best = torch.diagonal(candidates, dim1=-2, dim2=-1).argmax(dim=-1)
    index = best[..., None, None].expand(*best.shape, 1, 4)
    quats = _normalized(candidates.gather(-2, index).squeeze(-2))
    return torch.where(quats[..., :1] < 0, -quats, quats)


def quat_multiply(first: Float[Tensor, "*batch 4"], second: Float[Tensor, "*batch 4"]) -> Tensor:
    """Hamilton product wxyz: the rotation `second` followed by `first`; not normalised."""
    aw, ax, ay, az = first.unbind(-1)
    bw, bx, by, bz = second.unbind(-1)
    return torch.stack(
        [
            aw * bw - ax * bx - ay * by - az * bz,
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
        ],
        dim=-1,
    )


def se3_exp(tangents: Float[Tensor, "*batch 6"]) -> Float[Tensor, "*batch 4 4"]:
    """Rigid motions of tangent vectors (v [m], w [rad]): exp of [[w]x, v; 0, 0]."""
    v, w = tangents[..., :3], tangents[..., 3:]
    squared = (w * w).sum(-1)[..., None, None]
    hat = _hat(w)
    hat_squared = hat @ hat
    identity = torch.eye(3, dtype=tangents.dtype, device=tangents.device)
    a, b, c = _exp_coefficients(squared)
    rotation = identity + a * hat + b * hat_squared
    left_jacobian = identity + b * hat + c * hat_squared
    return assemble(rotation, (left_jacobian @ v[..., None])[..., 0])


def se3_log(motions: Float[Tensor, "*batch 4 4"]) -> Float[Tensor, "*batch 6"]:
    """Tangent vectors (v [m], w [rad]) of rigid motions; |w| <= pi, at pi of either sign."""
    w = _rotation_vector(rotmat_to_quat(motions[..., :3, :3]))
    squared = (w * w).sum(-1)[..., None, None]
    hat = _hat(w)
    identity = torch.eye(3, dtype=motions.dtype, device=motions.device)
    inverse_left_jacobian = identity - 0.5 * hat + _log_coefficient(squared) * (hat @ hat)
    v = (inverse_left_jacobian @ motions[..., :3, 3:])[..., 0]
    return torch.cat([v, w], dim=-1)


def inverse(motions: Float[Tensor, "*batch 4 4"]) -> Float[Tensor, "*batch 4 4"]:
    """`source_from_target` of rigid `target_from_source`."""
    transposed = motions[..., :3, :3].transpose(-1, -2)
    return assemble(transposed, -(transposed @ motions[..., :3, 3:])[..., 0])


def interpolate(
    start: Float[Tensor, "*#batch 4 4"],
    end: Float[Tensor, "*#batch 4 4"],
    t: Float[Tensor, "*#batch"] | float,
) -> Float[Tensor, "*moved 4 4"]:
    """The motion a fraction t of the way: rotation on the shortest arc (slerp), translation on the line.

    t outside [0, 1] extrapolates. Rotation and translation are kept apart, so that an even drive on a
    line stays even whatever the vehicle's heading does.
    """
    fraction = torch.as_tensor(t, dtype=start.dtype, device=start.device)[..., None]
    turn = start[..., :3, :3].transpose(-1, -2) @ end[..., :3, :3]
    w = fraction * _rotation_vector(rotmat_to_quat(turn))
    turned = se3_exp(torch.cat([torch.zeros_like(w), w], dim=-1))
    rotation = start[..., :3, :3] @ turned[..., :3, :3]
    return assemble(rotation, torch.lerp(start[..., :3, 3], end[..., :3, 3], fraction))


def transform_points(
    target_from_source: Float[Tensor, "*batch 4 4"], points: Float[Tensor, "*points 3"]
) -> Float[Tensor, "*moved 3"]:
    """Points in the target frame [m]: one motion for [..., 3], or a batch [B, 4, 4] for [B, ..., 3]."""
    missing = points.ndim - 1 - (target_from_source.ndim - 2)
    if missing < 0:
        raise ValueError(
            f"points: expected at least the motions' batch dimensions {list(target_from_source.shape[:-2])}, "
            f"got {list(points.shape)}; add a dimension of size 1 in front of the last"
        )
    shape = (*target_from_source.shape[:-2], *([1] * missing), 4, 4)
    motions = target_from_source.reshape(shape)
    return (motions[..., :3, :3] @ points[..., None])[..., 0] + motions[..., :3, 3]


def assemble(
    rotation: Float[Tensor, "*batch 3 3"], translation: Float[Tensor, "*batch 3"]
) -> Float[Tensor, "*batch 4 4"]:
    """The 4 x 4 motion of a rotation and a translation [m]."""
    upper = torch.cat([rotation, translation[..., None]], dim=-1)
    last = torch.eye(4, dtype=upper.dtype, device=upper.device)[3]
    return torch.cat([upper, last.expand(*upper.shape[:-2], 1, 4)], dim=-2)


# Below this squared angle the closed forms lose digits to cancellation; the series are exact to 1e-15 there.
_SERIES_BELOW = 0.1


def _exp_coefficients(squared: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """sin(t)/t, (1 - cos t)/t^2 and (t - sin t)/t^3 as functions of t^2, smooth at zero."""
    small = squared < _SERIES_BELOW
    # Replaced before the closed form is evaluated: a NaN in the branch not taken would poison gradients.
    safe = torch.where(small, torch.ones_like(squared), squared)
    angle = safe.sqrt()
    half = torch.sin(0.5 * angle) / (0.5 * angle)
    s = squared
    a = _series(s, (1.0, -1 / 6, 1 / 120, -1 / 5040, 1 / 362880, -1 / 39916800, 1 / 6227020800))
    b = _series(s, (1 / 2, -1 / 24, 1 / 720, -1 / 40320, 1 / 3628800, -1 / 479001600, 1 / 87178291200))
    c = _series(s, (1 / 6, -1 / 120, 1 / 5040, -1 / 362880, 1 / 39916800, -1 / 6227020800))
    return (
        torch.where(small, a, torch.sin(angle) / angle),
        torch.where(small, b, 0.5 * half * half),
        torch.where(small, c, (angle - torch.sin(angle)) / (safe * angle)),
    )


def _log_coefficient(squared: Tensor) -> Tensor:
    """(1 - (t/2) cot(t/2)) / t^2 as a function of t^2, smooth at zero."""
    small = squared < _SERIES_BELOW
    safe = torch.where(small, torch.ones_like(squared), squared)
    half = 0.5 * safe.sqrt()
    series = (1 / 12, 1 / 720, 1 / 30240, 1 / 1209600, 1 / 47900160, 691 / 1307674368000)
    closed = (1 - half * torch.cos(half) / torch.sin(half)) / safe
    return torch.where(small, _series(squared, series), closed)


def _rotation_vector(quats: Tensor) -> Tensor:
    """Axis times angle [rad] of unit quaternions with w >= 0."""
    w, v = quats[..., :1], quats[..., 1:]
    squared = (v * v).sum(-1, keepdim=True)
    small = squared < 1e-12
    norm = torch.where(small, torch.ones_like(squared), squared).sqrt()
    # |v| = sin(angle / 2): near zero angle / |v| is 2 / w up to squared terms.
    return torch.where(small, 2.0 / w.clamp_min(0.5), 2.0 * torch.atan2(norm, w) / norm) * v


def _hat(w: Tensor) -> Tensor:
    """Cross-product matrices [w]x."""
    x, y, z = w.unbind(-1)
    zero = torch.zeros_like(x)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).reshape(*w.shape[:-1], 3, 3)


def _series(x: Tensor, coefficients: tuple[float, ...]) -> Tensor:
    """Horner's rule, constant first."""
    total = torch.full_like(x, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        total = total * x + coefficient
    return total


def _normalized(quats: Tensor) -> Tensor:
    return quats / quats.norm(dim=-1, keepdim=True).clamp_min(torch.finfo(quats.dtype).tiny)
