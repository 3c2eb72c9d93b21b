"""What a check of a data set found, on one page: verdict, card, adaptor, pictures with their labels."""

import base64
import json
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from gsrecon.datasets.verify import TOLERANCE_PX, Verdict
from gsrecon.evaluation.pictures import png_bytes
from gsrecon.evaluation.plots import Line, line_plot
from gsrecon.files import write_text

_LONG = ("residuals [m]", "residuals [deg]", "way of the data set", "way of the scene")
"""Entries of the card's adaptor that are drawn, not told."""


def write_verify_report(path: Path, verdict: Verdict, sheet: UInt8[np.ndarray, "H W 3"] | None) -> None:
    """Writes the page, whole or not at all."""
    style = files("gsrecon.evaluation").joinpath("report.css").read_text(encoding="utf-8")
    title = f"{verdict.card.get('drive', 'drive')} as {verdict.format}"
    told = "Everything agrees" if verdict.agrees else "Something disagrees"
    sections = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="quiet">{told} (within {TOLERANCE_PX:g} px); {verdict.pictures} pictures.</p>',
        _table(
            "Largest errors", [(k, f"{e:.6f} px", where) for k, (e, where) in verdict.findings.worst.items()]
        ),
        _table("Disagreements", [(words,) for words in verdict.findings.problems]),
        _pictures(sheet),
        _adaptor(verdict.card.get("adaptor")),
        _table("Card", [(name, _told(value)) for name, value in verdict.card.items()]),
    ]
    write_text(
        path,
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"<title>{escape(title)} - gsrecon</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        + "\n".join(section for section in sections if section)
        + "\n</body>\n</html>\n",
    )


def _table(title: str, rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    cells = "\n".join(
        "<tr>" + "".join(f'<td style="text-align:left">{escape(cell)}</td>' for cell in row) + "</tr>"
        for row in rows
    )
    return f'<h2>{title}</h2>\n<div class="card"><table>{cells}</table></div>'


def _pictures(sheet: UInt8[np.ndarray, "H W 3"] | None) -> str:
    if sheet is None:
        return ""
    data = base64.b64encode(png_bytes(sheet)).decode("ascii")
    return (
        "<h2>Labels drawn in, evenly over the data set</h2>\n"
        f'<img style="width:100%" alt="pictures with labels" src="data:image/png;base64,{data}">'
    )


def _adaptor(adaptor: Any) -> str:
    """Both ways from above, and the residuals frame by frame."""
    if not isinstance(adaptor, Mapping) or "way of the scene" not in adaptor:
        return ""
    ways = [
        Line(told, [x for x, _ in adaptor[key]], [y for _, y in adaptor[key]])
        for key, told in (("way of the data set", "data set, mapped"), ("way of the scene", "scene"))
    ]
    frames = list(range(len(adaptor["residuals [m]"])))
    plots = [
        line_plot("Both ways from above", "x", "y", ways),
        line_plot("Residual position", "frame", "m", [Line("residual", frames, adaptor["residuals [m]"])]),
        line_plot("Residual turn", "frame", "deg", [Line("residual", frames, adaptor["residuals [deg]"])]),
    ]
    cards = "\n".join(f'<div class="card">{plot}</div>' for plot in plots)
    return f'<h2>Adaptor</h2>\n<div class="plots">\n{cards}\n</div>'


def _told(value: Any) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{name}: {_told(of)}" for name, of in value.items() if name not in _LONG)
    return value if isinstance(value, str) else json.dumps(value)
