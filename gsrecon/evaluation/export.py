"""A whole scene as a splat file."""

from pathlib import Path

import torch

from gsrecon.gaussians.flatten import flatten
from gsrecon.gaussians.ply import write_ply
from gsrecon.scene.graph import SceneGraph


def export_ply(graph: SceneGraph, path: Path | str, time_s: float = 0.0) -> None:
    """Writes all Gaussians of a scene in world at one moment of the drive; the sky stays out.

    Args:
        graph: The scene.
        path: File to write.
        time_s: The moment, from the log's start [s].
    """
    with torch.no_grad():
        merged = flatten(graph.splats_at(torch.tensor([time_s])))
    source = None if graph.recording is None else torch.from_numpy(graph.recording.source_from_world)
    write_ply(path, merged, source)
