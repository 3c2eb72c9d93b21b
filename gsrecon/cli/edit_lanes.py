"""Lane lines of the drive that a scene was made of, for edits that ask where the road is."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from gsrecon.scene.edits import Edit


def lanes_for(run_folder: Path, edits: "Sequence[Edit]") -> "list[np.ndarray]":
    """Lines in world [m] where an edit needs them; none where the drive has none or is not there any more."""
    from gsrecon.scene.edits import needs_lanes

    return lanes_of(run_folder) if needs_lanes(edits) else []


def lanes_of(run_folder: Path) -> "list[np.ndarray]":
    """Lines in world [m]; none where the drive has none or is not there any more."""
    from gsrecon.cli.runs import Run
    from gsrecon.errors import GsreconError

    try:
        log, _ = Run.at(run_folder).drive()
    except GsreconError:
        return []
    return [lane.points_in_world for lane in log.lanes]
