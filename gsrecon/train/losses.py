"""What training minimises."""

import math

from jaxtyping import Float
from torch import Tensor

from gsrecon.gaussians.density import DensityConfig
from gsrecon.gaussians.density_mcmc import MCMCDensity
from gsrecon.gaussians.gaussians import Gaussians
from gsrecon.ops.depth_loss import log_depth_loss
from gsrecon.ops.mean_squares import Penalty, weighted_mean_squares
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


def depth_loss(depth: Float[Tensor, "*batch H W"], view: View) -> Float[Tensor, ""]:
    """Mean |log(rendered / measured)| over pixels with a lidar point where something is drawn."""
    return log_depth_loss(depth, view.depth_pixels, view.depths, _LARGEST_DEPTH_ERROR)


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


def correction_penalties(graph: SceneGraph, weights: LossWeights) -> list[Penalty]:
    """Exposure and corrected poses stay near what was recorded."""
    penalties: list[Penalty] = []
    if graph.appearance is not None and weights.appearance > 0:
        penalties += graph.appearance.penalties(weights.appearance)
    if graph.camera_refinement is not None and weights.camera_refinement > 0:
        penalties += graph.camera_refinement.penalties(weights.camera_refinement)
    return penalties


def regularisers(
    graph: SceneGraph, drawn: Rasterized, view: View, weights: LossWeights, density: DensityConfig
) -> dict[str, Float[Tensor, ""]]:
    """Weighted parts of the loss that do not compare pictures, by name."""
    parts: dict[str, Tensor] = {}
    if view.sky is not None and weights.sky_alpha > 0:
        sky = view.sky if view.counts is None else view.sky & view.counts
        parts["sky_alpha"] = weights.sky_alpha * (drawn.alpha[0] * sky).mean()
    penalties = correction_penalties(graph, weights)
    if penalties:
        parts["corrections"] = weighted_mean_squares(penalties)
    deformations = graph.deformations
    for node in graph.trained_nodes:
        if len(node.gaussians) == 0:
            continue  # all of them have faded: there is nothing to be regular
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
