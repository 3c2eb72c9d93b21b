"""Fits a Gaussian scene to a recorded drive, scores it by held-out pictures and writes the report.

A drive is a scene spec (a name such as kitti-0001 or a .toml file) or is named directly: kitti:PATH,
kitti-odometry:PATH, nuscenes:PATH#SCENE, images:PATH, folder:PATH, toy. Ctrl-C saves; --resume
goes on, also after a crash, with the options of the beginning.

Examples:
  gsrecon train toy --max-minutes 4
  gsrecon train kitti-0001 --data 2011_09_26/2011_09_26_drive_0001_sync
  gsrecon train folder:my_drive --out runs/mine --steps 30000 --sh-degree 3
  gsrecon train folder:my_drive --out runs/mine --resume
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from gsrecon.cli.options import Drive, OptionalPath
from gsrecon.train.config import TrainConfig


@dataclass(frozen=True)
class Train:
    """Options of `gsrecon train`."""

    drive: Drive
    """Scene spec or kitti:PATH, kitti-odometry:PATH, nuscenes:PATH, images:PATH, folder:PATH, toy."""
    data: OptionalPath = None
    """The recording's folder, for specs that leave it open."""
    out: Annotated[Path | None, tyro.conf.arg(metavar="PATH", aliases=["--run"])] = None
    """Run folder; runs/NAME of the spec when left out."""
    resume: bool = False
    """Go on from the last checkpoint in the run folder."""
    config: Annotated[TrainConfig, tyro.conf.arg(name="")] = field(default_factory=TrainConfig)
    """How to train."""

    def run(self) -> int:
        """Trains, evaluates, and tells where things are."""
        from gsrecon.cli.fit import fit
        from gsrecon.cli.runs import with_whole_path
        from gsrecon.data.spec import open_drive
        from gsrecon.train.run_folder import read_config

        log, spec = open_drive(self.drive, self.data)
        spec = with_whole_path(spec)
        folder = self.out or Path("runs") / spec.name
        config = self.config
        if self.resume and config == TrainConfig():
            config = read_config(folder)  # nothing was said on the command line: as it was begun
        run = fit(log, spec, config, folder, self.resume)

        from gsrecon.cli.console import console
        from gsrecon.cli.judge import judge
        from gsrecon.evaluation.evaluate import EvaluateConfig

        judging = EvaluateConfig(
            mask_moving=config.masks_moving(spec.mask_moving),
            moving_margin_px=config.mask_dilation_px,
            backend=config.backend,
        )
        judge(run, log, judging)
        out = console()
        out.print(f"scene:   {run.folder / 'checkpoints' / 'latest' / 'scene'}")
        out.print("next:")
        out.print(f"  gsrecon render {run.folder} --shift-left 1.5   new views beside the recorded way")
        out.print(f"  gsrecon export {run.folder}                    a PLY for splat viewers")
        return 0


COMMAND = Train
