"""Gaussians by their raw parameters, the form that is optimised and stored."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gsrecon.gaussians.resample import Resample
from gsrecon.ops.splats import Splats

PARAMETERS = ("means", "quats", "log_scales", "logit_opacities", "sh0", "sh_rest")
"""Names of the raw parameters, in the order in which they are listed everywhere."""


@dataclass(frozen=True)
class Gaussians:
    """N Gaussians in the frame of the node that owns them."""

    means: Float[Tensor, "N 3"]
    """Centres [m]."""
    quats: Float[Tensor, "N 4"]
    """Rotations, wxyz, of any length but zero."""
    log_scales: Float[Tensor, "N 3"]
    """Natural logarithms of the standard deviations [m]."""
    logit_opacities: Float[Tensor, " N"]
    """Log-odds of the peak opacities."""
    sh0: Float[Tensor, "N 3"]
    """Spherical harmonics of degree 0."""
    sh_rest: Float[Tensor, "N K 3"]
    """Spherical harmonics of degrees 1..; K = 0, 3, 8, 15 or 24."""

    def __len__(self) -> int:
        return len(self.means)

    @property
    def scales(self) -> Float[Tensor, "N 3"]:
        """Standard deviations [m]."""
        return self.log_scales.exp()

    @property
    def opacities(self) -> Float[Tensor, " N"]:
        """Peak opacities in (0, 1)."""
        return self.logit_opacities.sigmoid()

    @property
    def sh_degree(self) -> int:
        """Highest degree of harmonics that `sh_rest` holds."""
        return round((self.sh_rest.shape[1] + 1) ** 0.5) - 1

    def named(self) -> dict[str, Tensor]:
        """The raw parameters by name."""
        return {name: getattr(self, name) for name in PARAMETERS}

    def to_splats(self, sh_degree: int | None = None) -> Splats:
        """The activated tensors, differentiable in the raw ones.

        Args:
            sh_degree: Hand over harmonics up to this degree only; None hands over all of them.
        """
        kept = self.sh_degree if sh_degree is None else min(sh_degree, self.sh_degree)
        sh_rest = None
        if kept == self.sh_degree > 0:
            sh_rest = self.sh_rest
        elif kept > 0:
            sh_rest = self.sh_rest[:, : (kept + 1) ** 2 - 1]
        return Splats(
            means=self.means,
            quats=self.quats,
            scales=self.scales,
            opacities=self.opacities,
            sh0=self.sh0,
            sh_rest=sh_rest,
        )

    def trainable(self) -> "Gaussians":
        """The same values as leaves that collect gradients."""
        return Gaussians(**{name: t.detach().clone().requires_grad_() for name, t in self.named().items()})

    def detached(self) -> "Gaussians":
        """The same tensors without gradients; memory is shared."""
        return Gaussians(**{name: t.detach() for name, t in self.named().items()})

    def resampled(self, change: Resample) -> "Gaussians":
        """The set after a change of density; leaves stay leaves."""
        return Gaussians(
            **{
                name: change.parameter(name, t).requires_grad_(t.requires_grad)
                for name, t in self.named().items()
            }
        )

    @staticmethod
    def from_named(tensors: Mapping[str, Tensor]) -> "Gaussians":
        """From parameters by name; other names are ignored."""
        missing = [name for name in PARAMETERS if name not in tensors]
        if missing:
            raise ValueError(f"tensors: expected all of {PARAMETERS}, got none for {missing}")
        return Gaussians(**{name: tensors[name] for name in PARAMETERS})

    @staticmethod
    def concatenate(parts: list["Gaussians"]) -> "Gaussians":
        """All parts in one set, in order; they must hold harmonics of one degree."""
        return Gaussians(**{name: torch.cat([getattr(part, name) for part in parts]) for name in PARAMETERS})
