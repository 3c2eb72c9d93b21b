"""Real spherical harmonics up to degree 4, in the order and with the signs that 3D Gaussian splatting uses.

Coefficients are ordered by degree l, and by m = -l..l inside it; odd m carry the Condon-Shortley sign.
Polynomials: P.-P. Sloan, "Efficient Spherical Harmonic Evaluation", JCGT 2(2), 2013.
"""

import torch
from jaxtyping import Float
from torch import Tensor

SH_C0 = 0.2820947917738781
"""sqrt(1 / (4 pi)): the constant harmonic."""

MAX_DEGREE = 4


def rgb_to_sh0(rgb: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3"]:
    """The coefficient of degree 0 that shows as this colour, which is 0.5 + SH_C0 sh0."""
    return (rgb - 0.5) / SH_C0


def sh0_to_rgb(sh0: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3"]:
    """The colour that a coefficient of degree 0 shows; the inverse of `rgb_to_sh0`, not clamped."""
    return 0.5 + SH_C0 * sh0


def basis(directions: Float[Tensor, "*batch 3"], degree: int) -> Float[Tensor, "*batch K"]:
    """Values of the (degree + 1)^2 harmonics in given directions.

    Args:
        directions: Directions of any length, normalised inside; zero vectors stay zero.
        degree: Highest degree, 0 to 4.

    Raises:
        ValueError: when the degree is not 0 to 4.
    """
    if not 0 <= degree <= MAX_DEGREE:
        raise ValueError(f"degree: expected 0 to {MAX_DEGREE}, got {degree}")
    x, y, z = torch.nn.functional.normalize(directions, dim=-1, eps=1e-30).unbind(-1)
    values = [torch.full_like(x, SH_C0)]
    if degree >= 1:
        values += [-0.4886025119029199 * y, 0.4886025119029199 * z, -0.4886025119029199 * x]
    xx, yy, zz = x * x, y * y, z * z
    # Real and imaginary parts of (x + iy)^m.
    cos2, sin2 = xx - yy, 2 * x * y
    if degree >= 2:
        values += [
            0.5462742152960395 * sin2,
            -1.0925484305920792 * y * z,
            0.9461746957575601 * zz - 0.31539156525252005,
            -1.0925484305920792 * x * z,
            0.5462742152960395 * cos2,
        ]
    cos3, sin3 = x * cos2 - y * sin2, x * sin2 + y * cos2
    if degree >= 3:
        inner = -2.285228997322329 * zz + 0.4570457994644658
        values += [
            -0.5900435899266435 * sin3,
            1.445305721320277 * z * sin2,
            inner * y,
            z * (1.865881662950577 * zz - 1.1195289977703462),
            inner * x,
            1.445305721320277 * z * cos2,
            -0.5900435899266435 * cos3,
        ]
    if degree >= 4:
        cos4, sin4 = x * cos3 - y * sin3, x * sin3 + y * cos3
        inner = z * (2.0071396306718676 - 4.683325804901025 * zz)
        outer = 3.31161143515146 * zz - 0.47308734787878
        values += [
            0.6258357354491761 * sin4,
            -1.7701307697799304 * z * sin3,
            outer * sin2,
            inner * y,
            (3.7024941420321507 * zz - 3.1735664074561294) * zz + 0.31735664074561293,
            inner * x,
            outer * cos2,
            -1.7701307697799304 * z * cos3,
            0.6258357354491761 * cos4,
        ]
    return torch.stack(values, dim=-1)


def eval_sh(
    sh0: Float[Tensor, "*#batch 3"],
    sh_rest: Float[Tensor, "*#batch R 3"] | None,
    directions: Float[Tensor, "*#batch 3"],
    degree: int,
) -> Float[Tensor, "*#batch 3"]:
    """Sum of the harmonics up to a degree, seen along given directions (not offset, not clamped).

    Args:
        sh0: Coefficients of degree 0.
        sh_rest: Coefficients of degrees 1 and up; may hold more than `degree` needs, or be None for degree 0.
        directions: From the camera towards the point, in the frame the coefficients live in; any length.
        degree: Highest degree used, 0 to 4.

    Raises:
        ValueError: when `sh_rest` holds fewer coefficients than the degree needs.
    """
    needed = (degree + 1) ** 2 - 1
    held = 0 if sh_rest is None else sh_rest.shape[-2]
    if held < needed:
        raise ValueError(
            f"sh_rest: degree {degree} needs {needed} coefficients, got {held}; lower the degree"
        )
    total = SH_C0 * sh0
    if sh_rest is None or degree == 0:
        return total
    values = basis(directions, degree)[..., 1:]
    return total + (values[..., None] * sh_rest[..., :needed, :]).sum(dim=-2)
