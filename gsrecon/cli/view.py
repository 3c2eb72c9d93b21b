"""Shows a scene in the browser: fly through it, ride along, look at labels, edit, take pictures and films.

What is shown is a run, a scene folder, a splat file (.ply and what `gsrecon export` writes), or a drive that
is not reconstructed yet, by the points that training would start from.

Examples:
  gsrecon view runs/demo
  gsrecon view runs/kitti --port 9000
  gsrecon view kitti:2011_09_26/2011_09_26_drive_0001_sync
  gsrecon view someone-elses.ply
  gsrecon view runs/kitti --host 0.0.0.0          other machines may look, too
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from gsrecon.cli.options import DeviceName, OptionalPath
from gsrecon.cli.serving import LOCAL, told_of_serving

if TYPE_CHECKING:
    from gsrecon.data.log import DrivingLog
    from gsrecon.scene.groups_scene import Scene


@dataclass(frozen=True)
class View:
    """Options of `gsrecon view`."""

    shown: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN|SCENE|FILE|DRIVE")]
    """A run, a scene folder, a splat file, or a drive."""
    data: OptionalPath = None
    """The recording's folder, where it is not where it was."""
    out: OptionalPath = None
    """Where pictures, films, paths and edits go; RUN/viewer when left out."""
    host: str = LOCAL
    """Address to listen on; 0.0.0.0 lets other machines in."""
    port: int = 8080
    """Port; where it is taken, the next free one."""
    device: DeviceName = "auto"
    """Where to draw: cpu, cuda, cuda:1; auto is a GPU where there is one."""

    def run(self) -> int:
        """Serves until Ctrl-C."""
        from gsrecon.cli.console import console
        from gsrecon.cli.extras import viewer_app

        app = viewer_app()  # what is missing is told before anything is opened
        scene, log, beside = self._opened()
        folder = self.out or beside
        viewer = app.Viewer(scene, folder, log, host=self.host, port=self.port)
        out = console()
        out.print("\n".join(told_of_serving(viewer.address, self.host, folder, edits=True)))
        out.print("Ctrl-C ends it")
        try:
            while True:
                time.sleep(1)
        except KeyboardInterrupt:
            viewer.stop()
            out.print("\nviewer: ended")
            return 0

    def _opened(self) -> "tuple[Scene, DrivingLog | None, Path]":
        """The scene, the drive where it is reachable, and where files go."""
        from gsrecon.cli.runs import Run
        from gsrecon.ops.device import pick_device
        from gsrecon.scene.groups_scene import open_scene
        from gsrecon.scene.splat_file import open_splat_file

        device, path = pick_device(self.device), Path(self.shown)
        if path.is_file() and path.suffix.lower() != ".toml":
            return open_splat_file(path).to(device), None, path.parent / f"{path.stem}-viewer"
        if path.is_dir():
            is_run = (path / "scene.toml").is_file()
            folder = Run.at(path).scene_folder if is_run else path
            return open_scene(folder, device), self._log(path) if is_run else None, path / "viewer"
        return self._first_points(device)

    def _first_points(self, device) -> "tuple[Scene, DrivingLog, Path]":
        """A drive that nothing was reconstructed of yet."""
        import torch

        from gsrecon.data.spec import open_drive
        from gsrecon.train.config import TrainConfig
        from gsrecon.train.initialise import start_scene
        from gsrecon.train.split import Split
        from gsrecon.train.views import Views

        log, spec = open_drive(self.shown, self.data)
        config = TrainConfig()
        split = Split.of(log, spec)
        views = Views.of(split, split.fitted, spec, config)
        graph = start_scene(split, views, config, torch.Generator().manual_seed(config.seed))
        return graph.to(device), log, Path("runs") / f"{spec.name}-viewer"

    def _log(self, run: Path) -> "DrivingLog | None":
        """The drive of a run; without it there are no recorded pictures, lidar and lanes."""
        from gsrecon.cli.console import console
        from gsrecon.cli.runs import Run
        from gsrecon.errors import GsreconError

        try:
            return Run.at(run).drive(None if self.data is None else str(self.data))[0]
        except GsreconError as error:
            console().print(f"without the recording (no recorded pictures, lidar, lanes, classes): {error}")
            return None


COMMAND = View
