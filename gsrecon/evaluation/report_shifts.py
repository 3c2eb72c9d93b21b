"""The report's section on views beside the recorded way."""

from collections.abc import Sequence

from gsrecon.evaluation.plots import Line, line_plot
from gsrecon.evaluation.shifts import ShiftScore

_SHARES = (
    ("trust", "trust"),
    ("carried", "labels agree with the recorded way's"),
    ("box_iou", "IoU of modal boxes"),
    ("level_share", "visibility level right"),
    ("unobserved", "unobserved"),
    ("fraction_error", "error of visible fractions"),
)


def shift_section(scores: Sequence[ShiftScore]) -> str:
    """How quality and labels fall with the shift; nothing where nothing was measured."""
    if len(scores) < 2:
        return ""
    lines = [line for name, told in _SHARES if (line := _line(scores, name, told)) is not None]
    plots = [line_plot("Labels beside the recorded way", "shift to the left [m]", "share", lines)]
    quality = _line(scores, "psnr", "PSNR")
    if quality is not None:
        plots.append(
            line_plot("Pictures beside the recorded way", "shift to the left [m]", "PSNR [dB]", [quality])
        )
    return "<h2>Beside the recorded way</h2>\n" + f'<div class="plots">{"".join(plots)}</div>'


def _line(scores: Sequence[ShiftScore], name: str, told: str) -> Line | None:
    known = [(score.shift_m, getattr(score, name)) for score in scores if getattr(score, name) is not None]
    return Line(told, [x for x, _ in known], [y for _, y in known]) if len(known) > 1 else None
