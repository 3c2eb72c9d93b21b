"""Which frames of a scene are which frames of an annotated recording of the same drive."""

from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int64

from gsrecon.data.log import CameraFrame, DrivingLog
from gsrecon.errors import DatasetError
from gsrecon.labels.alignment import Alignment
from gsrecon.scene.camera_refinement import CameraRefinement, refined_pose

_FEWEST = 4


def pair_frames(scene: DrivingLog, annotated: DrivingLog) -> list[tuple[CameraFrame, CameraFrame]]:
    """Frames of both logs that are one picture, by time; those of one camera.

    Pictures with one file name belong together, and where several cameras have that name, those whose folders
    are named alike. Where names say nothing, the camera of the same name does, else the only one with equally
    many pictures, in its order.

    Raises:
        DatasetError: Fewer than four pairs are found, or several cameras fit alike.
    """
    named: dict[str, list[CameraFrame]] = {}
    for frame in annotated.frames:
        if _name(frame):
            named.setdefault(_name(frame), []).append(frame)
    camera = next(iter(scene.cameras))
    own = [frame for frame in scene.frames if frame.camera == camera]
    pairs = [
        (frame, _likest(frame, named[_name(frame)], annotated)) for frame in own if _name(frame) in named
    ]
    if len(pairs) < _FEWEST:
        pairs = _in_order(own, annotated)
    if len(pairs) < _FEWEST:
        raise DatasetError(
            f"{annotated.name}: only {len(pairs)} of its pictures are among those of {scene.name}, by file "
            "name or by number; name the recording whose pictures the scene was fitted to"
        )
    return sorted(pairs, key=lambda pair: pair[0].timestamp_us)


def _likest(frame: CameraFrame, candidates: list[CameraFrame], annotated: DrivingLog) -> CameraFrame:
    """The candidate whose folders share most names with the frame's."""
    if len(candidates) == 1:
        return candidates[0]
    assert isinstance(frame.image, Path)
    folders = set(frame.image.parts[:-1])
    shared = [len(folders & set(Path(str(other.image)).parts[:-1])) for other in candidates]
    if shared.count(max(shared)) > 1:
        cameras = sorted({other.camera for other in candidates})
        raise DatasetError(
            f"{annotated.name}: {frame.image.name} is a picture of {', '.join(cameras)}; name a scene spec "
            "(TOML) with `cameras` set to the one that the scene was fitted to"
        )
    return candidates[shared.index(max(shared))]


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
    keep = [0]
    for row in range(1, len(pairs)):
        if scene_times[row] > scene_times[keep[-1]] and source_times[row] > source_times[keep[-1]]:
            keep.append(row)
    annotated_poses = np.stack([frame.world_from_cam for _, frame in pairs])[keep]
    refined = [
        refined_pose(refinement, frame.world_from_cam, frame.camera, scene.time_s(frame.timestamp_us))
        for frame, _ in pairs
    ]
    scene_poses = np.stack(refined)[keep]
    try:
        alignment = Alignment.fit(source_times[keep], annotated_poses, scene_poses)
    except ValueError as error:
        raise DatasetError(f"{annotated.name}: cannot be laid onto {scene.name}: {error}") from error
    return alignment, scene_times[keep], scene_poses


def _name(frame: CameraFrame) -> str:
    return "" if isinstance(frame.image, np.ndarray) else frame.image.name


def _in_order(own: list[CameraFrame], annotated: DrivingLog) -> list[tuple[CameraFrame, CameraFrame]]:
    fitting = [
        theirs
        for camera in annotated.cameras
        for theirs in ([frame for frame in annotated.frames if frame.camera == camera],)
        if len(theirs) == len(own)
    ]
    alike = [theirs for theirs in fitting if theirs[0].camera == own[0].camera]
    fitting = alike or fitting
    return list(zip(own, fitting[0], strict=True)) if len(fitting) == 1 else []
