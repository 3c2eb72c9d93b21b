"""The preflight: what is wrong with a recording, told before hours are spent on it."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from gsrecon.data.check_calibration import calibration_findings
from gsrecon.data.check_motion import motion_findings
from gsrecon.data.check_tracks import track_findings
from gsrecon.data.findings import Finding
from gsrecon.data.log import DrivingLog
from gsrecon.data.progress import Progress
from gsrecon.errors import DatasetError

_SHOWN_PER_KIND = 10


@dataclass(frozen=True)
class CheckSettings:
    """How much is looked at."""

    pairs: int = 10
    """Pairs of pictures compared for each camera and each pair of cameras."""
    pictures: Literal["all", "some"] = "all"
    """Decode every picture and sweep, or every tenth."""


def check(
    log: DrivingLog, settings: CheckSettings = CheckSettings(), progress: Progress | None = None
) -> list[Finding]:
    """Looks for what would spoil a reconstruction.

    Missing, truncated and wrongly sized pictures, masks and sweeps, NaN in lidar, gaps in time, poses and
    boxes that are no rigid motions or jump, frames that see nothing in common, and calibration that
    disagrees with the pictures: epipolar errors between neighbouring frames and between cameras, errors of
    the lidar's depth, and whether a turned camera or another focal length would explain the pictures clearly
    better.

    Without lidar the focal length is judged by epipolar lines only, which a straight drive hardly constrains;
    a roll that all cameras share is not seen either.

    Returns:
        Findings, the gravest first; `note`s carry what was measured.
    """
    report = progress or (lambda what, share: None)
    findings = motion_findings(log)
    broken_pictures = _picture_findings(log, settings, report)
    broken_sweeps = _sweep_findings(log, settings, report)
    findings += broken_pictures + broken_sweeps
    rigid = not any(finding.severity == "error" for finding in findings if finding not in broken_pictures)
    if rigid:
        # A broken picture or sweep is left out of the comparison; broken poses leave nothing to compare.
        findings += calibration_findings(log, settings.pairs, report)
    findings += track_findings(log)
    order = ("error", "warning", "note")
    return sorted(findings, key=lambda finding: order.index(finding.severity))


def _picture_findings(log: DrivingLog, settings: CheckSettings, report: Progress) -> list[Finding]:
    step = 1 if settings.pictures == "all" else 10
    frames = log.frames[::step]
    messages = []
    for done, frame in enumerate(frames):
        report("pictures", done / len(frames))
        try:
            log.image(frame)
            for name in frame.masks:
                log.mask(frame, name)
        except DatasetError as error:
            messages.append((f"{frame.camera} frame {frame.index}", str(error)))
    report("pictures", 1.0)
    return _listed(messages, "pictures")


def _sweep_findings(log: DrivingLog, settings: CheckSettings, report: Progress) -> list[Finding]:
    step = 1 if settings.pictures == "all" else 10
    messages, empty = [], 0
    sweeps = log.sweeps[::step]
    for done, sweep in enumerate(sweeps):
        report("lidar", done / len(sweeps))
        try:
            empty += len(log.points(sweep)) == 0
        except DatasetError as error:
            messages.append((f"lidar at {log.time_s(sweep.timestamp_us):.2f} s", str(error)))
    findings = _listed(messages, "sweeps")
    if empty:
        findings.append(
            Finding(
                "warning",
                "lidar",
                f"sweeps that hold no points: {empty}",
                "copy them again or leave them out",
            )
        )
    if sweeps and not messages:
        findings += _lidar_overlap(log)
    return findings


def _lidar_overlap(log: DrivingLog) -> list[Finding]:
    """A lidar none of whose points falls into a camera that drives beside it."""
    findings = []
    for camera in log.cameras:
        frames = [frame for frame in log.frames if frame.camera == camera][::10]
        near = [frame for frame in frames if log.nearest_sweep(frame.timestamp_us, 60_000) is not None]
        counts = []
        for frame in near:
            try:
                counts.append(len(log.depth_points(frame, 60_000)[1]))
            except DatasetError:
                continue
        if counts and np.median(counts) < 20:
            findings.append(
                Finding(
                    "warning",
                    camera,
                    f"the picture holds {np.median(counts):.0f} lidar points in the median",
                    "check ego_from_cam, world_from_lidar and their timestamps",
                )
            )
    return findings


def _listed(messages: list[tuple[str, str]], kind: str) -> list[Finding]:
    """The first of many; the error's own sentence says what to do after its last semicolon."""
    findings = []
    for where, message in messages[:_SHOWN_PER_KIND]:
        said, _, remedy = message.rpartition("; ")
        findings.append(Finding("error", where, said or message, remedy if said else "see the message"))
    if len(messages) > _SHOWN_PER_KIND:
        more = len(messages) - _SHOWN_PER_KIND
        findings.append(Finding("error", kind, f"{more} more {kind} have the same kind of fault", "as above"))
    return findings
