"""Repair of ego poses that were recorded without height, roll or pitch, from the ground the lidar sees.

nuScenes' ego poses are flat: z is always zero, roll and pitch are zero or what an inertial unit said, and
an annotated box fits only the pose of its own sample. A correction therefore belongs to a time, and all of
that time moves by it: ego, camera and lidar poses and boxes. x, y and heading stay.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64, Int64

from gsrecon.data.ground import GroundSettings, ground_patches
from gsrecon.data.log import DrivingLog, Lane, Track
from gsrecon.data.progress import Progress
from gsrecon.data.registration import (
    CHECKED_STRIDES,
    STRIDES,
    Priors,
    Sighting,
    correction_motions,
    disagreements,
    level_sightings,
)
from gsrecon.data.trajectory import poses_at
from gsrecon.errors import DatasetError

_GROUND = GroundSettings()
_FLAT_M = 1e-3
_FLAT_RAD = 1e-4
# What is expected of corrections where nothing was recorded, where it was measured (by GPS and an inertial
# unit: right over a long way, wrong from sweep to sweep), and of tilts without heights, as nuScenes has them.
_NO_HEIGHT_M, _MEASURED_HEIGHT_M = 10.0, 0.1
_NO_TILT_RAD, _MEASURED_TILT_RAD, _TILT_WITHOUT_HEIGHT_RAD = 0.05, 0.006, 0.02


@dataclass(frozen=True)
class PoseCorrections:
    """What is added to the recorded poses, over time; between the times linear, beyond them constant."""

    timestamps_us: Int64[np.ndarray, " T"]
    """Ascending; the times of the sweeps they were estimated from."""
    values: Float64[np.ndarray, "T 3"]
    """z [m], and the rotation vector's forward (roll) and left (pitch) parts [rad]: positive roll lifts the
    left side, positive pitch lowers the front."""

    def at(self, timestamps_us: Int64[np.ndarray, " Q"]) -> Float64[np.ndarray, "Q 3"]:
        """Z [m], roll and pitch [rad] at other times."""
        return np.stack([np.interp(timestamps_us, self.timestamps_us, v) for v in self.values.T], axis=1)

    def motions(
        self, log: DrivingLog, timestamps_us: Int64[np.ndarray, " Q"]
    ) -> Float64[np.ndarray, "Q 4 4"]:
        """`corrected_from_recorded` in world at some times of a log as it was recorded."""
        recorded = poses_at(log.ego_timestamps_us, log.world_from_ego, timestamps_us)
        return correction_motions(self.at(timestamps_us), recorded[:, :3, 3], _yaws(recorded))


@dataclass(frozen=True)
class GroundAgreement:
    """How far apart sweeps put the ground that both see [m].

    Compared are pairs that the estimate did not use, or every pair of a drive of a few sweeps.
    """

    median_m: float
    percentile_90_m: float
    patches: int
    """Patches compared."""


@dataclass(frozen=True)
class RepairReport:
    """What the repair saw and did."""

    flat: bool
    """The recorded poses were all on one height."""
    upright: bool
    """The recorded poses had no roll or pitch."""
    sweeps: int
    sweeps_with_ground: int
    before: GroundAgreement
    after: GroundAgreement
    corrections: PoseCorrections


@dataclass(frozen=True)
class Repaired:
    """A log whose poses and boxes were corrected."""

    log: DrivingLog
    report: RepairReport


def repair_poses(
    log: DrivingLog, settings: GroundSettings = _GROUND, progress: Progress | None = None
) -> Repaired:
    """Estimates z, roll and pitch over the drive and applies them to everything that was recorded.

    The height and tilt of the drive as a whole cannot be seen by a lidar: the first ego pose keeps its
    height, and corrections are as small as the ground allows. Where the recorded poses have heights or
    tilts of their own, those are trusted over long ways.

    Raises:
        DatasetError: There is no lidar, or too few sweeps see ground together.
    """
    sightings = _sightings(log, settings, progress or (lambda what, share: None))
    seen = sum(sighting.patches is not None for sighting in sightings)
    unchanged = np.zeros((len(sightings), 3))
    before = _agreement(sightings, unchanged)
    if seen < 2 or before.patches == 0:
        raise DatasetError(
            f"{log.name}: {seen} of {len(sightings)} lidar sweeps see ground and no two see the same, so z, "
            "roll and pitch cannot be estimated; give sweeps that overlap, with world_from_lidar as recorded"
        )
    flat, upright = _is_flat(log.world_from_ego), _is_upright(log.world_from_ego)
    values = level_sightings(sightings, _priors(flat, upright))
    after = _agreement(sightings, values)
    times = np.array([sighting.timestamp_us for sighting in sightings], dtype=np.int64)
    values[:, 0] -= np.interp(log.start_us, times, values[:, 0])
    corrections = PoseCorrections(times, values)
    report = RepairReport(flat, upright, len(sightings), seen, before, after, corrections)
    return Repaired(apply_corrections(log, corrections), report)


def apply_corrections(log: DrivingLog, corrections: PoseCorrections) -> DrivingLog:
    """The log with ego, camera and lidar poses and boxes moved by the correction of their own time.

    Lanes have no time: each of their points follows the ego pose that came nearest to it.
    """
    frames = log.frames
    frame_motions = corrections.motions(
        log, np.array([frame.timestamp_us for frame in frames], dtype=np.int64)
    )
    sweep_motions = corrections.motions(
        log, np.array([sweep.timestamp_us for sweep in log.sweeps], dtype=np.int64)
    )
    ego_motions = corrections.motions(log, log.ego_timestamps_us)
    return replace(
        log,
        frames=tuple(
            replace(frame, world_from_cam=motion @ frame.world_from_cam)
            for frame, motion in zip(frames, frame_motions, strict=True)
        ),
        sweeps=tuple(
            replace(sweep, world_from_lidar=motion @ sweep.world_from_lidar)
            for sweep, motion in zip(log.sweeps, sweep_motions, strict=True)
        ),
        tracks=tuple(_moved_track(track, log, corrections) for track in log.tracks),
        lanes=tuple(_moved_lane(lane, log, ego_motions) for lane in log.lanes),
        world_from_ego=ego_motions @ log.world_from_ego,
        convention=log.convention + " z, roll and pitch of poses and boxes were repaired from lidar ground.",
    )


def _sightings(log: DrivingLog, settings: GroundSettings, progress: Progress) -> list[Sighting]:
    """What each moment saw; sweeps of one time (several lidars) are one sighting."""
    if not log.sweeps:
        raise DatasetError(
            f"{log.name}: the drive has no lidar sweeps, from which z, roll and pitch are estimated; give a "
            "drive with lidar or leave its poses as they are"
        )
    times = np.unique([sweep.timestamp_us for sweep in log.sweeps]).astype(np.int64)
    recorded = poses_at(log.ego_timestamps_us, log.world_from_ego, times)
    sightings = []
    for i, (time, pose, yaw) in enumerate(zip(times, recorded, _yaws(recorded), strict=True)):
        progress("finding the ground", i / len(times))
        points = [
            log.points(sweep) @ sweep.world_from_lidar[:3, :3].T + sweep.world_from_lidar[:3, 3]
            for sweep in log.sweeps
            if sweep.timestamp_us == time
        ]
        patches = ground_patches(np.concatenate(points), pose[:3, 3], settings)
        sightings.append(Sighting(int(time), pose[:3, 3], float(yaw), patches))
    progress("finding the ground", 1.0)
    return sightings


def _agreement(sightings: list[Sighting], values: Float64[np.ndarray, "T 3"]) -> GroundAgreement:
    errors = disagreements(sightings, values, CHECKED_STRIDES)
    if len(errors) == 0:
        errors = disagreements(sightings, values, STRIDES)
    if len(errors) == 0:
        return GroundAgreement(0.0, 0.0, 0)
    return GroundAgreement(float(np.median(errors)), float(np.percentile(errors, 90)), len(errors))


def _priors(flat: bool, upright: bool) -> Priors:
    measured = _TILT_WITHOUT_HEIGHT_RAD if flat else _MEASURED_TILT_RAD
    return Priors(_NO_HEIGHT_M if flat else _MEASURED_HEIGHT_M, _NO_TILT_RAD if upright else measured)


def _is_flat(world_from_ego: Float64[np.ndarray, "T 4 4"]) -> bool:
    return bool(np.ptp(world_from_ego[:, 2, 3]) < _FLAT_M)


def _is_upright(world_from_ego: Float64[np.ndarray, "T 4 4"]) -> bool:
    return bool(np.abs(world_from_ego[:, 2, :2]).max() < _FLAT_RAD)


def _moved_track(track: Track, log: DrivingLog, corrections: PoseCorrections) -> Track:
    motions = corrections.motions(log, track.timestamps_us)
    return replace(track, world_from_actor=motions @ track.world_from_actor)


def _moved_lane(lane: Lane, log: DrivingLog, ego_motions: Float64[np.ndarray, "T 4 4"]) -> Lane:
    points = lane.points_in_world
    way = log.world_from_ego[:, :2, 3]
    nearest = np.array(
        [((way - point[:2]) ** 2).sum(axis=1).argmin() for point in points], dtype=np.int64
    ).reshape(-1)
    motions = ego_motions[nearest]
    return replace(
        lane, points_in_world=np.einsum("pij,pj->pi", motions[:, :3, :3], points) + motions[:, :3, 3]
    )


def _yaws(poses: Float64[np.ndarray, "T 4 4"]) -> Float64[np.ndarray, " T"]:
    return np.arctan2(poses[:, 1, 0], poses[:, 0, 0])
