"""Brings groups of one drive together that were trained in different run folders, on one machine or many.

Each group is taken from the run that trained it farthest. The runs must have been begun alike: begin one with
`gsrecon train DRIVE --groups N --group 0`, copy its folder, and train another group in each copy.

Examples:
  gsrecon merge runs/long copies/long-3 copies/long-4
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from gsrecon.cli.options import RunFolder


@dataclass(frozen=True)
class Merge:
    """Options of `gsrecon merge`."""

    run_folder: RunFolder
    """Run that receives the groups."""
    others: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="OTHER")]
    """Runs that groups are taken from."""

    def run(self) -> int:
        """Merges and tells what was taken."""
        from gsrecon.cli.console import console
        from gsrecon.train.groups_merge import merge_groups

        taken = merge_groups(self.run_folder, list(self.others))
        out = console()
        for number, folder in sorted(taken.items()):
            out.print(f"group {number} from {folder}")
        if not taken:
            out.print("no run was farther with any group; nothing changed")
        return 0


COMMAND = Merge
