"""What a rasterizer is asked for and what it gives back; the same for every backend."""

import math
from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float, Int32, Int64
from torch import Tensor

ALPHA_MIN = 1.0 / 255.0
"""A Gaussian whose alpha at a pixel is below this does not touch the pixel."""
ALPHA_MAX = 0.99
"""Alpha is clamped here; no gradient flows where it is."""
TRANSMITTANCE_STOP = 1e-4
"""A pixel is done before the Gaussian that would bring its transmittance to this or below."""
SUPPORT_SIGMAS = 3.33
"""Half-width of a Gaussian of opacity 1, in standard deviations: exp(-3.33^2 / 2) is just below 1/255."""
FRUSTUM_MARGIN = 0.3
"""How far outside the picture (in half-widths) the pinhole Jacobian is evaluated before it is held."""
DEPTH_ALPHA_MIN = 0.01
"""Pixels with less accumulated alpha have no depth (0)."""

RasterizeMode = Literal["classic", "antialiased"]


@dataclass(frozen=True)
class RasterizeSettings:
    """How Gaussians are projected and composited, and which outputs are wanted."""

    mode: RasterizeMode = "classic"
    """`antialiased` scales opacity by sqrt(det(S) / det(S + eps2d I)) of the 2D covariance S."""
    near_plane: float = 0.01
    """Gaussians whose centre lies nearer along z are not drawn [m]."""
    far_plane: float = 1e10
    """Gaussians whose centre lies farther along z are not drawn [m]."""
    radius_clip: float = 0.0
    """Gaussians whose radii are both at most this are not drawn [px]."""
    eps2d: float = 0.3
    """Added to the diagonal of the 2D covariance [px^2]."""
    sh_degree: int | None = None
    """Highest degree of harmonics used; None: all that `sh_rest` holds."""
    depth: bool = True
    """Give the expected depth along z."""
    ids: bool = False
    """Give, per pixel, the object whose blend weights sum to the most."""
    median_depth: bool = False
    """Give the depth at which half of the light is stopped."""
    absgrad: bool = False
    """Give a probe that collects the sum over pixels of |dL/dmeans2d| in the backward pass."""

    max_entries: int | None = None
    """Room for pairs of Gaussian and tile on a GPU; None: as many as there are.

    With it the CPU never waits for the GPU, so that CUDA graphs can capture a picture. What has no room is
    left out of the picture: `RasterInfo.entries` says how many pairs there were.
    """

    def __post_init__(self) -> None:
        if self.max_entries is not None and not 0 < self.max_entries < 2**31:
            raise ValueError(f"max_entries: expected None or 1 to 2^31 - 1, got {self.max_entries}")
        if self.mode not in ("classic", "antialiased"):
            raise ValueError(f"mode: expected 'classic' or 'antialiased', got {self.mode!r}")
        if not (math.isfinite(self.near_plane) and self.near_plane >= 0):
            raise ValueError(f"near_plane: expected a finite number of at least 0 [m], got {self.near_plane}")
        if not self.far_plane > self.near_plane:
            raise ValueError(
                f"far_plane: expected more than near_plane = {self.near_plane} [m], got {self.far_plane}"
            )
        if not self.radius_clip >= 0:
            raise ValueError(f"radius_clip: expected at least 0 [px], got {self.radius_clip}")
        if not (math.isfinite(self.eps2d) and self.eps2d >= 0):
            raise ValueError(f"eps2d: expected a finite number of at least 0 [px^2], got {self.eps2d}")
        if self.sh_degree is not None and not 0 <= self.sh_degree <= 4:
            raise ValueError(f"sh_degree: expected None or 0 to 4, got {self.sh_degree}")


@dataclass(frozen=True)
class RasterInfo:
    """What projection found out about each Gaussian in each camera; all zero where a Gaussian is culled."""

    means2d: Float[Tensor, "C N 2"]
    """Projected centres [px], a node of the graph: `retain_grad()` works on it."""
    radii: Int32[Tensor, "C N 2"]
    """Half-extents of the support along x and y [px]; 0 means culled."""
    depths: Float[Tensor, "C N"]
    """Centres' z in the camera [m]."""
    conics: Float[Tensor, "C N 3"]
    """Inverse 2D covariances (xx, xy, yy) [1/px^2]."""
    opacities: Float[Tensor, "C N"]
    """Opacities as composited, after the antialiasing compensation."""
    absgrad_probe: Float[Tensor, "C N 2"] | None = None
    """With `absgrad`: a leaf whose `.grad` is the sum over pixels of |dL/dmeans2d| after `backward()`."""
    entries: Int64[Tensor, ""] | None = None
    """Pairs of Gaussian and tile over all cameras, from the compiled backends."""


@dataclass(frozen=True)
class Rasterized:
    """Pictures of C cameras."""

    image: Float[Tensor, "C H W 3"]
    """Composited colours over the background."""
    alpha: Float[Tensor, "C H W"]
    """Accumulated alpha, 1 - remaining transmittance."""
    depth: Float[Tensor, "C H W"] | None
    """Expected depth along z [m], sum(w z) / alpha; 0 where alpha < 0.01."""
    ids: Int32[Tensor, "C H W"] | None
    """Object with the most blend weight; -1 where the remaining transmittance is more than any object's."""
    median_depth: Float[Tensor, "C H W"] | None
    """z [m] of the Gaussian at which accumulated alpha reaches 0.5, 0 where none does; not differentiable."""
    features: Float[Tensor, "C H W F"] | None
    """Composited extra channels, without a background."""
    info: RasterInfo
