"""YOLO read back: every line against the modal box that was measured."""

from pathlib import Path
from typing import Any

import numpy as np

from gsrecon.datasets.verify_findings import Drawn, Findings
from gsrecon.datasets.verify_views import objects_of


def check_yolo(folder: Path, views: list[dict[str, Any]], findings: Findings) -> None:
    """Checks every picture and line; lines come in the order of the list of views."""
    names = _names(folder / "data.yaml", findings)
    for view in views:
        name = view["file"]
        path = folder / "images" / f"{name}.png"
        findings.picture(path, view["width"], view["height"])
        try:
            lines = (folder / "labels" / f"{name}.txt").read_text(encoding="utf-8").splitlines()
        except OSError as error:
            findings.problem(f"{name}.txt: missing or damaged ({error})")
            continue
        things = list(objects_of(view).values())
        if len(lines) != len(things):
            findings.problem(f"{name}.txt: expected {len(things)} lines, got {len(lines)}")
            continue
        boxes = []
        for line, thing in zip(lines, things, strict=True):
            where = f"{name}, {thing['id']}"
            try:
                number, *numbers = line.split()
                x, y, width, height = (float(value) for value in numbers)
                word = names[int(number)]
            except (ValueError, KeyError):
                findings.problem(f"{where}: the line {line!r} is no box")
                continue
            if not all(0 <= value <= 1 for value in (x, y, width, height)):
                findings.problem(f"{where}: a number lies outside of 0 .. 1")
            if word != thing["category"]:
                findings.problem(f"{where}: its class is {word!r}, not {thing['category']!r}")
            size = np.array([view["width"], view["height"]] * 2)
            found = size * [x - width / 2, y - height / 2, x + width / 2, y + height / 2]
            findings.error("modal boxes", found, thing["modal_box"], where)
            boxes.append((found, word))
        findings.drawn.append(Drawn(path, tuple(boxes)))


def _names(path: Path, findings: Findings) -> dict[int, str]:
    """Class names by number out of data.yaml, in the form it is written in."""
    import json

    names: dict[int, str] = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        for line in lines[lines.index("names:") + 1 :]:
            number, _, name = line.strip().partition(": ")
            names[int(number)] = json.loads(name)
    except (OSError, ValueError) as error:
        findings.problem(f"data.yaml: missing or damaged ({error})")
    return names
