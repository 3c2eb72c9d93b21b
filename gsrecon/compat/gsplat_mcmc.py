"""What gsplat's `MCMCStrategy` computes on a GPU only, for the CPU.

gsplat 1.5.3 calls two compiled CUDA functions there: `compute_relocation`, and `quat_scale_to_covar_preci`
for the shape of the noise. They cannot run without a GPU, whichever rasterizer is used; `DefaultStrategy`
needs neither. The functions here take and give the same, and a program puts them in their place itself:

    import gsplat.strategy.ops
    from gsrecon.compat import gsplat_mcmc

    gsplat.strategy.ops.compute_relocation = gsplat_mcmc.compute_relocation
    gsplat.strategy.ops.quat_scale_to_covar_preci = gsplat_mcmc.quat_scale_to_covar_preci

Source: Kheradmand et al., "3D Gaussian Splatting as Markov Chain Monte Carlo", 2024.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gsrecon.geometry.rigid import quat_to_rotmat


@torch.no_grad()
def compute_relocation(
    opacities: Float[Tensor, " M"],
    scales: Float[Tensor, "M 3"],
    ratios: Int[Tensor, " M"],
    binoms: Float[Tensor, "n_max n_max"],
) -> tuple[Float[Tensor, " M"], Float[Tensor, "M 3"]]:
    """Opacities and scales that let n equal Gaussians at one place look like the one they replace.

    Equation 9: o' = 1 - (1 - o)^(1/n), and the scales are multiplied by
    o / sum_{i=1..n} sum_{k=0..i-1} binom(i-1, k) (-1)^k o'^(k+1) / sqrt(k+1). The sums alternate, so they are
    taken in float64.

    Args:
        opacities: Opacities of the Gaussians that are shared.
        scales: Their standard deviations [m].
        ratios: n, how many Gaussians stand in each place from now on; held between 1 and n_max.
        binoms: Binomial coefficients, row over column, as the strategy's state holds them.

    Returns:
        Opacity and scales of each copy.
    """
    n_max = len(binoms)
    old, table = opacities.double(), binoms.double()
    n = ratios.clamp(1, n_max).long()
    new = 1 - (1 - old) ** (1.0 / n.double())
    # Summing binom(i-1, k) over i leaves one coefficient for each n and k.
    k = torch.arange(n_max, device=old.device, dtype=torch.float64)
    coefficients = table.tril().cumsum(dim=0) * (-1.0) ** k / (k + 1).sqrt()
    total = (coefficients[n - 1] * new[:, None] ** (k + 1)).sum(dim=-1)
    factor = torch.where(total > 0, old / total, 1.0)
    return new.to(opacities.dtype), scales * factor.to(scales.dtype)[:, None]


def quat_scale_to_covar_preci(
    quats: Float[Tensor, "*batch 4"],
    scales: Float[Tensor, "*batch 3"],
    compute_covar: bool = True,
    compute_preci: bool = True,
    triu: bool = False,
) -> tuple[Tensor | None, Tensor | None]:
    """Covariances R S S R^T and their inverses.

    Args:
        quats: Rotations wxyz, normalised inside.
        scales: Standard deviations [m].
        compute_covar: Give the covariances [m^2]; otherwise None.
        compute_preci: Give their inverses [1/m^2]; otherwise None.
        triu: Give (xx, xy, xz, yy, yz, zz) instead of 3x3 matrices.
    """
    rotations = quat_to_rotmat(quats)

    def symmetric(axes: Float[Tensor, "*batch 3"]) -> Tensor:
        half = rotations * axes[..., None, :]
        matrix = half @ half.transpose(-1, -2)
        if not triu:
            return matrix
        rows, columns = torch.triu_indices(3, 3, device=matrix.device)
        return matrix[..., rows, columns]

    return symmetric(scales) if compute_covar else None, symmetric(1 / scales) if compute_preci else None
