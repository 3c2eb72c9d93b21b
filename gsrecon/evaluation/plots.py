"""Curves as inline SVG: the only module that imports matplotlib.

Lines of text and axes take the page's text colour, so that a plot reads on a dark and on a light page.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_INK = "#123456"  # stands for the page's text colour until the SVG is written
_LINES = ("#3b82f6", "#f97316", "#10b981", "#a855f7", "#ef4444", "#eab308")


@dataclass(frozen=True)
class Line:
    """One line of a plot; pairs without a value are left out."""

    label: str
    x: Sequence[float | int]
    y: Sequence[float | int]
    smooth: bool = False
    """Draw the values faintly and their running mean on top, for noisy ones."""


def line_plot(title: str, x_label: str, y_label: str, lines: Sequence[Line], log: bool = False) -> str:
    """A plot as an SVG element.

    Args:
        title: Also makes the ids inside the SVG unique on a page of several plots.
        x_label: With unit.
        y_label: With unit.
        lines: At least one.
        log: Logarithmic y axis.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    ink = {"text.color": _INK, "axes.labelcolor": _INK, "xtick.color": _INK, "ytick.color": _INK}
    style: dict[Any, Any] = ink | {
        "svg.fonttype": "none",
        "svg.hashsalt": title,
        "font.size": 10,
        "axes.edgecolor": _INK,
    }
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(5.2, 2.9), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        axes.patch.set_alpha(0)
        axes.spines[["top", "right"]].set_visible(False)
        for line, color in zip(lines, _LINES * len(lines), strict=False):
            if line.smooth and len(line.y) > 10:
                axes.plot(line.x, line.y, color=color, alpha=0.25, linewidth=0.8)
                axes.plot(line.x, _running_mean(line.y), color=color, linewidth=1.8, label=line.label)
            else:
                marker = "o" if len(line.y) <= 40 else None
                axes.plot(line.x, line.y, color=color, linewidth=1.5, marker=marker, ms=3, label=line.label)
        if log:
            axes.set_yscale("log")
        axes.set_title(title, loc="left", fontsize=11)
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
        axes.grid(color="#888888", alpha=0.25, linewidth=0.6)
        if len(lines) > 1:
            axes.legend(frameon=False, fontsize=9)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    svg = buffer.getvalue()
    return svg[svg.index("<svg") :].replace(_INK, "currentColor").replace("<svg ", '<svg role="img" ', 1)


def _running_mean(values: Sequence[float | int]) -> list[float]:
    """Exponential mean over about a thirtieth of the values, started without bias."""
    keep = 1 - min(1.0, 30 / len(values))
    keep = max(keep, 0.8)
    mean, weight, means = 0.0, 0.0, []
    for value in values:
        mean = keep * mean + (1 - keep) * value
        weight = keep * weight + (1 - keep)
        means.append(mean / weight)
    return means
