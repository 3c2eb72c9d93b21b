"""From the data set's frame into the scene's: where annotated boxes and recorded poses are in the scene.

Design: EGSRAL (Huang et al., AAAI 2025), section "Adaptor"; with a data set's own poses it is the
composition of the corrections that training learned.
"""

from typing import Protocol

import numpy as np
from jaxtyping import Float64, Int64

from gsrecon.data.log import DrivingLog, Track
from gsrecon.data.trajectory import poses_at
from gsrecon.scene.camera_refinement import CameraRefinement


class Adaptor(Protocol):
    """Maps what the data set says into the scene."""

    def motion(self, timestamp_us: int) -> Float64[np.ndarray, "4 4"]:
        """`scene_from_source` for things that are near the car at a time; rigid."""
        ...

    def points(self, points_in_source: Float64[np.ndarray, "N 3"]) -> Float64[np.ndarray, "N 3"]:
        """Points without a time, such as lanes, in the scene [m]."""
        ...


class RefinedPoses:
    """The scene was fitted with the data set's poses: its world is the data set's.

    A box was annotated from the ego pose of its time. Where training has moved that pose, the box moves with
    it. Lanes have no time and stay.
    """

    def __init__(self, log: DrivingLog, refinement: CameraRefinement | None) -> None:
        self._times: Int64[np.ndarray, " T"] = log.ego_timestamps_us
        self._world_from_ego = log.world_from_ego
        self._start_us = log.start_us
        self._refinement = refinement

    def motion(self, timestamp_us: int) -> Float64[np.ndarray, "4 4"]:
        """The correction of the ego pose at a time, in world."""
        if self._refinement is None:
            return np.eye(4)
        world_from_ego = poses_at(self._times, self._world_from_ego, np.array([timestamp_us]))[0]
        correction = self._refinement.ego_correction((timestamp_us - self._start_us) * 1e-6).detach().numpy()
        return world_from_ego @ correction @ np.linalg.inv(world_from_ego)

    def points(self, points_in_source: Float64[np.ndarray, "N 3"]) -> Float64[np.ndarray, "N 3"]:
        """As they are."""
        return points_in_source


def box_in_scene(adaptor: Adaptor, track: Track, timestamp_us: int) -> Float64[np.ndarray, "4 4"] | None:
    """`world_from_actor` in the scene; None where the object is not there.

    A parked object stays beyond its annotations, because the scene shows it then too.
    """
    pose = track.world_from_actor_at(timestamp_us)
    when = timestamp_us
    if pose is None:
        if track.moves:
            return None
        when = int(np.clip(timestamp_us, track.timestamps_us[0], track.timestamps_us[-1]))
        pose = track.world_from_actor_at(when)
        assert pose is not None
    return adaptor.motion(when) @ pose
