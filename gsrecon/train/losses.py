"""What training minimises."""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gsrecon.gaussians.density import DensityConfig
from gsrecon.gaussians.density_mcmc import MCMCDensity
from gsrecon.gaussians.gaussians import Gaussians
from gsrecon.ops.metrics import ssim
from gsrecon.ops.settings import Rasterized
from gsrecon.scene.actors import RigidActors
from gsrecon.scene.deformation import Deformation
from gsrecon.scene.graph import SceneGraph
from gsrecon.train.config import LossWeights
from gsrecon.train.views import View

_LARGEST_DEPTH_ERROR = 0.5
"""Log depth errors beyond this are taken for wrong lidar points and pull no more."""
_NEEDLE_RATIO = 5.0
_ANSWERS = 256
"""As many answers of lidar sweeps are compared with the DEM in each step."""


def picture_loss(
    image: Float[Tensor, "H W 3"],
    truth: Float[Tensor, "H W 3"],
    counts: Bool[Tensor, "H W"] | None,
    ssim_share: float,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """(1 - share) L1 + share (1 - SSIM) over the pixels that count, and the mean squared error beside it.

    Pixels that do not count are replaced by the truth: they add nothing and pull nowhere.
    """
    if counts is not None:
        image = torch.where(counts[:, :, None], image, truth)
    share_counting = 1.0 if counts is None else counts.float().mean().clamp_min(1e-6)
    difference = image - truth
    absolute = difference.abs().mean() / share_counting
    squared = difference.detach().square().mean() / share_counting
    if ssim_share == 0.0:
        return absolute, squared
    dissimilar = (1 - ssim(image, truth)) / share_counting
    return (1 - ssim_share) * absolute + ssim_share * dissimilar, squared


def depth_loss(depth: Float[Tensor, "H W"], view: View) -> Float[Tensor, ""]:
    """Mean |log(rendered / measured)| over pixels with a lidar point where something is drawn."""
    rendered = depth.reshape(-1)[view.depth_pixels]
    drawn = rendered > 0
    # Where nothing is drawn the measured depth stands in: the error is 0 and so is its gradient.
    error = (torch.where(drawn, rendered, view.depths).log() - view.depths.log()).abs()
    return error.clamp(max=_LARGEST_DEPTH_ERROR).sum() / drawn.sum().clamp_min(1)


def needle_loss(gaussians: Gaussians) -> Float[Tensor, ""]:
    """Mean excess of log(longest / middle axis) over that of a ratio of 5; discs are free."""
    log_scales = gaussians.log_scales
    longest, shortest = log_scales.amax(dim=1), log_scales.amin(dim=1)
    middle = log_scales.sum(dim=1) - longest - shortest
    return (longest - middle - math.log(_NEEDLE_RATIO)).clamp_min(0).mean()


def deforming(deformation: Deformation, weights: LossWeights, id: str) -> dict[str, Float[Tensor, ""]]:
    """States and motions, where the networks ran, keep the static world static; the DEM hears the lidar."""
    done, count = deformation.latest, len(deformation.state)
    if done is None:
        return {}
    parts = {f"state/{id}": weights.state * done.state.sum() / count}
    if done.motion is not None and weights.motion > 0:
        moved = (done.gate[:, None] * done.motion[:, :3]).abs().sum()
        parts[f"motion/{id}"] = weights.motion * moved / count
    error = deformation.evidence_error(_ANSWERS) if weights.evidence > 0 else None
    if error is not None:
        parts[f"evidence/{id}"] = weights.evidence * error
    return parts


def regularisers(
    graph: SceneGraph, drawn: Rasterized, view: View, weights: LossWeights, density: DensityConfig
) -> dict[str, Float[Tensor, ""]]:
    """Weighted parts of the loss that do not compare pictures, by name."""
    parts: dict[str, Tensor] = {}
    if view.sky is not None and weights.sky_alpha > 0:
        sky = view.sky if view.counts is None else view.sky & view.counts
        parts["sky_alpha"] = weights.sky_alpha * (drawn.alpha[0] * sky).mean()
    if graph.appearance is not None and weights.appearance > 0:
        parts["appearance"] = weights.appearance * graph.appearance.penalty()
    if graph.camera_refinement is not None and weights.camera_refinement > 0:
        parts["camera_refinement"] = weights.camera_refinement * graph.camera_refinement.penalty()
    deformations = graph.deformations
    for node in graph.trained_nodes:
        if node.id in deformations:
            parts |= deforming(deformations[node.id], weights, node.id)
        if isinstance(node, RigidActors):
            parts[f"trajectories/{node.id}"] = weights.trajectories * node.trajectories.roughness()
            parts[f"outside/{node.id}"] = weights.outside * node.outside()
        if weights.needle > 0:
            parts[f"needle/{node.id}"] = weights.needle * needle_loss(node.gaussians)
        if isinstance(density, MCMCDensity):
            if density.opacity_weight > 0:
                parts[f"opacity/{node.id}"] = density.opacity_weight * node.gaussians.opacities.mean()
            if density.scale_weight > 0:
                parts[f"scale/{node.id}"] = density.scale_weight * node.gaussians.scales.mean()
    return parts
