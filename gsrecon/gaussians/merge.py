"""A coarser version of some Gaussians for views from afar: those in one voxel become one."""

import torch
from jaxtyping import Float
from torch import Tensor

from gsrecon.gaussians.gaussians import Gaussians
from gsrecon.geometry.rigid import quat_to_rotmat, rotmat_to_quat

_DENSEST = 0.97
_SMALLEST_M = 1e-4
_WIDEST = 1.7
"""Merged Gaussians may be wider than the mixture by this factor, where one peak cannot stop as much light."""
_TERMS = 24


@torch.no_grad()
def merged_by_voxels(gaussians: Gaussians, edge_m: float) -> Gaussians:
    """One Gaussian for each voxel that holds centres.

    Mean, covariance and colour are those of the mixture, weighted by how much light each stops: the integral
    of -log(1 - alpha) over its area, 2 pi s1 s2 Li2(opacity). The merged one stops as much as all together;
    where its opacity does not suffice, it is widened.

    Args:
        gaussians: In the frame the voxels are laid out in.
        edge_m: Of a voxel [m].
    """
    if len(gaussians) == 0:
        return gaussians
    cells = torch.floor(gaussians.means / edge_m).long()
    _, cell = cells.unique(dim=0, return_inverse=True)
    count = int(cell.max()) + 1
    mass = _dilogarithm(gaussians.opacities) * _area(gaussians.scales)

    def mean(values: Tensor) -> Tensor:
        flat = values.reshape(len(values), -1)
        summed = flat.new_zeros(count, flat.shape[1]).index_add(0, cell, mass[:, None] * flat)
        return (summed / total[:, None]).reshape(count, *values.shape[1:])

    total = mass.new_zeros(count).index_add(0, cell, mass).clamp_min(1e-20)
    means = mean(gaussians.means)
    rotation = quat_to_rotmat(gaussians.quats)
    axes = rotation * gaussians.scales[:, None, :]
    apart = gaussians.means - means[cell]
    covariance = mean(axes @ axes.transpose(1, 2) + apart[:, :, None] * apart[:, None, :])
    # On the CPU: cuSOLVER refuses more than some ten thousand matrices at once.
    variances, turns = torch.linalg.eigh(covariance.double().cpu())
    # A mirrored frame of axes is no rotation.
    turns = turns * torch.linalg.det(turns).sign()[:, None, None]
    variances, turns = variances.to(means.device), turns.to(means.device)
    scales = variances.clamp_min(_SMALLEST_M**2).sqrt().float()
    needed = total / _area(scales)
    opacities = _inverse_dilogarithm(needed)
    wider = (needed / _dilogarithm(opacities)).sqrt().clamp(1.0, _WIDEST)
    scales = scales * wider[:, None]
    return Gaussians(
        means=means,
        quats=rotmat_to_quat(turns).float(),
        log_scales=scales.log(),
        logit_opacities=torch.logit(opacities.clamp_min(1e-6)),
        sh0=mean(gaussians.sh0),
        sh_rest=mean(gaussians.sh_rest),
    )


def _dilogarithm(x: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
    """Li2 of opacities up to 0.97, by its series."""
    x = x.clamp(max=_DENSEST)
    return sum((x**k / k**2 for k in range(1, _TERMS + 1)), torch.zeros_like(x))


def _inverse_dilogarithm(y: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
    """The opacity whose Li2 is y, 0.97 at most; by bisection."""
    low, high = torch.zeros_like(y), torch.full_like(y, _DENSEST)
    for _ in range(20):
        middle = 0.5 * (low + high)
        less = _dilogarithm(middle) < y
        low, high = torch.where(less, middle, low), torch.where(less, high, middle)
    return high


def _area(scales: Float[Tensor, "N 3"]) -> Float[Tensor, " N"]:
    """Of the largest cross section, up to a factor."""
    largest = scales.sort(dim=1).values
    return largest[:, 1] * largest[:, 2]
