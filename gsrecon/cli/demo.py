"""Everything once, on a street that is made up here: nothing is downloaded, no GPU is needed.

Makes a toy drive (three cameras, lidar, moving cars), fits a scene to it, scores the pictures it never
saw, writes the report, flies 1 m beside the recorded way, and exports a PLY. A few minutes in all.

Examples:
  gsrecon demo
  gsrecon demo --minutes 4 --out runs/longer
"""

from dataclasses import dataclass, replace
from pathlib import Path

from gsrecon.cli.options import OptionalPath

_OUT = Path("runs") / "demo"


@dataclass(frozen=True)
class Demo:
    """Options of `gsrecon demo`."""

    minutes: float = 2.0
    """Time for training [min]; the rest takes about one more."""
    out: OptionalPath = None
    """Run folder; runs/demo when left out, or runs/demo-2 and so on if that is taken."""
    shift_left: float = 1.0
    """How far beside the recorded way the film is flown [m]."""
    length_m: float = 120.0
    """Length of the street that is driven [m]."""

    def run(self) -> int:
        """Runs the demo and tells what happened."""
        from gsrecon.cli.console import console
        from gsrecon.cli.usage import UsageError

        if not self.minutes > 0:
            raise UsageError(f"--minutes: expected more than 0, got {self.minutes:g}")
        out = console()
        folder = self.out or free_folder(_OUT)

        out.print("1. A street and a drive through it", style="bold")
        from gsrecon.data.spec import find_spec, open_drive

        spec = find_spec("toy")
        spec = replace(spec, toy={**spec.toy, "length_m": self.length_m})
        log, spec = open_drive(spec)
        cameras = len(log.cameras)
        out.print(f"   {len(log.frames)} pictures of {cameras} cameras, {len(log.sweeps)} lidar sweeps")

        out.print(f"2. Training for {self.minutes:g} minutes", style="bold")
        from gsrecon.cli.fit import fit
        from gsrecon.train.config import TrainConfig

        # The whole evaluation comes next, so training need not score the same pictures.
        config = TrainConfig(steps=None, max_minutes=self.minutes, evaluations=0, checkpoints=2)
        run = fit(log, spec, config, folder, go_on="`gsrecon evaluate` and `render` work on it as it is")

        out.print("3. Scoring the pictures that training never saw", style="bold")
        from gsrecon.cli.judge import judge
        from gsrecon.evaluation.evaluate import EvaluateConfig

        evaluation = judge(run, log, EvaluateConfig(mask_moving=spec.mask_moving))

        out.print(f"4. A drive {self.shift_left:g} m to the left, which nobody drove", style="bold")
        from gsrecon.cli.fly import fly
        from gsrecon.evaluation.export import export_ply
        from gsrecon.evaluation.novel_views import driven_path
        from gsrecon.ops.device import pick_device
        from gsrecon.scene.groups_scene import open_scene

        graph = open_scene(run.folder, pick_device("auto"))
        films = fly(graph, driven_path(graph, None, self.shift_left), folder / "renders" / "shifted")
        export_ply(graph, folder / "scene.ply")

        out.print(f"\nDone. {len(graph):,} Gaussians, {evaluation.psnr:.2f} dB on held-out pictures.")
        out.print(f"  look first at {folder / 'report.html'} (any browser)")
        out.print(f"  then at       {films[0]} (the shifted drive)")
        out.print(f"  and open      {folder / 'scene.ply'} in a splat viewer")
        out.print(f"  or fly through it: `gsrecon view {folder}`")
        out.print("Now a drive of your own: `gsrecon train --help`.")
        return 0


def free_folder(wanted: Path) -> Path:
    """The folder itself, or with -2, -3, ... when there is one of that name; nothing is overwritten."""
    number, folder = 1, wanted
    while folder.exists():
        number += 1
        folder = wanted.with_name(f"{wanted.name}-{number}")
    return folder


COMMAND = Demo
