"""Reads a labelled data set back with its format's own client and checks every label.

Every 3D label is projected again and compared with its 2D box, boxes with masks, and everything with the
list of views that the export wrote beside it. Draws a contact sheet of pictures with their labels. The exit
code is 1 where something disagrees.

Examples:
  gsrecon verify runs/toy/exports/coco-shift
  gsrecon verify data/kitti_new --sheet labels.png
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from gsrecon.cli.options import OptionalPath


@dataclass(frozen=True)
class Verify:
    """Options of `gsrecon verify`."""

    dataset: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DATASET")]
    """Folder that `gsrecon export-dataset` wrote."""
    sheet: OptionalPath = None
    """Where the contact sheet goes; contact-sheet.png in the data set's folder gsrecon/ when left out."""

    def run(self) -> int:
        """Verifies and tells what was found."""
        from gsrecon.cli.console import console
        from gsrecon.datasets.report import write_verify_report
        from gsrecon.datasets.verify import TOLERANCE_PX, contact_sheet, verify
        from gsrecon.evaluation.pictures import write_png

        verdict = verify(self.dataset)
        out, findings = console(), verdict.findings
        checked = ", ".join(f"{count:,} {kind}" for kind, count in sorted(findings.counts.items()))
        out.print(f"{self.dataset}: {verdict.format}, checked {checked or 'nothing'}")
        for kind, (error, where) in sorted(findings.worst.items()):
            out.print(f"  worst error of {kind}: {error:.6f} px ({where})", markup=False)
        for kind, value in verdict.card.get("what the format cannot hold", {}).items():
            out.print(f"  not held by the format: {kind}: {value}", markup=False)
        for words in findings.problems:
            out.print(f"  disagrees: {words}", markup=False)
        if findings.more:
            out.print(f"  and {findings.more} more")
        picture = contact_sheet(verdict)
        if picture is not None:
            path = self.sheet or self.dataset / "gsrecon" / "contact-sheet.png"
            write_png(path, picture)
            out.print(f"  labels drawn in: {path}")
        report = self.dataset / "gsrecon" / "report.html"
        write_verify_report(report, verdict, picture)
        out.print(f"  report: {report}")
        if verdict.agrees:
            out.print(f"everything agrees (within {TOLERANCE_PX:g} px)")
            return 0
        out.print("something disagrees: do not train on this data set")
        return 1


COMMAND = Verify
