"""Rotations and intrinsics as recordings hold them, in numpy: what they are, and the nearest rotations.

The nearest rotation is Kabsch's: "A solution for the best rotation to relate two sets of vectors", 1976.
"""

import numpy as np
from jaxtyping import Bool, Float64

_ROUNDING = 1e-3
"""Entries of R R^T may be this far from the identity's, and of K from 0 and 1: few digits are printed."""

_PRINTED = 1e-2
"""What a rotation was printed as may be this far from it in each entry."""


def is_rigid(motions: Float64[np.ndarray, "*batch 4 4"]) -> Bool[np.ndarray, "*batch"]:
    """True where the upper left block is a rotation, to rounding, and every number is finite."""
    finite = np.isfinite(motions).all(axis=(-2, -1))
    rotations = np.where(finite[..., None, None], motions[..., :3, :3], 0.0)
    away = np.abs(rotations @ np.swapaxes(rotations, -1, -2) - np.eye(3)).max(axis=(-2, -1))
    return np.asarray(finite & (away < _ROUNDING) & (np.linalg.det(rotations) > 0))


def nearest_rotation(matrix: Float64[np.ndarray, "3 3"]) -> Float64[np.ndarray, "3 3"]:
    """The rotation closest to a matrix in the least squares of its entries.

    Of a rotation that was printed with few digits it is the rotation; of a sum of rotations, their mean.
    """
    U, _, Vh = np.linalg.svd(matrix)
    return U @ np.diag([1.0, 1.0, np.linalg.det(U @ Vh)]) @ Vh


def printed_rotation(matrix: Float64[np.ndarray, "3 3"]) -> Float64[np.ndarray, "3 3"]:
    """The rotation that a recording printed with few digits.

    Raises:
        ValueError: The matrix is none: it mirrors, scales, or has lost its numbers.
    """
    rotation = nearest_rotation(matrix)
    if np.abs(rotation - matrix).max() > _PRINTED:
        raise ValueError("no rotation (it mirrors or scales)")
    return rotation


def is_pinhole(K: Float64[np.ndarray, "3 3"]) -> bool:
    """True of [[fx, 0, cx], [0, fy, cy], [0, 0, 1]], to rounding: no skew, any focal lengths."""
    plain = np.array([[K[0, 0], 0, K[0, 2]], [0, K[1, 1], K[1, 2]], [0, 0, 1]])
    return bool(np.abs(K - plain).max() <= _ROUNDING)
