"""Reading a labelled data set back and checking every label of it against its picture and its geometry."""

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from gsrecon.data.pictures import decode_rgb
from gsrecon.datasets.export import CARD, VIEWS
from gsrecon.datasets.verify_coco import check_coco
from gsrecon.datasets.verify_findings import Drawn, Findings
from gsrecon.datasets.verify_kitti import check_kitti
from gsrecon.datasets.verify_nuscenes import check_nuscenes
from gsrecon.datasets.verify_openlane import check_openlane
from gsrecon.datasets.verify_yolo import check_yolo
from gsrecon.errors import DatasetError

TOLERANCE_PX = 0.5
"""Labels may lie this far from where their 3D box or point projects to [px]."""
_SHEET_PICTURES = 12

_CHECKS: Mapping[str, Callable[[Path, list[dict[str, Any]], Findings], None]] = {
    "nuscenes": check_nuscenes,
    "kitti": check_kitti,
    "coco": check_coco,
    "yolo": check_yolo,
    "openlane": check_openlane,
}


@dataclass
class Verdict:
    """What was found out about a data set."""

    format: str
    card: dict[str, Any]
    findings: Findings
    pictures: int
    drawn: list[Drawn] = field(default_factory=list)

    @property
    def agrees(self) -> bool:
        """Nothing disagrees."""
        return not self.findings.problems and self.findings.worst_px <= TOLERANCE_PX


def verify(folder: Path) -> Verdict:
    """Reads a data set with its format's own client and re-projects every 3D label.

    Raises:
        DatasetError: The folder is no export of gsrecon's, or its card is damaged.
    """
    card = _read_card(folder)
    format = str(card.get("format"))
    if format not in _CHECKS:
        raise DatasetError(f"{folder}: its card names the format {format!r}; expected {', '.join(_CHECKS)}")
    views = list(_read_views(folder))
    findings = Findings()
    if len(views) != card.get("pictures"):
        findings.problem(f"the card counts {card.get('pictures')} pictures, {VIEWS} has {len(views)}")
    _CHECKS[format](folder, views, findings)
    return Verdict(format, card, findings, len(views), findings.drawn)


def contact_sheet(verdict: Verdict) -> UInt8[np.ndarray, "H W 3"] | None:
    """Pictures evenly over the data set with their labels drawn in; None where there are none."""
    drawn = verdict.drawn
    if not drawn:
        return None
    chosen = [
        drawn[k] for k in np.unique(np.linspace(0, len(drawn) - 1, _SHEET_PICTURES).round().astype(int))
    ]
    pictures = []
    for one in chosen:
        with contextlib.suppress(DatasetError):  # a damaged picture is among the findings
            pictures.append(one.draw(decode_rgb(one.image)))
    if not pictures:
        return None
    height, width = max(p.shape[0] for p in pictures), max(p.shape[1] for p in pictures)
    columns = min(3, len(pictures))
    rows = -(-len(pictures) // columns)
    sheet = np.full((rows * (height + 4), columns * (width + 4), 3), 32, dtype=np.uint8)
    for number, picture in enumerate(pictures):
        top, left = number // columns * (height + 4) + 2, number % columns * (width + 4) + 2
        sheet[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return sheet


def _read_card(folder: Path) -> dict[str, Any]:
    path = folder / "gsrecon" / CARD
    if not path.is_file():
        raise DatasetError(
            f"{folder}: no gsrecon/{CARD} in it; name a folder that `gsrecon export-dataset` wrote"
        )
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path}: the card is damaged ({error}); export again") from error


def _read_views(folder: Path) -> Iterator[dict[str, Any]]:
    path = folder / "gsrecon" / VIEWS
    try:
        with path.open(encoding="utf-8") as file:
            for line in file:
                yield json.loads(line)
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path}: the list of views is damaged ({error}); export again") from error
