"""A scene of many objects as one set of Gaussians in world, as files and viewers of splats need it."""

import torch
from jaxtyping import Float
from torch import Tensor

from gsrecon.gaussians.gaussians import Gaussians
from gsrecon.geometry.rigid import quat_multiply, rotmat_to_quat
from gsrecon.geometry.spherical_harmonics import basis
from gsrecon.ops.splats import Splats


def flatten(splats: Splats, camera: int = 0) -> Gaussians:
    """Merges all objects of activated splats into world at one camera's time.

    Args:
        splats: Gaussians in their objects' frames, with spherical harmonics.
        camera: Row of `world_from_object` whose time is taken.

    Raises:
        ValueError: The splats have plain colours, which a splat file cannot hold per view.
    """
    if splats.sh0 is None:
        raise ValueError("splats: expected spherical harmonics (sh0), got plain colours")
    with torch.no_grad():
        means, quats, sh_rest = splats.means, splats.quats, splats.sh_rest
        if sh_rest is None:
            sh_rest = means.new_zeros(len(means), 0, 3)
        if splats.world_from_object is not None:
            motions = splats.world_from_object[camera].to(means)
            index = splats.object_index
            nowhere_else = torch.zeros(len(means), dtype=torch.long, device=means.device)
            row = nowhere_else if index is None else index.long()
            rotations = motions[:, :3, :3]
            means = torch.einsum("nij,nj->ni", rotations[row], means) + motions[row, :3, 3]
            quats = quat_multiply(rotmat_to_quat(rotations)[row], quats)
            sh_rest = sh_rest.clone()
            for k in row.unique().tolist():
                sh_rest[row == k] = rotate_sh(sh_rest[row == k], rotations[k])
        return Gaussians(
            means=means,
            quats=quats,
            log_scales=splats.scales.clamp_min(1e-12).log(),
            logit_opacities=torch.logit(splats.opacities, eps=1e-6),
            sh0=splats.sh0,
            sh_rest=sh_rest,
        )


def rotate_sh(sh_rest: Float[Tensor, "N K 3"], rotation: Float[Tensor, "3 3"]) -> Float[Tensor, "N K 3"]:
    """Coefficients of degrees 1.. of the same radiance after the object is turned.

    The turned radiance at direction d is the old one at R^T d. Each degree is closed under rotations,
    so the coefficients solve an exact linear system over a few directions.
    """
    count = sh_rest.shape[1]
    if count == 0 or torch.equal(rotation, torch.eye(3).to(rotation)):
        return sh_rest
    degree = round((count + 1) ** 0.5) - 1
    generator = torch.Generator().manual_seed(0)
    directions = torch.randn(8 * (count + 1), 3, dtype=torch.float64, generator=generator)
    directions = directions / directions.norm(dim=-1, keepdim=True)
    turn = rotation.double().cpu()
    new = basis(directions, degree)[:, 1:]
    old = basis(directions @ turn, degree)[:, 1:]  # rows are (R^T d)^T = d^T R
    matrix = torch.linalg.lstsq(new, old).solution.to(sh_rest)
    return torch.einsum("jk,nkc->njc", matrix, sh_rest)
