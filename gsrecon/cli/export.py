"""Writes a scene as a PLY in the 3D Gaussian Splatting layout, which every splat viewer reads.

All Gaussians are put into world (metric, z up) at one moment of the drive. The sky is not made of
Gaussians and stays out. The recording's own coordinates are kept in a comment of the file.

Examples:
  gsrecon export runs/demo
  gsrecon export runs/demo --out street.ply --at 3.5
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gsrecon.cli.options import OptionalPath, RunFolder


@dataclass(frozen=True)
class Export:
    """Options of `gsrecon export`."""

    run_folder: RunFolder
    """Run, checkpoint or scene folder."""
    format: Literal["ply"] = "ply"
    """File format."""
    out: OptionalPath = None
    """File to write; scene.ply inside the run's folder when left out."""
    at: float = 0.0
    """Moment of the drive, for objects that move [s]."""

    def run(self) -> int:
        """Exports and tells where the file is."""
        from gsrecon.cli.console import console
        from gsrecon.evaluation.export import export_ply
        from gsrecon.scene.groups_scene import open_scene

        is_run = (self.run_folder / "scene.toml").is_file()
        graph = open_scene(self.run_folder)
        out = self.out or (self.run_folder if is_run else Path()) / "scene.ply"
        export_ply(graph, out, self.at)
        console().print(f"{len(graph):,} Gaussians in {out} ({out.stat().st_size / 2**20:.1f} MiB)")
        return 0


COMMAND = Export
