"""Riding along: a camera of the rig at the moment that is shown, moved aside if wanted."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64

from gsrecon.geometry.rigid import interpolate
from gsrecon_viewer.shown import Shown


@dataclass(frozen=True)
class Ride:
    """Which camera to follow, and how far beside it."""

    camera: str | None = None
    """Name of the camera; None lets the browser's camera free."""
    left_m: float = 0.0
    up_m: float = 0.0
    yaw_deg: float = 0.0
    """About the vertical, counter-clockwise seen from above."""


def ridden_pose(shown: Shown, ride: Ride) -> Float64[np.ndarray, "4 4"] | None:
    """`world_from_cam` of the ride at the moment that is shown, between recorded pictures interpolated."""
    recording = shown.recording
    if ride.camera is None or recording is None:
        return None
    frames = sorted(
        (frame for frame in recording.frames if frame.camera == ride.camera), key=lambda f: f.timestamp_us
    )
    if not frames:
        return None
    times = np.array([frame.timestamp_us for frame in frames])
    now = shown.timestamp_us()
    later = int(np.searchsorted(times, now).clip(0, len(frames) - 1))
    before, after = frames[max(0, later - 1)], frames[later]
    gap = max(1, after.timestamp_us - before.timestamp_us)
    share = float(np.clip((now - before.timestamp_us) / gap, 0, 1))
    start, end = (torch.from_numpy(frame.world_from_cam) for frame in (before, after))
    pose = interpolate(start, end, share).numpy()
    return _beside(pose, recording.cameras[ride.camera].ego_from_cam, ride)


def _beside(
    world_from_cam: Float64[np.ndarray, "4 4"], ego_from_cam: Float64[np.ndarray, "4 4"], ride: Ride
) -> Float64[np.ndarray, "4 4"]:
    """Moves along the vehicle's left and the world's up, then turns in place."""
    world_from_ego = world_from_cam @ np.linalg.inv(ego_from_cam)
    moved = world_from_cam.copy()
    moved[:3, 3] += ride.left_m * world_from_ego[:3, 1] + np.array([0.0, 0.0, ride.up_m])
    a = np.radians(ride.yaw_deg)
    turn = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    moved[:3, :3] = turn @ moved[:3, :3]
    return moved
