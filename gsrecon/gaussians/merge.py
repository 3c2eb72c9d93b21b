"""A coarser version of some Gaussians for views from afar: those in one voxel become one."""

import torch
from jaxtyping import Float
from torch import Tensor

from gsrecon.gaussians.gaussians import Gaussians
from gsrecon.geometry.rigid import quat_to_rotmat, rotmat_to_quat

_DENSEST = 0.99
_SMALLEST_M = 1e-4


@torch.no_grad()
def merged_by_voxels(gaussians: Gaussians, edge_m: float) -> Gaussians:
    """One Gaussian for each voxel that holds centres.

    Mean, covariance and colour are those of the mixture, weighted by opacity times area; the opacity keeps
    the mixture's sum of the same.

    Args:
        gaussians: In the frame the voxels are laid out in.
        edge_m: Of a voxel [m].
    """
    if len(gaussians) == 0:
        return gaussians
    cells = torch.floor(gaussians.means / edge_m).long()
    _, cell = cells.unique(dim=0, return_inverse=True)
    count = int(cell.max()) + 1
    mass = gaussians.opacities * _area(gaussians.scales)

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
    variances, turns = torch.linalg.eigh(covariance.double())
    # A mirrored frame of axes is no rotation.
    turns = turns * torch.linalg.det(turns).sign()[:, None, None]
    scales = variances.clamp_min(_SMALLEST_M**2).sqrt().float()
    opacities = (total / _area(scales)).clamp(max=_DENSEST)
    return Gaussians(
        means=means,
        quats=rotmat_to_quat(turns).float(),
        log_scales=scales.log(),
        logit_opacities=torch.logit(opacities.clamp_min(1e-6)),
        sh0=mean(gaussians.sh0),
        sh_rest=mean(gaussians.sh_rest),
    )


def _area(scales: Float[Tensor, "N 3"]) -> Float[Tensor, " N"]:
    """Of the largest cross section, up to a factor."""
    largest = scales.sort(dim=1).values
    return largest[:, 1] * largest[:, 2]
