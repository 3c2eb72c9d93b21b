"""Similarities: rotation, translation and one scale, and how to find the one between two trajectories.

Sources: Umeyama, "Least-squares estimation of transformation parameters between two point patterns",
PAMI 1991; the robust form reweights by Geman and McClure's kernel.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64
from torch import Tensor

_ITERATIONS = 50
_UNMOVED = 1e-10
"""Reweighting ends when the largest residual changes by less than this share of the points' spread."""


@dataclass(frozen=True)
class Sim3:
    """`target_from_source`: point_in_target = scale * rotation @ point_in_source + translation."""

    scale: float
    """Units of the target in one unit of the source."""
    rotation: Float64[Tensor, "3 3"]
    translation: Float64[Tensor, " 3"]
    """In units of the target."""

    def points(self, points: Float[Tensor, "*batch 3"]) -> Float64[Tensor, "*batch 3"]:
        """Points of the source, in the target."""
        return self.scale * (points.double() @ self.rotation.T) + self.translation

    def motions(self, source_from_body: Float[Tensor, "*batch 4 4"]) -> Float64[Tensor, "*batch 4 4"]:
        """Rigid poses `source_from_body` as rigid poses `target_from_body`.

        Axes turn and origins move and scale; lengths along the body's axes are then the target's.
        """
        motions = source_from_body.double().clone()
        motions[..., :3, :3] = self.rotation @ motions[..., :3, :3]
        motions[..., :3, 3] = self.points(source_from_body[..., :3, 3])
        return motions

    def inverse(self) -> "Sim3":
        """`source_from_target`."""
        back = self.rotation.T
        return Sim3(1 / self.scale, back, -(back @ self.translation) / self.scale)


def fit_points(
    source: Float[Tensor, "N 3"],
    target: Float[Tensor, "N 3"],
    weights: Float[Tensor, " N"] | None = None,
    with_scale: bool = True,
) -> Sim3:
    """The similarity that moves points onto their partners with the least squared error (Umeyama).

    For points on one line the turn about that line is undefined, and any is returned: use `fit_motions`
    where orientations are known.

    Args:
        source: Points.
        target: The same points in the target's frame, at least 3.
        weights: Of each pair, not negative; None weighs all alike.
        with_scale: False keeps the scale at 1.

    Raises:
        ValueError: There are fewer than 3 points with weight, their numbers differ, or the source's
            coincide.
    """
    weights = torch.ones(len(source), device=source.device) if weights is None else weights
    if len(source) != len(target) or len(source) != len(weights):
        raise ValueError(
            f"source, target, weights: expected one length, got {len(source)}, {len(target)}, {len(weights)}"
        )
    if int((weights > 0).sum()) < 3:
        raise ValueError(f"source: expected at least 3 points with weight, got {int((weights > 0).sum())}")
    share = (weights.double() / weights.double().sum())[:, None]
    centre_source, centre_target = (share * source).sum(dim=0), (share * target).sum(dim=0)
    from_source, from_target = source.double() - centre_source, target.double() - centre_target
    variance = float((share * from_source**2).sum())
    if not variance > 0:
        raise ValueError("source: expected points apart from each other, got all in one place")
    rotation, spread = _turn((share * from_target).T @ from_source)
    scale = spread / variance if with_scale else 1.0
    return Sim3(scale, rotation, centre_target - scale * (rotation @ centre_source))


def fit_motions(
    source_from_body: Float[Tensor, "N 4 4"],
    target_from_body: Float[Tensor, "N 4 4"],
    with_scale: bool = True,
) -> Sim3:
    """The similarity between two trajectories of one body, orientations included.

    The turn comes from the orientations, so a straight drive does not leave it undefined; scale and
    translation come from the positions. Poses that are far off lose their say.

    Raises:
        ValueError: There are fewer than 2 poses, their numbers differ, or the body never moves while the
            scale is wanted.
    """
    if len(source_from_body) != len(target_from_body) or len(source_from_body) < 2:
        raise ValueError(
            "source_from_body, target_from_body: expected the same number, at least 2, got "
            f"{len(source_from_body)} and {len(target_from_body)}"
        )
    turns = target_from_body[:, :3, :3].double() @ source_from_body[:, :3, :3].double().mT
    rotation = _average_turn(turns)
    source = source_from_body[:, :3, 3].double() @ rotation.T
    target = target_from_body[:, :3, 3].double()
    weights = source.new_ones(len(source))
    scale, translation = 1.0, source.new_zeros(3)
    for _ in range(_ITERATIONS):
        share = (weights / weights.sum())[:, None]
        centre_source, centre_target = (share * source).sum(dim=0), (share * target).sum(dim=0)
        if with_scale:
            variance = float((share * (source - centre_source) ** 2).sum())
            if not variance > 0:
                raise ValueError("source_from_body: expected a body that moves, got one that stands still")
            scale = float((share * (source - centre_source) * (target - centre_target)).sum()) / variance
        translation = centre_target - scale * centre_source
        residuals = (scale * source + translation - target).norm(dim=1)
        limit = 3 * float(residuals.median())
        if not limit > 0:
            break
        weights = (1 + (residuals / limit) ** 2) ** -2
    return Sim3(scale, rotation, translation)


def trajectory_error(
    source: Float[Tensor, "N 3"], target: Float[Tensor, "N 3"], with_scale: bool = True
) -> tuple[float, Float64[Tensor, " N"]]:
    """Absolute trajectory error after the best similarity (least squares, as benchmarks define it).

    Returns:
        Root mean square distance and each position's distance, in the target's units.
    """
    distances = (fit_points(source, target, with_scale=with_scale).points(source) - target).norm(dim=1)
    return float(distances.square().mean().sqrt()), distances


def _turn(covariance: Float64[Tensor, "3 3"]) -> tuple[Float64[Tensor, "3 3"], float]:
    """The rotation nearest to a covariance target-source, and the spread along it."""
    U, S, Vh = torch.linalg.svd(covariance)
    signs = torch.ones_like(S)
    # A mirrored solution is turned into the best rotation along the least certain axis.
    signs[2] = torch.sign(torch.linalg.det(U) * torch.linalg.det(Vh))
    return U @ torch.diag(signs) @ Vh, float((S * signs).sum())


def _average_turn(turns: Float64[Tensor, "N 3 3"]) -> Float64[Tensor, "3 3"]:
    """The rotation nearest to most of them: chordal mean, reweighted."""
    weights = turns.new_ones(len(turns))
    average = turns[0]
    for _ in range(_ITERATIONS):
        average, _ = _turn((weights[:, None, None] * turns).sum(dim=0) / weights.sum())
        distances = (turns - average).norm(dim=(1, 2))
        limit = 3 * float(distances.median())
        if not limit > 0:
            break
        weights = (1 + (distances / limit) ** 2) ** -2
    return average
