"""Looks for mistakes in a recorded drive before hours are spent on it.

Missing and truncated files, gaps in time, poses that jump, calibration that disagrees with the pictures.
Exits with 1 where there is an error; warnings alone pass.

Examples:
  gsrecon check kitti:2011_09_26/2011_09_26_drive_0001_sync
  gsrecon check folder:my_drive
  gsrecon check scenes/mine.toml
"""

from collections import Counter
from dataclasses import dataclass

from gsrecon.cli.options import Drive, OptionalPath


@dataclass(frozen=True)
class Check:
    """Options of `gsrecon check`."""

    drive: Drive
    """Scene spec or kitti:PATH, kitti-odometry:PATH, nuscenes:PATH, images:PATH, folder:PATH, toy."""
    data: OptionalPath = None
    """The recording's folder, for specs that leave it open."""

    def run(self) -> int:
        """Prints what was found."""
        from rich.table import Table
        from rich.text import Text

        from gsrecon.cli.console import console, sharing
        from gsrecon.data.check import check
        from gsrecon.data.spec import open_drive

        log, _ = open_drive(self.drive, self.data)
        out = console()
        cameras = ", ".join(f"{c.name} {c.width}x{c.height}" for c in log.cameras.values())
        out.print(f"{log.name} ({log.source}): {len(log.frames)} pictures, {len(log.sweeps)} lidar sweeps")
        out.print(f"cameras: {cameras}")
        with sharing("checking") as share:
            findings = check(log, progress=share)
        table = Table("", show_lines=True)
        for heading in ("where", "what", "what to do"):
            table.add_column(heading, overflow="fold")
        colors = {"error": "red", "warning": "yellow"}
        for finding in findings:
            color = colors.get(finding.severity, "cyan")
            table.add_row(Text(finding.severity, style=color), finding.where, finding.message, finding.remedy)
        if findings:
            out.print(table, soft_wrap=False)
        count = Counter(finding.severity for finding in findings)
        out.print(", ".join(_counted(count[severity], severity) for severity in ("error", "warning")))
        if not count["error"]:
            out.print("ready to train", style="green")
        return 1 if count["error"] else 0


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}" + ("" if number == 1 else "s")


COMMAND = Check
