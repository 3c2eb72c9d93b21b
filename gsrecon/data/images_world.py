"""Which way is up, where the car drives, and where its ego frame sits, from camera poses alone."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

_PRIOR = 1e-3
"""Weight of the cameras' own mean up direction: decides only what the motion leaves open."""

_CHORDS = 20
"""The path is cut into about this many straight pieces; shorter ones are noise while the car stands."""

_CLEAR_MOTION = 0.7
"""Length of the mean of the directions of motion (seen from the camera) above which it is a driving car."""


@dataclass(frozen=True)
class Axes:
    """How the world lies in the frame of the poses, and the ego in its camera."""

    world_from_source: Float64[np.ndarray, "3 3"]
    """Rotation: z up, x where the ego first drives."""
    ego_from_cam: Float64[np.ndarray, "3 3"]
    """Rotation of the ego's camera: x forward, y left, z up."""


def find_axes(world_from_cam: Float64[np.ndarray, "T 4 4"]) -> Axes:
    """Axes from the poses of one camera in the order of time.

    Up is perpendicular to the camera's x axis (a camera is mounted without roll) and to the path (a car
    drives along the ground). Forward is where the camera moves, on average as it sees it; for a camera that
    moves in no direction of its own it is where it looks.
    """
    rotations = world_from_cam[:, :3, :3]
    chords, at = _chords(world_from_cam[:, :3, 3])
    up = _up(rotations, chords)
    forward_in_cam = np.einsum("tji,tj->ti", rotations[at], chords).mean(axis=0) if len(chords) else None
    if forward_in_cam is None or np.linalg.norm(forward_in_cam) < _CLEAR_MOTION:
        forward_in_cam = np.array([0.0, 0, 1])
    up_in_cam = np.einsum("tji,j->ti", rotations, up).mean(axis=0)
    forward = _perpendicular(forward_in_cam, up_in_cam)
    up_in_cam = up_in_cam / np.linalg.norm(up_in_cam)
    ego_from_cam = np.stack([forward, np.cross(up_in_cam, forward), up_in_cam])
    heading = _perpendicular(rotations[0] @ forward, up)
    return Axes(np.stack([heading, np.cross(up, heading), up]), ego_from_cam)


def choose_ego_camera(poses: dict[str, Float64[np.ndarray, "_ 4 4"]]) -> str:
    """The camera whose view is nearest to where it moves; of equal ones the first."""
    best, most = next(iter(poses)), -np.inf
    for name, world_from_cam in poses.items():
        chords, at = _chords(world_from_cam[:, :3, 3])
        if len(chords):
            ahead = float(np.einsum("ti,ti->t", chords, world_from_cam[at, :3, 2]).mean())
            if ahead > most + 0.05:
                best, most = name, ahead
    return best


def _chords(
    positions: Float64[np.ndarray, "T 3"],
) -> tuple[Float64[np.ndarray, "C 3"], Int64[np.ndarray, " C"]]:
    """Unit directions of straight pieces of the path, and the frames at which they begin."""
    length = np.linalg.norm(np.diff(positions, axis=0), axis=1).sum()
    chords, starts, start = [], [], 0
    for i in range(1, len(positions)):
        step = positions[i] - positions[start]
        distance = float(np.linalg.norm(step))
        if distance > 0 and distance >= length / _CHORDS:
            chords.append(step / distance)
            starts.append(start)
            start = i
    return np.array(chords).reshape(-1, 3), np.array(starts, dtype=np.int64)


def _up(rotations: Float64[np.ndarray, "T 3 3"], chords: Float64[np.ndarray, "C 3"]) -> np.ndarray:
    """The direction most perpendicular to the x axes and to the path."""
    across, own = rotations[:, :, 0], -rotations[:, :, 1].mean(axis=0)
    own = own / max(float(np.linalg.norm(own)), 1e-9)
    energy = across.T @ across / len(across) + _PRIOR * (np.eye(3) - np.outer(own, own))
    if len(chords):
        energy += chords.T @ chords / len(chords)
    up = np.linalg.eigh(energy)[1][:, 0]
    return up if up @ own >= 0 else -up


def _perpendicular(direction: np.ndarray, up: np.ndarray) -> np.ndarray:
    """The unit part of a direction that is perpendicular to up."""
    up = up / np.linalg.norm(up)
    level = direction - (direction @ up) * up
    return level / max(float(np.linalg.norm(level)), 1e-9)
