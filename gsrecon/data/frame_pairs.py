"""Pairs of pictures in which corners of the one are looked for in the other."""

import numpy as np

from gsrecon.data.log import CameraFrame, DrivingLog

FramePair = tuple[CameraFrame, CameraFrame]

LIDAR_GAP_US = 60_000
"""A sweep belongs to a picture up to this difference of their times."""

_WORKING_WIDTH = 640  # larger pictures are shrunk to this before they are compared [px]
_BASELINE_M = 2.5  # distance between the frames of a pair; farther helps depth, nearer helps matching
_LEAST_BASELINE_M = 0.3
_LARGEST_ANGLE_DEG = 30.0


def working_scale(log: DrivingLog) -> float:
    """What pictures are resized by, so that the widest camera's are at most 640 wide."""
    return min(1.0, _WORKING_WIDTH / max(camera.width for camera in log.cameras.values()))


def pairs_over_time(log: DrivingLog, name: str, count: int, farthest: int) -> list[FramePair]:
    """Frames of a camera over the whole drive, each with the next one that is a baseline away.

    Args:
        log: The recording.
        name: The camera.
        count: At most so many pairs.
        farthest: Partners are at most so many frames away; where none of them is a baseline away it is the
            farthest one, and a frame after which the car hardly moves has none.
    """
    frames = [frame for frame in log.frames if frame.camera == name]
    places = np.array([frame.world_from_cam[:3, 3] for frame in frames]).reshape(-1, 3)
    pairs = []
    for i in np.unique(np.linspace(0, max(len(frames) - 2, 0), count).astype(int)):
        steps = np.linalg.norm(places[i + 1 : i + 1 + farthest] - places[i : i + 1], axis=1)
        if len(steps) == 0 or steps.max() < _LEAST_BASELINE_M:
            continue
        partner = int((steps >= min(_BASELINE_M, steps.max())).argmax())
        pairs.append((frames[i], frames[i + 1 + partner]))
    return pairs


def pairs_at_once(log: DrivingLog, one: str, other: str, count: int) -> list[FramePair]:
    """Frames of two cameras nearest in time, where both look at nearly the same place."""
    firsts = [frame for frame in log.frames if frame.camera == one]
    seconds = [frame for frame in log.frames if frame.camera == other]
    if not firsts or not seconds:
        return []
    times = np.array([frame.timestamp_us for frame in seconds])
    pairs = []
    for i in np.unique(np.linspace(0, len(firsts) - 1, count).astype(int)):
        second = seconds[int(np.abs(times - firsts[i].timestamp_us).argmin())]
        forward = firsts[i].world_from_cam[:3, 2] @ second.world_from_cam[:3, 2]
        if forward > np.cos(np.deg2rad(_LARGEST_ANGLE_DEG)):
            pairs.append((firsts[i], second))
    return pairs
