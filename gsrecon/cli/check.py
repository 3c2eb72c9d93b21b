"""Looks for mistakes in a recorded drive before hours are spent on it.

Missing and truncated files, gaps in time, poses that jump, calibration that disagrees with the pictures.
Exits with 1 where there is an error; warnings alone pass.

Examples:
  gsrecon check kitti:2011_09_26/2011_09_26_drive_0001_sync
  gsrecon check folder:my_drive
  gsrecon check scenes/mine.toml
"""

from dataclasses import dataclass

from gsrecon.cli.options import Drive, OptionalPath


@dataclass(frozen=True)
class Check:
    """Options of `gsrecon check`."""

    drive: Drive
    """Scene spec or kitti:PATH, kitti-odometry:PATH, folder:PATH, toy."""
    data: OptionalPath = None
    """The recording's folder, for specs that leave it open."""

    def run(self) -> int:
        """Prints what was found."""
        from rich.table import Table

        from gsrecon.cli.console import console
        from gsrecon.data.check import check
        from gsrecon.data.spec import open_drive

        log, _ = open_drive(self.drive, self.data)
        findings = check(log)
        out = console()
        cameras = ", ".join(f"{c.name} {c.width}x{c.height}" for c in log.cameras.values())
        out.print(f"{log.name} ({log.source}): {len(log.frames)} pictures, {len(log.sweeps)} lidar sweeps")
        out.print(f"cameras: {cameras}")
        if not findings:
            out.print("[green]nothing found: ready to train[/green]")
            return 0
        table = Table("", "where", "what", "what to do", show_lines=True)
        colors = {"error": "red", "warning": "yellow"}
        for finding in findings:
            color = colors.get(finding.severity, "cyan")
            table.add_row(
                f"[{color}]{finding.severity}[/{color}]", finding.where, finding.message, finding.remedy
            )
        out.print(table, soft_wrap=False)
        errors = sum(finding.severity == "error" for finding in findings)
        out.print(f"{errors} errors, {len(findings) - errors} other findings")
        return 1 if errors else 0


COMMAND = Check
