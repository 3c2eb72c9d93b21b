"""Time and motion of a recording: gaps, poses that are not rigid or jump, frames without overlap."""

import numpy as np
from jaxtyping import Int64

from gsrecon.data.findings import Finding
from gsrecon.data.frame_pairs import LIDAR_GAP_US
from gsrecon.data.log import CameraFrame, DrivingLog
from gsrecon.data.trajectory import poses_at
from gsrecon.geometry.recorded import is_rigid

_GAP = 1.75  # a step this many times the median step is a gap
_JUMP_M = 0.5  # least departure from even motion that counts
_JUMP_DEG = 3.0
_JUMP_FACTOR = 8.0  # and this many times the recording's median departure
_LARGEST_TURN_DEG = 40.0  # neighbouring frames further apart share too little
_LARGEST_STEP_M = 10.0
_CLOCK_GAP_US = 1_000_000  # pictures may begin before the first ego pose and end after the last by so much
_FARTHEST_FROM_EGO_M = 50.0  # no car carries its cameras further from itself


def motion_findings(log: DrivingLog) -> list[Finding]:
    """Findings about each camera's times and poses."""
    findings = []
    for name in log.cameras:
        frames = [frame for frame in log.frames if frame.camera == name]
        if not frames:
            findings.append(Finding("warning", name, "the camera has no frames", "leave the camera out"))
            continue
        broken = _broken_poses(name, frames)
        findings += broken
        if len(frames) >= 3 and not broken:
            findings += _time_gaps(log, name, frames) + _pose_jumps(name, frames) + _overlap(name, frames)
        if not broken:
            findings += _beside_ego(log, name, frames)
    return findings + _lidar_clock(log)


def _beside_ego(log: DrivingLog, name: str, frames: list[CameraFrame]) -> list[Finding]:
    """A camera that rides far away from its own car: of another clock, or in another world."""
    times = np.array([frame.timestamp_us for frame in frames], dtype=np.int64)
    first, last = log.ego_timestamps_us[0] - _CLOCK_GAP_US, log.ego_timestamps_us[-1] + _CLOCK_GAP_US
    met = (times >= first) & (times <= last)
    if not met.any():
        message = (
            f"no picture was taken while there are ego poses: pictures are from {_from_to(log, times)}, "
            f"ego poses from {_from_to(log, log.ego_timestamps_us)}"
        )
        return [Finding("error", name, message, "give both times of one clock, in microseconds")]
    poses = np.stack([frame.world_from_cam for frame in frames])[met]
    ego = poses_at(log.ego_timestamps_us, log.world_from_ego, times[met])
    away_m = float(np.median(np.linalg.norm(poses[:, :3, 3] - ego[:, :3, 3], axis=1)))
    if away_m <= _FARTHEST_FROM_EGO_M:
        return []
    message = f"its poses lie {away_m:,.0f} m from the ego poses of their times"
    return [Finding("error", name, message, "give camera and ego poses in one world")]


def _lidar_clock(log: DrivingLog) -> list[Finding]:
    """A lidar whose every sweep lies apart from all pictures: nothing of it is used."""
    if not log.sweeps or not log.frames:
        return []
    sweeps = np.sort([sweep.timestamp_us for sweep in log.sweeps])
    frames = np.sort([frame.timestamp_us for frame in log.frames])
    after = np.searchsorted(sweeps, frames)
    beside = np.stack([sweeps[np.maximum(after - 1, 0)], sweeps[np.minimum(after, len(sweeps) - 1)]])
    gaps = np.abs(beside - frames).min(axis=0)
    if gaps.min() <= LIDAR_GAP_US:
        return []
    message = (
        f"no sweep was taken within {LIDAR_GAP_US * 1e-3:.0f} ms of a picture: sweeps are from "
        f"{_from_to(log, sweeps)}, pictures from {_from_to(log, frames)}"
    )
    return [Finding("warning", "lidar", message, "give both times of one clock, in microseconds")]


def _from_to(log: DrivingLog, times: Int64[np.ndarray, " T"]) -> str:
    return f"{log.time_s(int(times[0])):.2f} to {log.time_s(int(times[-1])):.2f} s"


def _broken_poses(name: str, frames: list[CameraFrame]) -> list[Finding]:
    bad = [frame.index for frame in frames if not is_rigid(frame.world_from_cam)]
    if not bad:
        return []
    message = f"world_from_cam of {len(bad)} frames is no rigid motion (first: frame {bad[0]})"
    return [
        Finding("error", name, message, "write rotations with determinant 1, without scale, NaN or mirroring")
    ]


def _time_gaps(log: DrivingLog, name: str, frames: list[CameraFrame]) -> list[Finding]:
    times = np.array([frame.timestamp_us for frame in frames])
    steps = np.diff(times)
    usual = float(np.median(steps))
    findings = []
    if (steps <= 0).any():
        at = frames[int(np.argmax(steps <= 0)) + 1]
        findings.append(
            Finding(
                "error",
                f"{name} frame {at.index}",
                "two frames have the same time",
                "give every picture its own timestamp",
            )
        )
    for i in np.flatnonzero(steps > _GAP * max(usual, 1.0)):
        findings.append(
            Finding(
                "warning",
                f"{name} frames {frames[i].index} to {frames[i + 1].index}",
                f"a gap of {steps[i] * 1e-6:.2f} s at {log.time_s(int(times[i])):.2f} s, usual are "
                f"{usual * 1e-6:.2f} s",
                "restore the missing frames, or cut the drive there with start and stop",
            )
        )
    return findings


def _pose_jumps(name: str, frames: list[CameraFrame]) -> list[Finding]:
    """Departures from even motion, each run of them reported once at its worst frame."""
    times = np.array([frame.timestamp_us for frame in frames], dtype=np.float64)
    poses = np.stack([frame.world_from_cam for frame in frames])
    # Where a frame would be if its neighbours drove evenly past it.
    share = (times[1:-1] - times[:-2]) / np.maximum(times[2:] - times[:-2], 1.0)
    expected = poses[:-2, :3, 3] + share[:, None] * (poses[2:, :3, 3] - poses[:-2, :3, 3])
    away_m = np.linalg.norm(poses[1:-1, :3, 3] - expected, axis=1)
    turns = _angle_deg(poses[:-1], poses[1:])
    away_deg = np.abs(np.diff(turns))
    limit_m = max(_JUMP_M, _JUMP_FACTOR * float(np.median(away_m)))
    limit_deg = max(_JUMP_DEG, _JUMP_FACTOR * float(np.median(away_deg)))
    severity = np.maximum(away_m / limit_m, away_deg / limit_deg)
    findings = []
    run: list[int] = []
    for i in [*np.flatnonzero(severity > 1.0), -10]:
        if run and i != run[-1] + 1:
            worst = max(run, key=lambda k: severity[k])
            findings.append(
                Finding(
                    "warning",
                    f"{name} frame {frames[worst + 1].index}",
                    f"the pose jumps: {away_m[worst]:.2f} m and {away_deg[worst]:.1f} deg off an even "
                    "motion past it",
                    "correct the pose, leave the frame out, or cut the drive there with start and stop",
                )
            )
            run = []
        run.append(int(i))
    return findings


def _overlap(name: str, frames: list[CameraFrame]) -> list[Finding]:
    poses = np.stack([frame.world_from_cam for frame in frames])
    turns = _angle_deg(poses[:-1], poses[1:])
    steps = np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=1)
    apart = np.flatnonzero((turns > _LARGEST_TURN_DEG) | (steps > _LARGEST_STEP_M))
    if len(apart) == 0:
        return []
    i = int(apart[0])
    return [
        Finding(
            "warning",
            name,
            f"{len(apart)} neighbouring frames share little: frames {frames[i].index} and "
            f"{frames[i + 1].index} are {steps[i]:.1f} m and {turns[i]:.0f} deg apart",
            "use more frames (a smaller stride), or cut the drive there",
        )
    ]


def _angle_deg(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Angle of rotation between poses; from the chord, which keeps small angles exact."""
    chord = np.linalg.norm(first[:, :3, :3] - second[:, :3, :3], axis=(1, 2)) / np.sqrt(8.0)
    return np.rad2deg(2 * np.arcsin(np.clip(chord, 0.0, 1.0)))
