"""From the data set's frame into the scene's: where annotated boxes and lanes are in the scene.

With a data set's own poses this is the composition of the corrections that training learned; with poses found
from pictures it is the alignment of both trajectories. Source: EGSRAL (Huang et al., AAAI 2025), "Adaptor".
"""

from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float64, Int64

from gsrecon.data.log import DrivingLog, Track
from gsrecon.data.trajectory import poses_at
from gsrecon.labels.alignment import Alignment
from gsrecon.scene.camera_refinement import CameraRefinement

_MOTIONS_KEPT = 4096


@runtime_checkable
class Adaptor(Protocol):
    """Maps what the data set says into the scene."""

    scale: float
    """Length in the scene of one metre of the data set."""

    def source_time_us(self, timestamp_us: int) -> int:
        """The data set's time of a moment of the scene."""
        ...

    def pose(
        self, source_time_us: int, source_from_thing: Float64[np.ndarray, "4 4"]
    ) -> Float64[np.ndarray, "4 4"] | None:
        """`scene_from_thing` of a thing near the car; None where the map is not good enough."""
        ...

    def usable(self, source_time_us: int) -> bool:
        """Whether the map is good enough at a time; pictures of other times have no labels."""
        ...

    def points(self, points_in_source: Float64[np.ndarray, "N 3"]) -> Float64[np.ndarray, "N 3"]:
        """Points without a time, such as lanes, in the scene."""
        ...

    def fingerprint(self) -> bytes:
        """Of everything the map depends on."""
        ...


class RefinedPoses:
    """The scene was fitted with the data set's poses: its world is the data set's.

    A box was annotated from the ego pose of its time. Where training has moved that pose, the box moves with
    it. Lanes have no time and stay.
    """

    scale = 1.0

    def __init__(self, log: DrivingLog, refinement: CameraRefinement | None) -> None:
        self._times: Int64[np.ndarray, " T"] = log.ego_timestamps_us
        self._world_from_ego = log.world_from_ego
        self._start_us = log.start_us
        self._refinement = refinement
        self._motions: dict[int, Float64[np.ndarray, "4 4"]] = {}

    def source_time_us(self, timestamp_us: int) -> int:
        """The same."""
        return timestamp_us

    def pose(
        self, source_time_us: int, source_from_thing: Float64[np.ndarray, "4 4"]
    ) -> Float64[np.ndarray, "4 4"]:
        """Moved by the correction of the ego pose at its time."""
        if self._refinement is None:
            return source_from_thing
        if source_time_us not in self._motions:
            if len(self._motions) >= _MOTIONS_KEPT:
                self._motions.clear()
            world_from_ego = poses_at(self._times, self._world_from_ego, np.array([source_time_us]))[0]
            time_s = (source_time_us - self._start_us) * 1e-6
            correction = self._refinement.ego_correction(time_s).detach().cpu().numpy()
            self._motions[source_time_us] = world_from_ego @ correction @ np.linalg.inv(world_from_ego)
        return self._motions[source_time_us] @ source_from_thing

    def usable(self, source_time_us: int) -> bool:
        """Always."""
        return True

    def points(self, points_in_source: Float64[np.ndarray, "N 3"]) -> Float64[np.ndarray, "N 3"]:
        """As they are."""
        return points_in_source

    def fingerprint(self) -> bytes:
        """Of the ego poses; the corrections are part of the scene."""
        return self._times.tobytes() + np.ascontiguousarray(self._world_from_ego).tobytes()


class AlignedPoses:
    """The scene has a world of its own; frames of both worlds are known to be the same."""

    def __init__(
        self,
        alignment: Alignment,
        scene_times_us: Int64[np.ndarray, " F"],
        tolerance_m: float = 0.3,
        tolerance_deg: float = 1.0,
    ) -> None:
        """From an alignment.

        Args:
            alignment: Its frames' times are the data set's.
            scene_times_us: Times of the same frames in the scene, strictly ascending.
            tolerance_m: Nothing is labelled where a frame's residual is larger [m].
            tolerance_deg: The same for its orientation [deg].
        """
        self.alignment = alignment
        self.scale = alignment.similarity.scale
        self._scene_times = scene_times_us
        self._tolerance_m, self._tolerance_deg = tolerance_m, tolerance_deg

    def source_time_us(self, timestamp_us: int) -> int:
        """Between the times of frames that are the same; beyond the ends both clocks go on."""
        scene, source = self._scene_times, self.alignment.timestamps_us
        after = int(np.clip(np.searchsorted(scene, timestamp_us, side="right"), 1, len(scene) - 1))
        rate = (source[after] - source[after - 1]) / (scene[after] - scene[after - 1])
        return int(source[after - 1]) + round(float(rate * (timestamp_us - scene[after - 1])))

    def pose(
        self, source_time_us: int, source_from_thing: Float64[np.ndarray, "4 4"]
    ) -> Float64[np.ndarray, "4 4"] | None:
        """Moved by the alignment at its time; None where residuals exceed the tolerance."""
        if not self.usable(source_time_us):
            return None
        return self.alignment.pose_in_scene(source_time_us, source_from_thing)

    def usable(self, source_time_us: int) -> bool:
        """Where residuals keep within the tolerance, from a frame before the first to one after the last."""
        times = self.alignment.timestamps_us
        step = np.median(np.diff(times))
        if not times[0] - step <= source_time_us <= times[-1] + step:
            return False
        metres, degrees = self.alignment.residual_at(source_time_us)
        return metres <= self._tolerance_m and degrees <= self._tolerance_deg

    def fingerprint(self) -> bytes:
        """Of the alignment, the times and the tolerances."""
        tolerances = np.array([self._tolerance_m, self._tolerance_deg, self.scale])
        arrays = (tolerances, self.alignment.twists, self.alignment.source_from_cam, self._scene_times)
        return b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)

    def points(self, points_in_source: Float64[np.ndarray, "N 3"]) -> Float64[np.ndarray, "N 3"]:
        """Each point moved as the frame nearest to it is."""
        frames = self.alignment.source_from_cam[:, :3, 3]
        nearest = np.array([int(np.argmin(np.linalg.norm(frames - p, axis=1))) for p in points_in_source])
        moved = np.empty_like(points_in_source)
        for row in np.unique(nearest):
            of_row = nearest == row
            time = int(self.alignment.timestamps_us[row])
            motion = self.alignment.pose_in_scene(time, np.eye(4))
            # A pose that is the world itself: its axes turn, and lengths along them scale.
            moved[of_row] = self.scale * points_in_source[of_row] @ motion[:3, :3].T + motion[:3, 3]
        return moved


def box_in_scene(adaptor: Adaptor, track: Track, timestamp_us: int) -> Float64[np.ndarray, "4 4"] | None:
    """`world_from_actor` in the scene at a moment of the scene; None where the object is not there.

    A parked object stays beyond its annotations, because the scene shows it then too.
    """
    when = adaptor.source_time_us(timestamp_us)
    pose = track.world_from_actor_at(when)
    if pose is None:
        if track.moves or len(track.timestamps_us) < 2:
            return None  # what was seen once may have moved
        when = int(np.clip(when, track.timestamps_us[0], track.timestamps_us[-1]))
        pose = track.world_from_actor_at(when)
        assert pose is not None
    return adaptor.pose(when, pose)
