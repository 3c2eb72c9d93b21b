"""Calibration and poses against the pictures, on sampled pairs."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import combinations

import numpy as np
import torch

from gsrecon.data.agreement import Correction, Matches, find_matches, residuals
from gsrecon.data.findings import Finding
from gsrecon.data.frame_pairs import (
    LIDAR_GAP_US,
    FramePair,
    pairs_at_once,
    pairs_over_time,
    working_scale,
)
from gsrecon.data.log import DrivingLog
from gsrecon.data.progress import Progress
from gsrecon.errors import DatasetError

_FARTHEST_FRAME = 6
_FEWEST_MATCHES = 60
_FEWEST_PAIRS = 4  # a step or two along one line fit many cameras: no correction is named from fewer
_EPIPOLAR_LIMIT_PX = 0.6
_LIDAR_LIMIT_PX = 2.0
# The scale at which errors stop counting fully, near the medians of a good recording.
_EPIPOLAR_SCALE_PX = 0.3
_LIDAR_SCALE_PX = 0.7
# A correction must lower the cost to this share: 0.87 and 0.65 are reached by 1 degree and 10 % focal length
# on KITTI, while every correction of the true calibration raises it.
_EPIPOLAR_GAIN = 0.94
_LIDAR_GAIN = 0.9
_AS_IT_IS = Correction()
_STEPS = (0.7, -0.7)  # [deg], and [10 %] of focal length
_REFINED_STEPS = (0.4, 0.7, 1.0, 1.4, 2.0, 3.0)


def calibration_findings(log: DrivingLog, pairs: int, report: Progress) -> list[Finding]:
    """Findings about each camera by itself over time, and about cameras that see the same place.

    Args:
        log: The recording.
        pairs: Pairs of pictures for each camera and each pair of cameras.
        report: Told what is being compared and the share done.
    """
    with _one_thread():
        return _compare(log, pairs, report)


def _compare(log: DrivingLog, pairs: int, report: Progress) -> list[Finding]:
    small = log.at_scale(working_scale(log))
    findings = []
    couples = list(combinations(log.cameras, 2))
    jobs = len(log.cameras) + len(couples)
    for done, name in enumerate(log.cameras):
        report("calibration", done / jobs)
        findings += _one_camera(small, name, _pairs_over_time(small, name, pairs))
    for done, (one, other) in enumerate(couples):
        report("calibration", (len(log.cameras) + done) / jobs)
        findings += _two_cameras(small, one, other, pairs_at_once(small, one, other, max(3, pairs // 2)))
    report("calibration", 1.0)
    return findings


@contextmanager
def _one_thread() -> Iterator[None]:
    """Patches are small: threads gain nothing here, and on a busy machine waiting for them costs tenfold."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _one_camera(log: DrivingLog, name: str, pairs: list[FramePair]) -> list[Finding]:
    if not pairs:
        remedy = "check the poses if the car did move"
        return [Finding("note", name, "the camera hardly moves: its calibration was not judged", remedy)]
    matches = _matches(log, pairs)
    epipolar, lidar = _errors(log, matches)
    if len(epipolar) < _FEWEST_MATCHES:
        return [
            Finding(
                "warning",
                name,
                f"only {len(epipolar)} corners were found again over {len(pairs)} pairs of frames",
                "look whether the pictures are sharp, lit and in the order of their timestamps",
            )
        ]
    findings = [_measured(name, epipolar, lidar)]
    corrections = _better_calibrations(log, matches) if len(pairs) >= _FEWEST_PAIRS else []
    for words in corrections:
        findings.append(
            Finding(
                "warning",
                name,
                f"calibration disagrees with the pictures: they fit clearly better with {words}",
                "correct K or ego_from_cam (world_from_cam), or let training refine the camera",
            )
        )
    if not corrections and (_median(epipolar) > _EPIPOLAR_LIMIT_PX or _median(lidar) > _LIDAR_LIMIT_PX):
        findings.append(
            Finding(
                "warning",
                name,
                f"poses or calibration disagree with the pictures: {_numbers(epipolar, lidar)}",
                "check timestamps, poses, K and distortion; pose refinement may help",
            )
        )
    return findings


def _two_cameras(log: DrivingLog, one: str, other: str, pairs: list[FramePair]) -> list[Finding]:
    if not pairs:
        return []
    epipolar, lidar = _errors(log, _matches(log, pairs))
    where = f"{one} and {other}"
    if len(epipolar) < _FEWEST_MATCHES:
        return []
    if _median(epipolar) <= _EPIPOLAR_LIMIT_PX and _median(lidar) <= _LIDAR_LIMIT_PX:
        return [_measured(where, epipolar, lidar)]
    return [
        Finding(
            "warning",
            where,
            f"calibration disagrees with the pictures: {_numbers(epipolar, lidar)} between the two cameras",
            f"check K and ego_from_cam of {one} and {other}, and that their timestamps are of one clock",
        )
    ]


def _better_calibrations(log: DrivingLog, matches: Sequence[Matches]) -> list[str]:
    """Words for the one correction that lowers the cost most, if it does so clearly."""
    plain = _costs(log, matches, _AS_IT_IS)
    best, words = 1.0, ""
    for label, make in (
        ("about its x axis (pitch)", lambda s: Correction(turn_deg=(s, 0.0, 0.0))),
        ("about its y axis (yaw)", lambda s: Correction(turn_deg=(0.0, s, 0.0))),
        ("focal length", lambda s: Correction(focal=1.0 + 0.1 * s)),
    ):
        gains = {step: _gain(plain, _costs(log, matches, make(step))) for step in _STEPS}
        step, gain = min(gains.items(), key=lambda item: item[1])
        if gain >= best:
            continue
        sign = np.sign(step)
        refined = {s: _gain(plain, _costs(log, matches, make(sign * s))) for s in _REFINED_STEPS}
        size, best = min(refined.items(), key=lambda item: item[1])
        if label == "focal length":
            words = f"a focal length {100 * abs(0.1 * size):.0f} % {'longer' if sign > 0 else 'shorter'}"
        else:
            words = f"the camera turned by about {sign * size:+.1f} deg {label}"
    return [words] if words else []


def _gain(plain: tuple[float, float], corrected: tuple[float, float]) -> float:
    """Share of the cost that remains, relative to what counts as clear: below 1 is clearly better.

    One measure must gain clearly and the other must not lose.
    """
    epipolar = corrected[0] / max(plain[0], 1e-9)
    lidar = corrected[1] / max(plain[1], 1e-9) if np.isfinite(plain[1]) else 1.0
    if epipolar > 1.05 or lidar > 1.05:
        return np.inf
    return min(epipolar / _EPIPOLAR_GAIN, lidar / _LIDAR_GAIN)


def _costs(log: DrivingLog, matches: Sequence[Matches], correction: Correction) -> tuple[float, float]:
    """Robust means (Cauchy) of epipolar and lidar errors; NaN where there is no lidar to speak of."""
    epipolar, lidar = _errors(log, matches, correction)
    lidar_cost = np.log1p((lidar / _LIDAR_SCALE_PX) ** 2).mean() if len(lidar) >= _FEWEST_MATCHES else np.nan
    epipolar_cost = np.log1p((epipolar / _EPIPOLAR_SCALE_PX) ** 2).mean() if len(epipolar) else np.inf
    return float(epipolar_cost), float(lidar_cost)


def _errors(
    log: DrivingLog, matches: Sequence[Matches], correction: Correction = _AS_IT_IS
) -> tuple[np.ndarray, np.ndarray]:
    found = [residuals(log, match, correction) for match in matches]
    epipolar = np.concatenate([np.zeros(0), *(entry.epipolar_px for entry in found)])
    return epipolar, np.concatenate([np.zeros(0), *(entry.lidar_px for entry in found)])


def _matches(log: DrivingLog, pairs: list[FramePair]) -> list[Matches]:
    found = []
    for first, second in pairs:
        try:
            found.append(find_matches(log, first, second, LIDAR_GAP_US))
        except DatasetError:
            continue  # a broken file is a finding of its own
    return found


def _pairs_over_time(log: DrivingLog, name: str, count: int) -> list[FramePair]:
    """Pairs of one camera, forwards and backwards in turn."""
    pairs = pairs_over_time(log, name, count, _FARTHEST_FRAME)
    return [pair if number % 2 == 0 else (pair[1], pair[0]) for number, pair in enumerate(pairs)]


def _measured(where: str, epipolar: np.ndarray, lidar: np.ndarray) -> Finding:
    return Finding("note", where, f"calibration and pictures: {_numbers(epipolar, lidar)}", "")


def _numbers(epipolar: np.ndarray, lidar: np.ndarray) -> str:
    words = f"median epipolar error {_median(epipolar):.2f} px over {len(epipolar)} corners"
    if len(lidar):
        words += f", {_median(lidar):.2f} px from where the lidar puts them ({len(lidar)} corners)"
    return words


def _median(errors: np.ndarray) -> float:
    return float(np.median(errors)) if len(errors) else 0.0
