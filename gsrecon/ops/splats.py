"""The activated tensors a rasterizer draws."""

from dataclasses import dataclass

from jaxtyping import Float, Int32
from torch import Tensor


@dataclass(frozen=True)
class Splats:
    """N Gaussians, activated, each in the frame of the object it belongs to.

    Exactly one of (`sh0`, optionally `sh_rest`) and `colors` gives the appearance.
    """

    means: Float[Tensor, "N 3"]
    """Centres in the object's frame [m]."""
    quats: Float[Tensor, "N 4"]
    """Rotations, wxyz; normalised inside, a zero quaternion draws nothing."""
    scales: Float[Tensor, "N 3"]
    """Standard deviations along the Gaussian's own axes [m]."""
    opacities: Float[Tensor, " N"]
    """Peak opacities in [0, 1]."""
    sh0: Float[Tensor, "N 3"] | None = None
    """Spherical harmonics of degree 0: colour = 0.5 + 0.2820948 sh0 + ..., clamped at 0 from below."""
    sh_rest: Float[Tensor, "N R 3"] | None = None
    """Spherical harmonics of degrees 1.. in the object's frame; R = 3, 8, 15 or 24."""
    colors: Float[Tensor, "N 3"] | Float[Tensor, "C N 3"] | None = None
    """Plain colours instead of harmonics, one per Gaussian, or one per camera and Gaussian."""
    features: Float[Tensor, "N F"] | None = None
    """Extra channels composited with the same weights as the colours."""
    object_index: Int32[Tensor, " N"] | None = None
    """Row of `world_from_object` and identity in `ids`; None: everything belongs to object 0."""
    world_from_object: Float[Tensor, "C K 4 4"] | None = None
    """Rigid pose of each object for each camera (each camera has its own time); None: identity."""

    def __len__(self) -> int:
        return len(self.means)
