"""The before and after of a pose repair: one HTML file that needs nothing else."""

from collections.abc import Mapping
from html import escape
from importlib.resources import files
from pathlib import Path

import numpy as np

from gsrecon.data.log import DrivingLog
from gsrecon.data.repair import RepairReport
from gsrecon.data.repair_pictures import PictureAgreement
from gsrecon.evaluation.plots import Line, line_plot
from gsrecon.files import write_text


def write_repair_report(
    path: Path | str, log: DrivingLog, report: RepairReport, pictures: Mapping[str, PictureAgreement]
) -> None:
    """Writes the report, whole or not at all.

    Args:
        path: The HTML file.
        log: The drive as it was recorded.
        report: From `repair_poses`.
        pictures: From `picture_agreement`; may be empty.
    """
    style = files("gsrecon.evaluation").joinpath("report.css").read_text(encoding="utf-8")
    sections = [_head(log, report), _tiles(report), _pictures(pictures), _curves(log, report)]
    write_text(
        path,
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(log.name)} - pose repair</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        + "\n".join(section for section in sections if section)
        + "\n</body>\n</html>\n",
    )


def _head(log: DrivingLog, report: RepairReport) -> str:
    heights = "all on one height" if report.flat else "with heights of their own"
    tilts = "no roll or pitch" if report.upright else "roll and pitch of their own"
    told = (
        f"{report.sweeps_with_ground} of {report.sweeps} lidar sweeps saw ground. The poses were recorded "
        f"{heights}, with {tilts}. Height and tilt of the drive as a whole stay as they were recorded: a "
        "lidar does not see them."
    )
    return f'<h1>Pose repair of {escape(log.name)}</h1>\n<p class="quiet">{escape(told)}</p>'


def _tiles(report: RepairReport) -> str:
    before, after = report.before, report.after
    largest = np.abs(report.corrections.values).max(axis=0)
    tiles = [
        ("Ground apart before (median)", f"{100 * before.median_m:.1f}", "cm"),
        ("Ground apart after", f"{100 * after.median_m:.1f}", "cm"),
        ("Before (90 %)", f"{100 * before.percentile_90_m:.1f}", "cm"),
        ("After (90 %)", f"{100 * after.percentile_90_m:.1f}", "cm"),
        ("Largest height correction", f"{largest[0]:.2f}", "m"),
        ("Largest roll correction", f"{np.rad2deg(largest[1]):.2f}", "deg"),
        ("Largest pitch correction", f"{np.rad2deg(largest[2]):.2f}", "deg"),
    ]
    cells = "\n".join(
        f'<div class="tile"><div class="name">{name}</div>'
        f'<div class="value">{value}<span class="unit">{unit}</span></div></div>'
        for name, value, unit in tiles
    )
    return f'<div class="tiles">\n{cells}\n</div>'


def _pictures(pictures: Mapping[str, PictureAgreement]) -> str:
    if not pictures:
        return ""
    rows = "\n".join(
        f"<tr><td>{escape(name)}</td><td>{found.before_px:.3f}</td><td>{found.after_px:.3f}</td>"
        f"<td>{found.corners:,}</td></tr>"
        for name, found in pictures.items()
    )
    head = "<tr><th>camera</th><th>before [px]</th><th>after [px]</th><th>corners</th></tr>"
    return (
        "<h2>Pictures</h2>\n"
        '<p class="quiet">Median distance of corners from their epipolar lines; the repair looked at no '
        "picture.</p>\n"
        f'<div class="card"><table><thead>{head}</thead><tbody>\n{rows}\n</tbody></table></div>'
    )


def _curves(log: DrivingLog, report: RepairReport) -> str:
    corrections = report.corrections
    times = [log.time_s(int(time)) for time in corrections.timestamps_us]
    plots = [
        line_plot(
            "Height", "time [s]", "correction [m]", [Line("z", times, corrections.values[:, 0].tolist())]
        ),
        line_plot(
            "Tilt",
            "time [s]",
            "correction [deg]",
            [
                Line("roll", times, np.rad2deg(corrections.values[:, 1]).tolist()),
                Line("pitch", times, np.rad2deg(corrections.values[:, 2]).tolist()),
            ],
        ),
    ]
    cards = "\n".join(f'<div class="card">{plot}</div>' for plot in plots)
    return f'<h2>Corrections</h2>\n<div class="plots">\n{cards}\n</div>'
