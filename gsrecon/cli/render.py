"""Flies a camera through a scene: one PNG for each moment and a film (mp4).

Without a choice the camera drives as recorded. Everything goes to renders/ inside the run's folder
unless --out names another place.

Examples:
  gsrecon render runs/demo                                 as recorded
  gsrecon render runs/demo --shift-left 1.5                1.5 m to the left of the recorded way
  gsrecon render runs/demo --shift-left -2 --camera front --fps 30
  gsrecon render runs/demo --path my_path.toml             key poses, see docs/camera-paths.md
  gsrecon render runs/demo --orbit 25 3 1 --orbit-radius 8 --at 2.5
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gsrecon.cli.options import (
    DeviceName,
    OptionalName,
    OptionalNumber,
    OptionalPath,
    OptionalPoint,
    RunFolder,
)

if TYPE_CHECKING:
    from gsrecon.geometry.paths import CameraPath
    from gsrecon.scene.groups_scene import Scene


@dataclass(frozen=True)
class Render:
    """Options of `gsrecon render`."""

    run_folder: RunFolder
    """Run, checkpoint or scene folder."""
    shift_left: float = 0.0
    """Drive beside the recorded way, this far to the vehicle's left; negative is to the right [m]."""
    path: OptionalPath = None
    """Camera path file (TOML or JSON) instead of the recorded way."""
    orbit: OptionalPoint = None
    """Fly around this point in world instead (x y z) [m]."""
    orbit_radius: float = 8.0
    """Distance from the point [m]."""
    orbit_height: float = 2.0
    """Height above the point [m]."""
    orbit_turns: float = 1.0
    """Turns around the point, counter-clockwise; negative is clockwise."""
    at: float = 0.0
    """Moment of the drive at which an orbit stands still [s]."""
    camera: OptionalName = None
    """Whose lens and way to take; the first camera when left out."""
    fps: OptionalNumber = None
    """Pictures a second; poses in between are interpolated smoothly. Left out: as recorded."""
    edits: OptionalPath = None
    """Edit list (TOML): what is done to the scene's objects first. See `gsrecon edit`."""
    depth: bool = False
    """Also write depth as coloured pictures."""
    no_film: bool = False
    """Write the pictures only."""
    out: OptionalPath = None
    """Folder for the result."""
    device: DeviceName = "auto"
    """Where to render: cpu, cuda, cuda:1; auto is a GPU where there is one."""

    def run(self) -> int:
        """Renders and tells where the pictures are."""
        self._require_one_path()
        from gsrecon.cli.console import console
        from gsrecon.cli.edit_lanes import lanes_for
        from gsrecon.cli.fly import fly
        from gsrecon.ops.device import pick_device
        from gsrecon.scene.edited import edited_scene
        from gsrecon.scene.edits import read_edits

        edits = () if self.edits is None else read_edits(self.edits)
        lanes = lanes_for(self.run_folder, edits)
        graph = edited_scene(self.run_folder, edits, pick_device(self.device), lanes)
        flown = self._path(graph)
        folder = self._folder()
        written = fly(graph, flown, folder, self.camera, depth=self.depth, with_film=not self.no_film)
        out = console()
        out.print(f"{len(flown)} pictures in {folder}")
        for name in written:
            out.print(f"film: {name}")
        return 0

    def _require_one_path(self) -> None:
        from gsrecon.cli.usage import UsageError

        chosen = [
            name
            for name, given in (
                ("--shift-left", self.shift_left != 0),
                ("--path", self.path is not None),
                ("--orbit", self.orbit is not None),
            )
            if given
        ]
        if len(chosen) > 1:
            raise UsageError(f"{' and '.join(chosen)} do not go together: choose one way to fly")
        if self.fps is not None and not self.fps > 0:
            raise UsageError(f"--fps: expected more than 0, got {self.fps:g}")
        if self.orbit is not None and not self.orbit_radius > 0:
            raise UsageError(f"--orbit-radius: expected more than 0, got {self.orbit_radius:g}")

    def _path(self, graph: "Scene") -> "CameraPath":
        import torch

        from gsrecon.evaluation.novel_views import driven_path
        from gsrecon.evaluation.path_file import read_path_file
        from gsrecon.geometry.paths import orbit, resample

        if self.orbit is not None:
            seconds = 8.0 * max(1.0, abs(self.orbit_turns))
            count = max(1, round(seconds * (self.fps or 15.0)))
            point = torch.tensor(self.orbit, dtype=torch.float64)
            return orbit(
                point, self.orbit_radius, self.orbit_height, self.orbit_turns, count, seconds, self.at
            )
        if self.path is not None:
            flown = read_path_file(self.path)
        else:
            flown = driven_path(graph, self.camera, self.shift_left)
        return flown if self.fps is None else resample(flown, self.fps)

    def _folder(self) -> Path:
        if self.out is not None:
            return self.out
        way = "recorded"
        if self.orbit is not None:
            way = "orbit"
        elif self.path is not None:
            way = self.path.stem
        elif self.shift_left:
            side = "left" if self.shift_left > 0 else "right"
            way = f"{side}-{abs(self.shift_left):g}m"
        name = way if self.camera is None else f"{way}-{self.camera}"
        is_run = (self.run_folder / "scene.toml").is_file()
        return (self.run_folder if is_run else Path()) / "renders" / name


COMMAND = Render
