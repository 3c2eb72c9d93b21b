"""Whether repaired poses agree better with the pictures, which the repair did not look at."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from gsrecon.data.agreement import Matches, find_matches, residuals
from gsrecon.data.frame_pairs import LIDAR_GAP_US, pairs_over_time, working_scale
from gsrecon.data.log import CameraFrame, DrivingLog
from gsrecon.data.progress import Progress

_FARTHEST_FRAME = 19


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
    progress: Progress | None = None,
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
    scale = working_scale(recorded)
    recorded, repaired = recorded.at_scale(scale), repaired.at_scale(scale)
    moved = {(frame.camera, frame.index): frame for frame in repaired.frames}
    found = {}
    for done, name in enumerate(recorded.cameras):
        if progress is not None:
            progress("comparing pictures", done / len(recorded.cameras))
        before, after = [np.zeros(0)], [np.zeros(0)]
        for first, second in pairs_over_time(recorded, name, pairs, _FARTHEST_FRAME):
            matches = find_matches(recorded, first, second, LIDAR_GAP_US)
            before.append(residuals(recorded, matches).epipolar_px)
            after.append(residuals(repaired, _with_frames(matches, moved)).epipolar_px)
        one, other = np.concatenate(before), np.concatenate(after)
        if len(one) and len(other):
            found[name] = PictureAgreement(float(np.median(one)), float(np.median(other)), len(one))
    return found


def _with_frames(matches: Matches, moved: Mapping[tuple[str, int], CameraFrame]) -> Matches:
    first, second = matches.first, matches.second
    return replace(matches, first=moved[first.camera, first.index], second=moved[second.camera, second.index])
