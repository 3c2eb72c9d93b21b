"""Which pictures belong to a lidar sweep, and the colours its points have in them."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float32, Float64

from gsrecon.data.log import CameraFrame, DrivingLog, LidarSweep
from gsrecon.data.projection import project
from gsrecon.train.split import Split
from gsrecon.train.views import View, Views


def frames_at(split: Split, sweep: LidarSweep, largest_gap_ms: float) -> list[CameraFrame]:
    """The fitted picture of each camera that is nearest in time to a sweep, the nearest first."""
    nearest: dict[str, tuple[int, CameraFrame]] = {}
    for frame in split.fitted:
        gap = abs(frame.timestamp_us - sweep.timestamp_us)
        if gap <= 1000 * largest_gap_ms and (frame.camera not in nearest or gap < nearest[frame.camera][0]):
            nearest[frame.camera] = (gap, frame)
    return [frame for _, frame in sorted(nearest.values(), key=lambda pair: pair[0])]


def sweeps_in_pictures(
    split: Split, views: Views, largest_gap_ms: float
) -> Iterator[tuple[LidarSweep, list[tuple[CameraFrame, View]]]]:
    """Each usable sweep with the pictures of `frames_at`; those of the next sweep are read ahead."""
    numbers = {(frame.camera, frame.index): number for number, frame in enumerate(split.fitted)}
    beside = [
        [(frame, numbers[frame.camera, frame.index]) for frame in frames_at(split, sweep, largest_gap_ms)]
        for sweep in split.log.sweeps
    ]
    for place, sweep in enumerate(split.log.sweeps):
        views.read_ahead(number for of_sweep in beside[place : place + 2] for _, number in of_sweep)
        yield sweep, [(frame, views[number]) for frame, number in beside[place]]


def colors_in(
    log: DrivingLog, frame: CameraFrame, view: View, in_world: Float64[np.ndarray, "N 3"]
) -> tuple[Bool[np.ndarray, " N"], Float32[np.ndarray, "N 3"]]:
    """Which points lie on a pixel that counts, and its colour."""
    camera = log.cameras[frame.camera]
    cam_from_world = np.linalg.inv(frame.world_from_cam)
    in_cam = in_world @ cam_from_world[:3, :3].T + cam_from_world[:3, 3]
    in_front = in_cam[:, 2] > 0.1
    pixels = np.full((len(in_cam), 2), -1.0)
    pixels[in_front] = project(in_cam[in_front], camera.K, camera.model, camera.distortion)
    visible = ((pixels >= 0) & (pixels < [camera.width, camera.height])).all(axis=1)
    column, row = pixels[visible].astype(np.int64).T
    color = np.zeros((len(in_cam), 3), dtype=np.float32)
    color[visible] = view.image.numpy()[row, column] / np.float32(255)
    if view.counts is not None:
        visible[visible] = view.counts.numpy()[row, column]
    return visible, color
