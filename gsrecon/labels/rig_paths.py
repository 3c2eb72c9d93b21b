"""Where the rig goes when a drive is rendered again: every camera's pose at every moment of every take."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float64, Int64

from gsrecon.data.trajectory import poses_at
from gsrecon.errors import SpecError
from gsrecon.geometry.paths import CameraPath
from gsrecon.scene.camera_refinement import CameraRefinement, refined_pose
from gsrecon.scene.recording import Recording


@dataclass(frozen=True)
class PlannedView:
    """One picture that is to be rendered."""

    take: int
    """A pass over the drive, from 0; times ascend within each."""
    moment: int
    """Number of the moment within its take, from 0: the cameras of one moment see the scene together."""
    camera: str
    timestamp_us: int
    world_from_cam: Float64[np.ndarray, "4 4"]
    """In the scene's frame."""


@dataclass(frozen=True)
class RigSampling:
    """How far the rig may leave the recorded way; each moment of each take draws its own."""

    takes: int = 1
    """Passes over the drive."""
    lateral_m: float = 1.0
    """To the left or right, at most [m]."""
    yaw_deg: float = 5.0
    """Turned to the left or right, at most [deg]."""
    height_m: float = 0.2
    """Up or down, at most [m]."""
    between_frames: bool = True
    """At times between the recorded ones."""
    seed: int = 0
    """Of everything drawn."""

    def __post_init__(self) -> None:
        if self.takes < 1:
            raise ValueError(f"takes: expected at least 1, got {self.takes}")
        for name in ("lateral_m", "yaw_deg", "height_m"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name}: expected at least 0, got {getattr(self, name)}")


class Rig:
    """The recorded way of all cameras, as the scene refined it."""

    def __init__(
        self, recording: Recording, refinement: CameraRefinement | None, cameras: Sequence[str] | None = None
    ) -> None:
        """Takes the poses.

        Args:
            recording: What the scene was fitted to.
            refinement: Its corrections.
            cameras: Some of the cameras; None: all.

        Raises:
            SpecError: There is no such camera.
        """
        for name in cameras or []:
            if name not in recording.cameras:
                raise SpecError(f"camera '{name}' is not in the scene; it has {', '.join(recording.cameras)}")
        self.cameras = [name for name in recording.cameras if cameras is None or name in cameras]
        self.recording = recording
        self._times: dict[str, Int64[np.ndarray, " T"]] = {}
        self._poses: dict[str, Float64[np.ndarray, "T 4 4"]] = {}
        for name in self.cameras:
            times, poses = [], []
            for frame in recording.frames:
                if frame.camera != name or (times and frame.timestamp_us <= times[-1]):
                    continue
                time_s = recording.time_s(frame.timestamp_us)
                times.append(frame.timestamp_us)
                poses.append(refined_pose(refinement, frame.world_from_cam, name, time_s))
            if not times:
                continue
            self._times[name], self._poses[name] = np.array(times, dtype=np.int64), np.stack(poses)
        self.cameras = [name for name in self.cameras if name in self._times]
        if not self.cameras:
            raise SpecError("the scene has no recorded pictures of these cameras; name others")

    def recorded(self, left_m: float = 0.0) -> list[PlannedView]:
        """The way as it was driven, the whole rig moved to the left [m]."""
        offset = _offset(left_m, 0.0, 0.0)
        return [
            PlannedView(0, moment, name, int(time), self._moved(name, self._poses[name][row], offset))
            for moment, rows in enumerate(self._moments())
            for name, row in rows.items()
            for time in (self._times[name][row],)
        ]

    def sampled(self, sampling: RigSampling) -> list[PlannedView]:
        """Every take passes all moments, each with an offset and a time of its own."""
        views = []
        moments = self._moments()
        starts = [min(int(self._times[name][row]) for name, row in rows.items()) for rows in moments]
        gaps = [*(after - before for before, after in pairwise(starts)), 0]
        for take in range(sampling.takes):
            for moment, rows in enumerate(moments):
                rng = np.random.default_rng([sampling.seed, take, moment])
                lateral, yaw, height = rng.uniform(-1, 1, 3) * [
                    sampling.lateral_m,
                    np.radians(sampling.yaw_deg),
                    sampling.height_m,
                ]
                share = rng.uniform() if sampling.between_frames else 0.0
                # One offset for all cameras: whole microseconds, less than to the next moment.
                later = int(share * gaps[moment])
                for name, row in rows.items():
                    times = self._times[name]
                    time = int(times[row]) + later
                    pose = poses_at(times, self._poses[name], np.array([time]))[0]
                    moved = self._moved(name, pose, _offset(lateral, height, yaw))
                    views.append(PlannedView(take, moment, name, time, moved))
        return views

    def along(self, path: CameraPath, camera: str | None = None) -> list[PlannedView]:
        """A path of one camera, the others riding along as they are mounted.

        Args:
            path: Of the camera, its times those of the drive.
            camera: Whose path it is; None: the first.

        Raises:
            SpecError: Times do not ascend: labels need moments that follow each other.
        """
        leader = self.cameras[0] if camera is None else camera
        if leader not in self.recording.cameras:
            raise SpecError(
                f"camera '{leader}' is not in the scene; it has {', '.join(self.recording.cameras)}"
            )
        mountings = {name: self.recording.cameras[name].ego_from_cam for name in self.cameras}
        times = [self.recording.start_us + round(1e6 * float(time)) for time in path.times_s]
        if any(after <= before for before, after in pairwise(times)):
            raise SpecError(
                "the path's moments of the drive do not ascend; a data set needs a path that goes forward "
                "in time: give each keyframe a later time_s"
            )
        views = []
        for moment, (pose, time) in enumerate(zip(path.world_from_cam.double().numpy(), times, strict=True)):
            world_from_ego = pose @ np.linalg.inv(self.recording.cameras[leader].ego_from_cam)
            views += [
                PlannedView(0, moment, name, time, world_from_ego @ mountings[name]) for name in self.cameras
            ]
        return views

    def _moments(self) -> list[dict[str, int]]:
        """Rows of the cameras that belong together, by the earliest of their times.

        They are each camera's nearest to those of the one with most pictures. What finds no partner there is
        put together in the same way: that camera may have missed a moment.
        """
        moments: list[dict[str, int]] = []
        rest = {name: list(range(len(self._times[name]))) for name in self.cameras}
        while rest:
            together, rest = self._together(rest)
            moments += together
        ordered = sorted(moments, key=lambda rows: min(self._times[name][row] for name, row in rows.items()))
        return [{name: rows[name] for name in self.cameras if name in rows} for rows in ordered]

    def _together(self, rows: dict[str, list[int]]) -> tuple[list[dict[str, int]], dict[str, list[int]]]:
        """Moments about each picture of the camera with most of these, and the rows that belong to none."""
        leader = max(rows, key=lambda name: len(rows[name]))
        times = self._times[leader]
        step = float(np.median(np.diff(times))) if len(times) > 1 else np.inf
        times = times[rows[leader]]
        moments: list[dict[str, int]] = [{leader: row} for row in rows[leader]]
        rest: dict[str, list[int]] = {}
        for name, of_camera in rows.items():
            if name == leader:
                continue
            for row in of_camera:
                time = int(self._times[name][row])
                nearest = int(np.argmin(np.abs(times - time)))
                if abs(int(times[nearest]) - time) <= step / 2 and name not in moments[nearest]:
                    moments[nearest][name] = row
                else:
                    rest.setdefault(name, []).append(row)
        return moments, rest

    def _moved(
        self, camera: str, world_from_cam: Float64[np.ndarray, "4 4"], offset: Float64[np.ndarray, "4 4"]
    ) -> Float64[np.ndarray, "4 4"]:
        ego_from_cam = self.recording.cameras[camera].ego_from_cam
        return world_from_cam @ np.linalg.inv(ego_from_cam) @ offset @ ego_from_cam


def _offset(left_m: float, up_m: float, yaw_rad: float) -> Float64[np.ndarray, "4 4"]:
    """`ego_from_moved_ego`."""
    offset = np.eye(4)
    c, s = np.cos(yaw_rad), np.sin(yaw_rad)
    offset[:2, :2] = [[c, -s], [s, c]]
    offset[1, 3], offset[2, 3] = left_m, up_m
    return offset
