"""Shows a scene in the browser: fly through it, ride along, look at labels, edit, take pictures and films.

Examples:
  gsrecon view runs/demo
  gsrecon view runs/kitti --port 9000
  gsrecon view runs/kitti --host 0.0.0.0          other machines may look, too
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from gsrecon.cli.options import DeviceName, OptionalPath

if TYPE_CHECKING:
    from gsrecon.data.log import DrivingLog

Shown = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]


@dataclass(frozen=True)
class View:
    """Options of `gsrecon view`."""

    run_folder: Shown
    """A run, a scene folder, or a splat file (.ply)."""
    data: OptionalPath = None
    """The recording's folder, where it is not where it was."""
    host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0 lets other machines in."""
    port: int = 8080
    """Port; where it is taken, the next free one."""
    device: DeviceName = "auto"
    """Where to draw: cpu, cuda, cuda:1; auto is a GPU where there is one."""

    def run(self) -> int:
        """Serves until Ctrl-C."""
        from gsrecon.cli.console import console
        from gsrecon.cli.extras import viewer_app
        from gsrecon.ops.device import pick_device
        from gsrecon.scene.groups_scene import open_scene

        app = viewer_app()
        scene = open_scene(self._scene_folder(), pick_device(self.device))
        log = self._log()
        viewer = app.Viewer(scene, self.run_folder / "viewer", log, host=self.host, port=self.port)
        out = console()
        out.print(f"viewer: {viewer.address}    (Ctrl-C ends it)")
        if self.host not in ("127.0.0.1", "localhost"):
            out.print(
                f"everybody who reaches {self.host} can look at this scene, change it and write files into "
                f"{self.run_folder / 'viewer'}"
            )
        try:
            while True:
                time.sleep(1)
        except KeyboardInterrupt:
            viewer.stop()
            out.print("\nviewer: ended")
            return 0

    def _scene_folder(self) -> Path:
        from gsrecon.cli.runs import Run

        return (
            Run.at(self.run_folder).scene_folder
            if (self.run_folder / "scene.toml").is_file()
            else self.run_folder
        )

    def _log(self) -> "DrivingLog | None":
        """The drive, where it is reachable; without it there are no recorded pictures, boxes and lidar."""
        from gsrecon.cli.console import console
        from gsrecon.cli.runs import Run
        from gsrecon.errors import GsreconError

        if not (self.run_folder / "scene.toml").is_file():
            return None
        try:
            log, _ = Run.at(self.run_folder).drive(None if self.data is None else str(self.data))
        except GsreconError as error:
            console().print(f"without the recording (no recorded pictures, boxes, lidar, lanes): {error}")
            return None
        return log


COMMAND = View
