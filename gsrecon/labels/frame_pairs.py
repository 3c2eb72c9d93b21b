"""Which frames of a scene are which frames of an annotated recording of the same drive."""

import numpy as np
import torch
from jaxtyping import Float64, Int64

from gsrecon.data.log import CameraFrame, DrivingLog
from gsrecon.errors import DatasetError
from gsrecon.labels.alignment import Alignment
from gsrecon.scene.camera_refinement import CameraRefinement

_FEWEST = 4


def pair_frames(scene: DrivingLog, annotated: DrivingLog) -> list[tuple[CameraFrame, CameraFrame]]:
    """Frames of both logs that are one picture, by time.

    Pictures with one file name belong together. Where names say nothing, the cameras with equally many
    pictures do, in their order.

    Raises:
        DatasetError: Fewer than four pairs are found.
    """
    names = {_name(frame): frame for frame in annotated.frames if _name(frame)}
    pairs = [(frame, names[_name(frame)]) for frame in scene.frames if _name(frame) in names]
    if len(pairs) < _FEWEST:
        pairs = _in_order(scene, annotated)
    if len(pairs) < _FEWEST:
        raise DatasetError(
            f"{annotated.name}: only {len(pairs)} of its pictures are among those of {scene.name}, by file "
            "name or by number; name the recording whose pictures the scene was fitted to"
        )
    camera = pairs[0][0].camera
    leading = [pair for pair in pairs if pair[0].camera == camera]
    return sorted(leading, key=lambda pair: pair[0].timestamp_us)


def align(
    scene: DrivingLog, annotated: DrivingLog, refinement: CameraRefinement | None = None
) -> tuple[Alignment, Int64[np.ndarray, " F"], Float64[np.ndarray, "F 4 4"]]:
    """The map from an annotated recording into a scene, and times and poses in the scene of its frames.

    Args:
        scene: What the scene was fitted to.
        annotated: The recording with the labels.
        refinement: The scene's corrections of its poses.

    Raises:
        DatasetError: Too few frames belong together, or the camera never moves.
    """
    pairs = pair_frames(scene, annotated)
    scene_times = np.array([frame.timestamp_us for frame, _ in pairs], dtype=np.int64)
    source_times = np.array([frame.timestamp_us for _, frame in pairs], dtype=np.int64)
    keep = np.concatenate([[True], (np.diff(scene_times) > 0) & (np.diff(source_times) > 0)])
    annotated_poses = np.stack([frame.world_from_cam for _, frame in pairs])[keep]
    scene_poses = np.stack([_refined(scene, frame, refinement) for frame, _ in pairs])[keep]
    try:
        alignment = Alignment.fit(source_times[keep], annotated_poses, scene_poses)
    except ValueError as error:
        raise DatasetError(f"{annotated.name}: cannot be laid onto {scene.name}: {error}") from error
    return alignment, scene_times[keep], scene_poses


def _refined(
    log: DrivingLog, frame: CameraFrame, refinement: CameraRefinement | None
) -> Float64[np.ndarray, "4 4"]:
    if refinement is None:
        return frame.world_from_cam
    pose = torch.from_numpy(frame.world_from_cam)
    return refinement.refine(pose, frame.camera, log.time_s(frame.timestamp_us)).detach().numpy()


def _name(frame: CameraFrame) -> str:
    return "" if isinstance(frame.image, np.ndarray) else frame.image.name


def _in_order(scene: DrivingLog, annotated: DrivingLog) -> list[tuple[CameraFrame, CameraFrame]]:
    for camera in scene.cameras:
        own = [frame for frame in scene.frames if frame.camera == camera]
        for other in annotated.cameras:
            theirs = [frame for frame in annotated.frames if frame.camera == other]
            if len(own) == len(theirs):
                return list(zip(own, theirs, strict=True))
    return []
