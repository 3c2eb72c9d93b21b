"""Fits a Gaussian scene to a recorded drive, scores it by held-out pictures and writes the report.

A drive is a scene spec (a name such as kitti-0001 or a .toml file) or is named directly: kitti:PATH,
kitti-odometry:PATH, nuscenes:PATH#SCENE, images:PATH, folder:PATH, toy. Ctrl-C saves; --resume
goes on, also after a crash, with the options of the beginning.

Examples:
  gsrecon train toy --max-minutes 4
  gsrecon train kitti-0001 --data 2011_09_26/2011_09_26_drive_0001_sync
  gsrecon train folder:my_drive --out runs/mine --steps 30000 --sh-degree 3
  gsrecon train folder:my_drive --out runs/mine --resume
  gsrecon train folder:long_drive --out runs/long --group-length-m 120
"""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from gsrecon.cli.options import Drive, OptionalCount, OptionalNumber, OptionalPath
from gsrecon.cli.serving import LOCAL, told_of_serving
from gsrecon.cli.usage import UsageError
from gsrecon.train.config import OF_THE_MACHINE, TrainConfig

if TYPE_CHECKING:
    from gsrecon.cli.runs import Run
    from gsrecon.data.log import DrivingLog
    from gsrecon.train.progress import Observer


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
    groups: OptionalCount = None
    """Cut the drive into this many groups (short for --groups.count)."""
    group_length_m: OptionalNumber = None
    """Cut the drive into groups of about this length instead [m]."""
    group: OptionalCount = None
    """Train this group alone, the first is 0; the others stay as they are in the run folder."""
    view: bool = False
    """Show the scene in the browser while it is trained; needs the extra `viewer`."""
    view_budget: float = 0.2
    """Share of the time that pictures for browsers may take while somebody looks."""
    view_host: str = LOCAL
    """Address for the browser; 0.0.0.0 lets other machines in."""
    view_port: int = 8080
    """Port for the browser; where it is taken, the next free one."""
    config: Annotated[TrainConfig, tyro.conf.arg(name="")] = field(default_factory=TrainConfig)
    """How to train."""

    def run(self) -> int:
        """Trains, evaluates, and tells where things are."""
        from gsrecon.cli.fit import fit
        from gsrecon.cli.preflight import tell_findings
        from gsrecon.cli.runs import with_whole_path
        from gsrecon.data.spec import open_drive
        from gsrecon.train.dynamics import actors_of
        from gsrecon.train.run_folder import RunFolder, read_config

        config = self._config()  # wrong options are told before a drive is opened
        log, spec = open_drive(self.drive, self.data)
        spec = with_whole_path(spec)
        folder = self.out or Path("runs") / spec.name
        begun = self.resume or (self.group is not None and RunFolder(folder).begun)
        if begun and config.on_machine_of(TrainConfig()) == TrainConfig():
            # Nothing was said on the command line but of the machine, perhaps: as it was begun.
            config = _continued(read_config(folder), config)
        tell_findings(log, actors_of(config.dynamics) is not None)
        with self._watched(folder, log) as observers:
            run = fit(log, spec, config, folder, self.resume, self.group, observers=observers)
        if self.group is not None:
            return _told_of_group(run, self.group)

        from gsrecon.cli.console import console
        from gsrecon.cli.judge import judge
        from gsrecon.evaluation.evaluate import EvaluateConfig

        judging = EvaluateConfig(
            mask_moving=config.masks_moving(spec.mask_moving),
            moving_margin_px=config.mask_dilation_px,
            backend=config.backend,
        )
        judge(run, log, judging, device=config.device)
        out = console()
        out.print(f"scene:   {run.scene_folder}")
        out.print("next:")
        named = shlex.quote(str(run.folder))
        out.print(f"  gsrecon render {named} --shift-left 1.5   new views beside the recorded way")
        out.print(f"  gsrecon export {named}                    a PLY for splat viewers")
        return 0

    @contextmanager
    def _watched(self, folder: Path, log: "DrivingLog") -> Iterator["list[Observer]"]:
        """Whoever watches besides the terminal."""
        if not self.view:
            yield []
            return
        from gsrecon.cli.console import console
        from gsrecon.cli.extras import live_view

        files = folder / "viewer"

        def serving(address: str) -> None:
            console().print("\n".join(told_of_serving(address, self.view_host, files, edits=False)))

        live = live_view(files, log, self.view_budget, self.view_host, self.view_port, serving)
        try:
            yield [live]
        finally:
            live.stop()

    def _config(self) -> TrainConfig:
        """The settings with the short options for groups among them."""
        if self.groups is not None and self.group_length_m is not None:
            raise UsageError("--groups and --group-length-m do not go together: choose one")
        groups = self.config.groups
        try:
            if self.groups is not None:
                groups = replace(groups, count=self.groups)
            elif self.group_length_m is not None:
                groups = replace(groups, count=None, length_m=self.group_length_m)
        except ValueError as error:
            option = "--group-length-m" if self.groups is None else "--groups"
            raise UsageError(f"{option}: {error}") from error
        return replace(self.config, groups=groups)


def _continued(begun: TrainConfig, said: TrainConfig) -> TrainConfig:
    """The settings a run was begun with, but for those of the machine that were said anew."""
    defaults = TrainConfig()
    return replace(
        begun,
        **{
            name: getattr(said, name)
            for name in OF_THE_MACHINE
            if getattr(said, name) != getattr(defaults, name)
        },
    )


def _told_of_group(run: "Run", group: int) -> int:
    from gsrecon.cli.console import console

    out = console()
    out.print(f"group {group} is trained in {run.scene_folder}")
    out.print("when all groups are: `gsrecon evaluate`, `render` and `export` work on the run")
    out.print("groups that were trained elsewhere: `gsrecon merge` brings them together")
    return 0


COMMAND = Train
