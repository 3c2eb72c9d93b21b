"""Live numbers of a run: `metrics.jsonl`, one JSON object a line, each with its `step`."""

import json
import resource
import sys
from collections.abc import Mapping
from pathlib import Path

from gsrecon.files import write_text
from gsrecon.scene.sealed import disk_errors_explained


class MetricsFile:
    """Appends rows; each is on disk before the next step begins."""

    def __init__(self, path: Path, resumed_at: int | None = None) -> None:
        """Opens the file.

        Args:
            path: Where it is.
            resumed_at: Rows of later steps are dropped, they will be written again; None starts anew.

        Raises:
            TrainingError: The disk is full or cannot be written.
        """
        self._path = path
        with disk_errors_explained(path):
            kept = "" if resumed_at is None else "".join(_rows_up_to(path, resumed_at))
            write_text(path, kept)

    def add(self, step: int, values: Mapping[str, float | int]) -> None:
        """Appends a row.

        Raises:
            TrainingError: The disk is full or cannot be written.
        """
        row = json.dumps({"step": step, **values})
        with disk_errors_explained(self._path), open(self._path, "a", encoding="utf-8") as file:
            file.write(row + "\n")


def peak_memory_bytes() -> int:
    """Largest resident memory of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _rows_up_to(path: Path, step: int) -> list[str]:
    """Whole rows of steps up to one; a torn last line is left out."""
    if not path.is_file():
        return []
    kept = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line + "\n")
        except (ValueError, KeyError, TypeError):
            continue
    return kept
