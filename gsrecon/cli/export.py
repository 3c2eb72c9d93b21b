"""Writes a scene as splat files: PLY in the 3D Gaussian Splatting layout, which every splat viewer reads.

--what merged     one file: all Gaussians in world (metric, z up) at one moment of the drive
--what nodes      a folder: the background in world, each object in its own frame, nodes.json with their poses
--what sequence   a folder: one merged file per time, objects where they are then, and sequence.json

Compressed PLY and SPZ round their values and need `pip install 'gsrecon[splats]'`. Sky and exposure are not
made of Gaussians and stay out. The recording's own coordinates are kept in a comment of a PLY.

Examples:
  gsrecon export runs/demo
  gsrecon export runs/demo --out street.ply --at 3.5
  gsrecon export runs/demo --format spz
  gsrecon export runs/demo --what nodes
  gsrecon export runs/demo --what sequence --times 0 2 0.1
  gsrecon export runs/toy --edits runs/toy/edits.toml
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from gsrecon.cli.options import OptionalPath, RunFolder
from gsrecon.cli.usage import UsageError

if TYPE_CHECKING:
    from gsrecon.scene.groups_scene import Scene

_MOST_TIMES = 100_000
Times = Annotated[tuple[float, float, float] | None, tyro.conf.arg(metavar="START STOP STEP")]
Rate = Annotated[float | None, tyro.conf.arg(metavar="NUMBER")]


@dataclass(frozen=True)
class Export:
    """Options of `gsrecon export`."""

    run_folder: RunFolder
    """Run, checkpoint or scene folder."""
    what: Literal["merged", "nodes", "sequence"] = "merged"
    """One file, one per node and object, or one per time."""
    format: Literal["ply", "compressed-ply", "spz"] = "ply"
    """File format; compressed-ply and spz round and need the extra `splats`."""
    out: OptionalPath = None
    """File or, for nodes and sequence, folder to write; inside the run's folder when left out."""
    at: float = 0.0
    """Moment of the drive, for objects that move [s]."""
    edits: OptionalPath = None
    """Edit list (TOML) that is applied first."""
    times: Times = None
    """For sequence, and for the poses of nodes: from when to when, both included, and how far apart [s]."""
    fps: Rate = None
    """The same over the whole recording at this rate, 10 when neither is given [1/s]."""

    def run(self) -> int:
        """Exports and tells where the files are."""
        from gsrecon.cli.console import console, counting
        from gsrecon.cli.edit_lanes import lanes_for
        from gsrecon.evaluation.export import SUFFIXES, export_merged, export_nodes, export_sequence
        from gsrecon.scene.edited import edited_scene
        from gsrecon.scene.edits import read_edits

        if self.times is not None and self.fps is not None:
            raise UsageError("--times and --fps: both say which times; give one of them")
        if self.what == "merged" and (self.times is not None or self.fps is not None):
            raise UsageError("--times and --fps are for --what sequence and nodes; one file has --at")
        suffix = ".spz" if self.format == "spz" else ".ply"
        if self.what == "merged" and self.out is not None and self.out.suffix.lower() != suffix:
            raise UsageError(
                f"--out: a file of the format {self.format} ends with {suffix}, got {self.out.name}"
            )
        is_run = (self.run_folder / "scene.toml").is_file()
        edits = () if self.edits is None else read_edits(self.edits)
        scene = edited_scene(self.run_folder, edits, lanes=lanes_for(self.run_folder, edits))
        inside = self.run_folder if is_run else Path()
        if self.what == "merged":
            out = self.out or inside / f"scene{SUFFIXES[self.format]}"
            written = export_merged(scene, out, self.format, self.at)
        elif self.what == "nodes":
            out = self.out or inside / "nodes"
            given = self.times is not None or self.fps is not None
            written = export_nodes(scene, out, self.format, self._times(scene) if given else [self.at])
        else:
            out = self.out or inside / "sequence"
            times = self._times(scene)
            with counting("exporting", len(times)) as counter:
                written = export_sequence(
                    scene, out, times, self.format, lambda path: counter.step(path.name)
                )
        files = "" if self.what == "merged" else f"{len(written.files)} files in "
        console().print(f"{written.gaussians:,} Gaussians in {files}{out} ({written.mebibytes:.1f} MiB)")
        return 0

    def _times(self, scene: "Scene") -> list[float]:
        """The moments that were asked for [s]."""
        if self.times is None:
            if scene.recording is None or not scene.recording.frames:
                raise UsageError("--times: the scene remembers no recording; say from when to when")
            recorded = [scene.recording.time_s(frame.timestamp_us) for frame in scene.recording.frames]
            rate = 10.0 if self.fps is None else self.fps
            if not 0 < rate < math.inf:
                raise UsageError(f"--fps: expected a number above 0, got {rate:g}")
            start, stop, step = min(recorded), max(recorded), 1 / rate
        else:
            start, stop, step = self.times
        if not (math.isfinite(start) and math.isfinite(stop) and 0 < step < math.inf and start <= stop):
            raise UsageError(
                f"--times: expected START <= STOP and STEP above 0, got {start:g} {stop:g} {step:g}"
            )
        count = math.floor((stop - start) / step + 1e-6) + 1
        if count > _MOST_TIMES:
            raise UsageError(f"--times: expected at most {_MOST_TIMES} times, got {count}; widen the step")
        return [start + number * step for number in range(count)]


COMMAND = Export
