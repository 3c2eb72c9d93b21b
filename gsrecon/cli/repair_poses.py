"""Estimates height, roll and pitch of the car's poses from the ground its lidar sees.

For drives whose ego poses are flat, as those of nuScenes. Writes a small JSON file with the corrections
and, beside it, an HTML report of how well sweeps and pictures agree before and after. Name the file in a
scene spec, pose_repair = "pose_repair.json", and every command applies it to ego, camera and lidar poses
and to boxes.

Examples:
  gsrecon repair-poses nuscenes:PATH --out pose_repair.json
  gsrecon repair-poses scenes/mine.toml --data PATH
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import tyro

from gsrecon.cli.options import Drive, OptionalPath

_WORTH_WHILE = 0.95
"""A repair that leaves more than this share of the ground's disagreement is not worth its file."""


@dataclass(frozen=True)
class RepairPoses:
    """Options of `gsrecon repair-poses`."""

    drive: Drive
    """Scene spec, or a drive such as folder:PATH."""
    data: OptionalPath = None
    """The recording's folder, for specs that leave it open."""
    out: Annotated[Path, tyro.conf.arg(metavar="PATH")] = Path("pose_repair.json")
    """The corrections; the report lies beside them with the ending .html."""
    pairs: int = 10
    """Pairs of pictures compared for each camera before and after; 0 leaves pictures out."""

    def run(self) -> int:
        """Estimates, compares, writes, and tells the numbers."""
        from gsrecon.cli.console import console, sharing
        from gsrecon.cli.usage import UsageError
        from gsrecon.data.repair import repair_poses
        from gsrecon.data.repair_file import write_repair
        from gsrecon.data.repair_pictures import picture_agreement
        from gsrecon.data.spec import find_spec, open_drive
        from gsrecon.evaluation.repair_report import write_repair_report

        if self.pairs < 0:
            raise UsageError(f"--pairs: expected at least 0, got {self.pairs}")
        if self.out.suffix != ".json":
            raise UsageError(f"--out: expected a file that ends in .json, got {self.out}")
        spec = replace(find_spec(self.drive), pose_repair="")
        log, _ = open_drive(spec, self.data)
        with sharing("repairing") as share:
            repaired = repair_poses(log, progress=share)
            pictures = picture_agreement(log, repaired.log, self.pairs, share) if self.pairs else {}
        report = repaired.report
        write_repair(self.out, log, report.corrections)
        page = self.out.with_suffix(".html")
        write_repair_report(page, log, report, pictures)
        out = console()
        out.print(f"{log.name}: {report.sweeps_with_ground} of {report.sweeps} lidar sweeps see ground")
        before, after = report.before, report.after
        out.print(
            f"ground seen by two sweeps is apart by {100 * before.median_m:.1f} cm before, "
            f"{100 * after.median_m:.1f} cm after (median of {after.patches} patches)"
        )
        for name, found in pictures.items():
            out.print(
                f"{name}: epipolar error {found.before_px:.2f} px before, {found.after_px:.2f} px after "
                f"({found.corners} corners)"
            )
        out.print(f"{self.out}: corrections\n{page}: report")
        if after.median_m > _WORTH_WHILE * before.median_m:
            out.print("the recorded poses fit the ground as well: this drive needs no repair")
        else:
            out.print(f'to apply them, write pose_repair = "{self.out}" into the scene spec')
        return 0


COMMAND = RepairPoses
