"""The report of a run: one HTML file that needs nothing else, with pictures, curves and tables."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from gsrecon.evaluation.gallery import Gallery, ShownPicture
from gsrecon.evaluation.pictures import turbo
from gsrecon.evaluation.plots import Line, line_plot
from gsrecon.evaluation.report_shifts import shift_section
from gsrecon.evaluation.scores import Evaluation, PictureScore, Summary
from gsrecon.evaluation.shifts import ShiftScore
from gsrecon.files import write_text


@dataclass(frozen=True)
class RunFacts:
    """What a report tells beside the scores; everything may be absent."""

    name: str
    """Name of the run or scene, the report's title."""
    drive: str = ""
    """What was reconstructed, in a few words."""
    history: Sequence[Mapping[str, Any]] = ()
    """Rows of `metrics.jsonl`, each with a `step`."""
    config: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    spec: str = ""
    """The scene spec as TOML."""
    timings: Mapping[str, float] = field(default_factory=dict)
    """Seconds by what they were spent on."""
    stages_ms: Mapping[str, float] = field(default_factory=dict)
    """Milliseconds of one training step by stage."""
    peak_memory_bytes: int | None = None


def read_history(path: Path | str) -> list[dict[str, Any]]:
    """Rows of a `metrics.jsonl`; an unfinished last line and lines that are no rows are passed over.

    When a run was resumed, rows of steps that were done twice count once, as they were last.
    """
    if not Path(path).is_file():
        return []
    rows: dict[int, dict[str, Any]] = {}
    for line in Path(path).read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and isinstance(row.get("step"), int):
            rows[row["step"]] = rows.get(row["step"], {}) | row
    return [rows[step] for step in sorted(rows)]


def write_report(
    path: Path | str,
    evaluation: Evaluation,
    gallery: Gallery,
    facts: RunFacts,
    shifts: Sequence[ShiftScore] = (),
) -> None:
    """Writes `report.html`, whole or not at all."""
    style = files("gsrecon.evaluation").joinpath("report.css").read_text(encoding="utf-8")
    sections = [
        _head(evaluation, facts),
        _tiles(evaluation, facts),
        _cameras(evaluation),
        _shots("Held-out pictures", "Evenly over the drive.", gallery.evenly),
        _shots("Worst pictures", "Lowest PSNR first.", gallery.worst),
        _shots("Best pictures", "Highest PSNR first.", gallery.best),
        shift_section(shifts),
        _curves(evaluation, facts),
        _pictures(evaluation.pictures),
        _facts(facts),
    ]
    write_text(
        path,
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(facts.name)} - gsrecon report</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        + "\n".join(section for section in sections if section)
        + "\n</body>\n</html>\n",
    )


def _head(evaluation: Evaluation, facts: RunFacts) -> str:
    masked = ", moving objects masked" if evaluation.moving_masked else ""
    told = f"{len(evaluation.pictures)} held-out pictures that training never saw{masked}"
    drive = f"{escape(facts.drive)} &middot; " if facts.drive else ""
    return f'<h1>{escape(facts.name)}</h1>\n<p class="quiet">{drive}{told}</p>'


def _tiles(evaluation: Evaluation, facts: RunFacts) -> str:
    s = evaluation.summary
    near = f"{evaluation.near_limit_m:g} m"
    steps = facts.history[-1]["step"] if facts.history else None
    seconds = facts.timings.get("training")
    tiles = [
        ("PSNR", _number(s.psnr, 2), "dB", True),
        ("SSIM", _number(s.ssim, 3), "", True),
        ("PSNR of what moves", _number(s.psnr_moving, 2), "dB", False),
        ("PSNR of what stands", _number(s.psnr_static, 2), "dB", False),
        ("LPIPS", "not computed" if s.lpips is None else _number(s.lpips, 3), "", False),
        (f"PSNR nearer than {near}", _number(s.psnr_near, 2), "dB", False),
        (f"PSNR beyond {near}", _number(s.psnr_far, 2), "dB", False),
        ("Depth error (median)", _number(s.depth_error_m, 2), "m", False),
        ("Gaussians", f"{evaluation.gaussians:,}", "", False),
        ("Training steps", None if steps is None else f"{steps:,}", "", False),
        ("Training time", None if seconds is None else _duration(seconds), "", False),
        ("Peak memory", _gibibytes(facts.peak_memory_bytes), "GiB", False),
        ("Rendering", _number(s.seconds and 1000 * s.seconds, 0), "ms a picture", False),
    ]
    cells = []
    for name, value, unit, main in tiles:
        if value is None:
            continue
        small = ' style="font-size:1rem"' if value == "not computed" else ""
        cells.append(
            f'<div class="tile{" main" if main else ""}"><div class="name">{escape(name)}</div>'
            f'<div class="value"{small}>{value}<span class="unit">{unit}</span></div></div>'
        )
    return '<div class="tiles">\n' + "\n".join(cells) + "\n</div>"


_COLUMNS = (
    "PSNR [dB]",
    "SSIM",
    "LPIPS",
    "near [dB]",
    "far [dB]",
    "moving [dB]",
    "static [dB]",
    "depth error [m]",
    "ms",
)


def _values(s: Summary | PictureScore) -> list[str]:
    return [
        _number(s.psnr, 2) or "-",
        _number(s.ssim, 4) or "-",
        _number(s.lpips, 4) or "-",
        _number(s.psnr_near, 2) or "-",
        _number(s.psnr_far, 2) or "-",
        _number(s.psnr_moving, 2) or "-",
        _number(s.psnr_static, 2) or "-",
        _number(s.depth_error_m, 2) or "-",
        _number(s.seconds and 1000 * s.seconds, 0) or "-",
    ]


def _cameras(evaluation: Evaluation) -> str:
    if not evaluation.pictures:
        return ""
    rows = [
        [escape(name), str(summary.pictures), *_values(summary)]
        for name, summary in evaluation.cameras.items()
    ]
    if len(rows) > 1:
        rows.append(["all", str(len(evaluation.pictures)), *_values(evaluation.summary)])
    return f'<h2>Cameras</h2>\n<div class="card">{_table(("camera", "pictures", *_COLUMNS), rows)}</div>'


def _pictures(scores: Sequence[PictureScore]) -> str:
    if not scores:
        return ""
    rows = [[escape(s.camera), str(s.index), *_values(s)] for s in scores]
    table = _table(("camera", "picture", *_COLUMNS), rows)
    folded = f'<details class="card"><summary>{len(rows)} pictures</summary>{table}</details>'
    return f"<h2>All numbers</h2>\n{folded}"


def _shots(title: str, told: str, shown: Sequence[ShownPicture]) -> str:
    if not shown:
        return ""
    legend = (
        f"{told} Point at a rendered picture to see the truth in its place. "
        f"Error: 0 {_bar()} 25 % and more, grey is not scored. Depth: far {_bar()} near."
    )
    cards = "\n".join(_shot(picture) for picture in shown)
    return f'<h2>{escape(title)}</h2>\n<p class="quiet">{legend}</p>\n{cards}'


def _shot(picture: ShownPicture) -> str:
    s = picture.score
    name = escape(f"{s.camera} {s.index}")
    numbers = f"<span>{_number(s.psnr, 2) or '-'} dB</span><span>SSIM {_number(s.ssim, 3) or '-'}</span>"
    truth = _source(picture.truth, "jpeg")
    flip = _img(_source(picture.image, "jpeg"), f"rendered {name}") + _img(truth, "")
    figures = [
        (f'<div class="flip" tabindex="0">{flip}</div>', "rendered"),
        (_img(truth, f"recorded {name}"), "recorded"),
        (_img(_source(picture.error, "png"), f"error of {name}"), "error"),
        (_img(_source(picture.depth, "jpeg"), f"depth of {name}"), "depth"),
    ]
    body = "".join(f"<figure>{img}<figcaption>{told}</figcaption></figure>" for img, told in figures)
    return (
        f'<article class="card shot"><header><b>{name}</b>{numbers}</header>'
        f'<div class="pair">{body}</div></article>'
    )


def _img(source: str, alt: str) -> str:
    return f'<img src="{source}" alt="{alt}">'


def _curves(evaluation: Evaluation, facts: RunFacts) -> str:
    plots = []
    for key, title, unit, log in (
        ("loss", "Loss", "loss", True),
        ("psnr", "PSNR of the training pictures", "PSNR [dB]", False),
        ("gaussians", "Gaussians", "count", False),
    ):
        rows = [r for r in facts.history if isinstance(r.get(key), int | float)]
        if len(rows) > 1:
            line = Line(key, [r["step"] for r in rows], [r[key] for r in rows], smooth=key != "gaussians")
            plots.append(line_plot(title, "step", unit, [line], log=log and all(r[key] > 0 for r in rows)))
    lines = []
    for camera in evaluation.cameras:
        scores = [s for s in evaluation.pictures if s.camera == camera and s.psnr is not None]
        lines.append(Line(camera, [s.index for s in scores], [s.psnr or 0.0 for s in scores]))
    if any(len(line.x) > 1 for line in lines):
        plots.append(line_plot("Held-out PSNR over the drive", "picture", "PSNR [dB]", lines))
    if not plots:
        return ""
    cards = "\n".join(f'<div class="card">{plot}</div>' for plot in plots)
    return f'<h2>Curves</h2>\n<div class="plots">\n{cards}\n</div>'


def _facts(facts: RunFacts) -> str:
    parts = []
    if facts.timings or facts.peak_memory_bytes:
        rows = [[escape(name), _duration(seconds)] for name, seconds in facts.timings.items()]
        rows += [[f"one step: {escape(stage)}", f"{ms:.1f} ms"] for stage, ms in facts.stages_ms.items()]
        if facts.peak_memory_bytes:
            rows.append(["peak memory", f"{_gibibytes(facts.peak_memory_bytes)} GiB"])
        parts.append(f'<h2>Time and memory</h2>\n<div class="card">{_fact_table(rows)}</div>')
    folded = []
    if facts.environment:
        rows = [[escape(name), escape(_plain(value))] for name, value in facts.environment.items()]
        folded.append(("Environment", _fact_table(rows)))
    if facts.config:
        text = json.dumps(facts.config, indent=2, default=str)
        folded.append(("Configuration", f"<pre>{escape(text)}</pre>"))
    if facts.spec:
        folded.append(("Scene spec", f"<pre>{escape(facts.spec)}</pre>"))
    if folded:
        parts.append("<h2>How it was made</h2>")
        parts += [
            f'<details class="card"><summary>{title}</summary>{body}</details>' for title, body in folded
        ]
    return "\n".join(parts)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    first = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "\n".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{first}</tr></thead><tbody>\n{body}\n</tbody></table>"


def _fact_table(rows: Sequence[Sequence[str]]) -> str:
    body = "\n".join(f"<tr><td>{name}</td><td>{value}</td></tr>" for name, value in rows)
    return f'<table class="facts"><tbody>\n{body}\n</tbody></table>'


def _source(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _bar() -> str:
    colors = turbo(np.linspace(0, 1, 9)[None])[0]
    stops = ", ".join("#{:02x}{:02x}{:02x}".format(*color) for color in colors)
    return f'<span class="bar" style="background: linear-gradient(90deg, {stops})"></span>'


def _number(value: float | None, digits: int) -> str | None:
    return None if value is None else f"{value:.{digits}f}"


def _gibibytes(count: int | None) -> str | None:
    return None if count is None else f"{count / 2**30:.2f}"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)
