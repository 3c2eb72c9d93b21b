"""Surfaces that points lie on."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gsrecon.geometry.rigid import rotmat_to_quat
from gsrecon.ops.knn import median_leaves

_PATCH = 16
"""Points that are taken for a patch of one surface."""
_FLATTEST = 0.2
"""Standard deviation across a patch over the smaller one along it, below which the patch is flat."""


def surface_frames(points: Float[Tensor, "N 3"]) -> tuple[Float[Tensor, "N 4"], Bool[Tensor, " N"]]:
    """Rotations whose x axis is normal to the surface around each point, and where there is a surface.

    The points are cut into patches of neighbours; the principal axes of a patch are those of all its points.
    Where the patch is not flat the rotation is the identity.

    Returns:
        Unit quaternions wxyz, and which points lie on a flat patch.
    """
    quats = points.new_zeros(len(points), 4)
    quats[:, 0] = 1
    flat = torch.zeros(len(points), dtype=torch.bool, device=points.device)
    if len(points) < _PATCH:
        return quats, flat
    leaves, _ = median_leaves(points, _PATCH)
    centred = points[leaves].double()
    centred = centred - centred.mean(dim=1, keepdim=True)
    # On the CPU: cuSOLVER refuses more than some ten thousand matrices at once.
    variances, axes = torch.linalg.eigh((centred.transpose(1, 2) @ centred).cpu())
    is_flat = variances[:, 0] < _FLATTEST**2 * variances[:, 1]
    # Eigenvectors come in ascending order, the normal first, and of either handedness.
    rotations = axes * torch.linalg.det(axes).sign()[:, None, None]
    rows = leaves[is_flat.to(points.device)]
    quats[rows] = rotmat_to_quat(rotations[is_flat]).to(points)[:, None]
    flat[rows] = True
    return quats, flat
