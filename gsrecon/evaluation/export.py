"""A whole scene as a splat file."""

from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from gsrecon.gaussians.flatten import flatten
from gsrecon.gaussians.gaussians import Gaussians
from gsrecon.gaussians.ply import write_ply
from gsrecon.gaussians.resample import Resample
from gsrecon.ops.splats import Splats
from gsrecon.scene.groups_scene import Scene, parts

_VIEWERS_COEFFICIENTS = 15
"""Of degrees 1 to 3: some viewers read files of exactly this many only."""


def export_ply(graph: Scene, path: Path | str, time_s: float = 0.0) -> None:
    """Writes all Gaussians of a scene in world at one moment of the drive; the sky stays out.

    The harmonics are those of degree 3 that every viewer reads: lower ones are filled up with zeros, the
    fourth degree is left out.

    Args:
        graph: The scene.
        path: File to write.
        time_s: The moment, from the log's start [s].
    """
    with torch.no_grad():
        merged = [_shown(part.splats_at(torch.tensor([time_s]))) for part in parts(graph)]
        merged = [replace(part, sh_rest=_of_degree_3(part.sh_rest)) for part in merged]
    source = None if graph.recording is None else torch.from_numpy(graph.recording.source_from_world)
    write_ply(path, Gaussians.concatenate(merged), source)


def _shown(splats: Splats) -> Gaussians:
    """In world, without the Gaussians of objects that are not there."""
    rows = (splats.opacities > 0).nonzero()[:, 0]
    return flatten(splats).resampled(Resample.keep(rows))


def _of_degree_3(sh_rest: Float[Tensor, "N K 3"]) -> Float[Tensor, "N 15 3"]:
    kept = sh_rest[:, :_VIEWERS_COEFFICIENTS]
    missing = _VIEWERS_COEFFICIENTS - kept.shape[1]
    return torch.cat([kept, kept.new_zeros(len(kept), missing, 3)], dim=1)
