"""From which directions each object was recorded, in its own frame."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float64

from gsrecon.labels.adaptor import Adaptor, box_in_scene
from gsrecon.labels.project import area, project_box
from gsrecon.labels.subjects import Subject
from gsrecon.scene.camera_refinement import CameraRefinement, refined_pose
from gsrecon.scene.recording import RecordedFrame, Recording

_FARTHEST_M, _BEHIND_M = 250.0, 3.0
_ENOUGH = 0.1
"""Share of its box that a picture must hold to show an object's side."""


class RecordedSides:
    """Where the fitted cameras stood that had an object in their picture, in the object's frame."""

    def __init__(
        self,
        recording: Recording,
        subjects: Sequence[Subject],
        adaptor: Adaptor,
        refinement: CameraRefinement | None = None,
    ) -> None:
        frames = fitted(recording, refinement)
        self._from = {subject.id: _places(recording, frames, subject, adaptor) for subject in subjects}

    def nearest(
        self,
        id: str,
        world_from_actor: Float64[np.ndarray, "4 4"],
        world_from_cam: Float64[np.ndarray, "4 4"],
    ) -> tuple[float, float]:
        """How far a camera looks from the nearest recorded side.

        Returns:
            The angle to the nearest recorded direction [deg] and the camera's distance over the smallest
            recorded one; 180 and 0 for an object that was never recorded.
        """
        places = self._from[id]
        if len(places) == 0:
            return 180.0, 0.0
        offset = world_from_actor[:3, :3].T @ (world_from_cam[:3, 3] - world_from_actor[:3, 3])
        lengths, distance = np.linalg.norm(places, axis=1), float(np.linalg.norm(offset))
        cosine = float((places @ offset / np.maximum(lengths * distance, 1e-9)).max())
        return float(np.degrees(np.arccos(np.clip(cosine, -1, 1)))), distance / max(
            float(lengths.min()), 1e-9
        )


def fitted(recording: Recording, refinement: CameraRefinement | None = None) -> list[RecordedFrame]:
    """The pictures the scene was fitted to, at their refined poses; all if it remembers none of those."""
    frames = [frame for frame in recording.frames if not frame.held_out] or list(recording.frames)
    if refinement is None:
        return frames
    return [
        replace(frame, world_from_cam=refined_pose(refinement, frame.world_from_cam, frame.camera, time_s))
        for frame in frames
        for time_s in (recording.time_s(frame.timestamp_us),)
    ]


def _places(
    recording: Recording, frames: Sequence[RecordedFrame], subject: Subject, adaptor: Adaptor
) -> Float64[np.ndarray, "F 3"]:
    found = []
    for frame in frames:
        pose = box_in_scene(adaptor, subject.track, frame.timestamp_us)
        if pose is None:
            continue
        offset = frame.world_from_cam[:3, 3] - pose[:3, 3]
        in_cam = -offset @ frame.world_from_cam[:3, :3]
        if not -_BEHIND_M < in_cam[2] < _FARTHEST_M:
            continue
        box = project_box(recording.cameras[frame.camera], frame.world_from_cam, subject.size_lwh, pose)
        if box is not None and area(box.inside) >= _ENOUGH * area(box.whole):
            found.append(offset @ pose[:3, :3])
    return np.array(found, dtype=np.float64).reshape(-1, 3)
