"""Scores a scene by the pictures that were held out of its training, and writes the report.

Writes metrics.json and report.html into the run's folder. The report is one file with pictures, curves
and tables; open it in a browser or send it to somebody.

Examples:
  gsrecon evaluate runs/demo
  gsrecon evaluate runs/kitti --drive kitti:new/place/2011_09_26_drive_0001_sync
  gsrecon evaluate runs/kitti --lpips-weights weights/
  gsrecon evaluate runs/toy --shifts 0.5,1,2,3
"""

from dataclasses import dataclass
from typing import Annotated

import tyro

from gsrecon.cli.options import DeviceName, OptionalPath, RunFolder
from gsrecon.cli.usage import UsageError


def _numbers(words: list[str]) -> tuple[float, ...]:
    return tuple(float(word) for word in words[0].split(",") if word)


Shifts = Annotated[
    tuple[float, ...],
    tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar="M,M,...",
        instance_from_str=_numbers,
        is_instance=lambda value: isinstance(value, tuple),
        str_from_instance=lambda value: [",".join(f"{number:g}" for number in value)],
    ),
]


@dataclass(frozen=True)
class Evaluate:
    """Options of `gsrecon evaluate`."""

    run_folder: RunFolder
    """Folder that `gsrecon train` wrote."""
    drive: Annotated[str | None, tyro.conf.arg(metavar="DRIVE")] = None
    """Where the drive lies now, if it was moved: kitti:PATH, nuscenes:PATH, folder:PATH and the like."""
    near_limit_m: float = 20.0
    """Pixels rendered nearer than this are near, all others far [m]."""
    lpips_weights: OptionalPath = None
    """Folder with alexnet.pth (torchvision) and lin.pth (LPIPS v0.1 alex); LPIPS is left out without it."""
    shifts: Shifts = ()
    """Also judge pictures and labels from beside the recorded way, this far to the left (0.5,1,2,3) [m]."""
    shift_views: int = 40
    """Views that are drawn at each shift."""
    device: DeviceName = "auto"
    """Where to render: cpu, cuda, cuda:1; auto is a GPU where there is one."""

    def run(self) -> int:
        """Evaluates and tells the numbers."""
        from gsrecon.cli.judge import judge
        from gsrecon.cli.runs import Run
        from gsrecon.evaluation.evaluate import EvaluateConfig
        from gsrecon.train.run_folder import read_config

        run = Run.at(self.run_folder)
        log, spec = run.drive(self.drive)
        trained = read_config(self.run_folder)
        config = EvaluateConfig(
            near_limit_m=self.near_limit_m,
            mask_moving=trained.masks_moving(spec.mask_moving),
            moving_margin_px=trained.mask_dilation_px,
            lpips_weights=self.lpips_weights,
        )
        if self.shift_views < 1:
            raise UsageError(f"--shift-views: expected at least 1, got {self.shift_views}")
        scores = []
        if self.shifts:
            from gsrecon.cli.shift_scores import shift_scores

            scores = shift_scores(run, log, self.shifts, self.shift_views, self.device)
        judge(run, log, config, scores, self.device)
        return 0


COMMAND = Evaluate
