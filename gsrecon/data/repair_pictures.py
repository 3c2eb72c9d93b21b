"""Whether repaired poses agree better with the pictures, which the repair did not look at."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from gsrecon.data.agreement import Matches, find_matches, residuals
from gsrecon.data.log import CameraFrame, DrivingLog

_LIDAR_GAP_US = 60_000
_WORKING_WIDTH = 640
_BASELINE_M = 2.5
_LEAST_BASELINE_M = 0.3


@dataclass(frozen=True)
class PictureAgreement:
    """Distances of corners from their epipolar lines between frames of one camera, medians [px]."""

    before_px: float
    after_px: float
    corners: int
    """Corners compared."""


def picture_agreement(
    recorded: DrivingLog,
    repaired: DrivingLog,
    pairs: int = 10,
    progress: Callable[[str, float], None] | None = None,
) -> Mapping[str, PictureAgreement]:
    """Epipolar errors of both logs on the same corners; cameras that hardly moved are left out.

    Pixels are those of pictures at most 640 wide, as in `gsrecon check`.

    Args:
        recorded: As it was read.
        repaired: The same frames with other poses.
        pairs: Pairs of pictures for each camera.
        progress: Told what is compared and the share done.

    Raises:
        DatasetError: A picture is missing or damaged; the message names it.
    """
    widest = max(camera.width for camera in recorded.cameras.values())
    scale = min(1.0, _WORKING_WIDTH / widest)
    recorded, repaired = recorded.at_scale(scale), repaired.at_scale(scale)
    moved = {(frame.camera, frame.index): frame for frame in repaired.frames}
    found = {}
    for done, name in enumerate(recorded.cameras):
        if progress is not None:
            progress("comparing pictures", done / len(recorded.cameras))
        before, after = [np.zeros(0)], [np.zeros(0)]
        for first, second in _pairs(recorded, name, pairs):
            matches = find_matches(recorded, first, second, _LIDAR_GAP_US)
            before.append(residuals(recorded, matches).epipolar_px)
            after.append(residuals(repaired, _with_frames(matches, moved)).epipolar_px)
        one, other = np.concatenate(before), np.concatenate(after)
        if len(one) and len(other):
            found[name] = PictureAgreement(float(np.median(one)), float(np.median(other)), len(one))
    return found


def _pairs(log: DrivingLog, name: str, count: int) -> list[tuple[CameraFrame, CameraFrame]]:
    """Frames of a camera over the whole drive, each with the next one that is a baseline away."""
    frames = [frame for frame in log.frames if frame.camera == name]
    places = np.array([frame.world_from_cam[:3, 3] for frame in frames]).reshape(-1, 3)
    found = []
    for i in np.unique(np.linspace(0, max(len(frames) - 2, 0), count).astype(int)):
        later = np.linalg.norm(places[i + 1 : i + 20] - places[i], axis=1) if len(frames) else np.zeros(0)
        if len(later) == 0 or later.max() < _LEAST_BASELINE_M:
            continue
        partner = int((later >= min(_BASELINE_M, later.max())).argmax())
        found.append((frames[i], frames[i + 1 + partner]))
    return found


def _with_frames(matches: Matches, moved: Mapping[tuple[str, int], CameraFrame]) -> Matches:
    first, second = matches.first, matches.second
    return replace(matches, first=moved[first.camera, first.index], second=moved[second.camera, second.index])
