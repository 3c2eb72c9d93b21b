"""How well annotated and rendered poses agree, for the card of an export and the plots of its report."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from gsrecon.errors import CheckpointError
from gsrecon.labels.alignment import Alignment, pose_errors
from gsrecon.scene.camera_refinement import CameraRefinement, refined_pose
from gsrecon.scene.groups_scene import Scene
from gsrecon.scene.recording import Recording


def recording_of(scene: Scene) -> Recording:
    """What the scene was fitted to.

    Raises:
        CheckpointError: It does not remember that.
    """
    if scene.recording is None:
        raise CheckpointError("the scene does not remember its recording; train it again with this gsrecon")
    return scene.recording


def aligned_facts(
    alignment: Alignment, scene_from_cam: np.ndarray, tolerance_m: float, tolerance_deg: float
) -> dict[str, Any]:
    """Of a scene with poses of its own: the residual of each frame after the map, and both ways."""
    metres, degrees = alignment.residuals_m, alignment.residuals_deg
    mapped = (
        alignment.cam_in_scene(int(time), pose)
        for time, pose in zip(alignment.timestamps_us, alignment.source_from_cam, strict=True)
    )
    return {
        "poses": "the scene's own, found from pictures",
        "scale": alignment.similarity.scale,
        "frames beyond the tolerance": int(((metres > tolerance_m) | (degrees > tolerance_deg)).sum()),
        **_residuals(metres, degrees),
        **_ways(mapped, scene_from_cam),
    }


def refined_facts(recording: Recording, refinement: CameraRefinement | None) -> dict[str, Any]:
    """Of a scene with the data set's poses: how far training moved each of them."""
    camera = next(iter(recording.cameras))
    frames = [frame for frame in recording.frames if frame.camera == camera]
    recorded = np.stack([frame.world_from_cam for frame in frames])
    refined = [
        refined_pose(refinement, frame.world_from_cam, camera, recording.time_s(frame.timestamp_us))
        for frame in frames
    ]
    return {
        "poses": "the data set's, corrected by training",
        "camera": camera,
        **_residuals(*pose_errors(recorded, np.stack(refined))),
        **_ways(recorded, refined),
    }


def _residuals(metres: np.ndarray, degrees: np.ndarray) -> dict[str, Any]:
    return {
        "frames": len(metres),
        "median residual [m]": float(np.median(metres)),
        "largest residual [m]": float(metres.max()),
        "median residual [deg]": float(np.median(degrees)),
        "largest residual [deg]": float(degrees.max()),
        "residuals [m]": [round(float(value), 5) for value in metres],
        "residuals [deg]": [round(float(value), 5) for value in degrees],
    }


def _ways(of_data_set: Iterable[np.ndarray], of_scene: Iterable[np.ndarray]) -> dict[str, Any]:
    return {
        "way of the data set": _seen_from_above(of_data_set),
        "way of the scene": _seen_from_above(of_scene),
    }


def _seen_from_above(poses: Iterable[np.ndarray]) -> list[list[float]]:
    return [[round(float(pose[0, 3]), 3), round(float(pose[1, 3]), 3)] for pose in poses]
