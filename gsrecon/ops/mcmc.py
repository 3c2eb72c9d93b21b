"""The compiled kernels of MCMC densification, which CUDA alone has: on the CPU torch is as fast."""

from torch import Tensor

from gsrecon.ops import _native
from gsrecon.ops._native import all_dense, fresh


def has_kernels(*tensors: Tensor) -> bool:
    """Whether these kernels take such tensors."""
    return tensors[0].device.type == "cuda" and _native.is_compiled(*tensors)


def explore(
    means: Tensor,
    quats: Tensor,
    log_scales: Tensor,
    logit_opacities: Tensor,
    noise: Tensor,
    strength: float,
    dead_opacity: float,
) -> None:
    """Adds gated noise [N, 3] along the covariances to faint Gaussians' means, in place (Equation 8)."""
    if not means.is_contiguous():
        raise ValueError("means: expected a contiguous tensor, updated in place")
    inputs = all_dense(quats, log_scales, logit_opacities, noise)
    _native.kernels_for(means).explore(means.detach(), *inputs, strength, dead_opacity)


def relocate(opacities: Tensor, copies: Tensor) -> tuple[Tensor, Tensor]:
    """Opacity and factor on the scales of each of `copies` [N] equal Gaussians in one place (Equation 9)."""
    new, factors = (fresh(opacities, opacities.shape) for _ in range(2))
    _native.kernels_for(opacities).relocate(*all_dense(opacities, copies), new, factors)
    return new, factors
