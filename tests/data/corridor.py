"""A street of three textured planes, and pictures of it whose poses are known."""

from pathlib import Path

import numpy as np
from PIL import Image

WIDTH, HEIGHT, FOCAL = 320, 180, 200.0
CAMERA_HEIGHT_M = 1.5
K = np.array([[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1]])
_AHEAD = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
_PLANES = ((2, -CAMERA_HEIGHT_M), (1, 4.0), (1, -5.0))
"""Road, left wall, right wall: axis and place along it, seen from the first camera [m]."""


def poses(count: int, step_m: float = 0.6) -> np.ndarray:
    """`world_from_cam` of a drive in a gentle bend to the left, world at the first camera."""
    found = np.tile(np.eye(4), (count, 1, 1))
    place = np.zeros(3)
    for i in range(count):
        yaw = 0.01 * i
        turn = np.array([[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
        found[i, :3, :3] = turn @ _AHEAD
        found[i, :3, 3] = place
        place = place + step_m * turn[:, 0]
    return found


def picture(world_from_cam: np.ndarray) -> np.ndarray:
    """What a camera sees: the nearest of the planes, each with a texture of its own."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH] + 0.5
    rays = np.stack([(columns - K[0, 2]) / FOCAL, (rows - K[1, 2]) / FOCAL, np.ones_like(rows)], axis=-1)
    rays = rays @ world_from_cam[:3, :3].T
    centre = world_from_cam[:3, 3]
    image = np.full((HEIGHT, WIDTH, 3), 200, np.uint8)
    nearest = np.full((HEIGHT, WIDTH), 60.0)
    for number, (axis, place) in enumerate(_PLANES):
        with np.errstate(divide="ignore", invalid="ignore"):
            depth = (place - centre[axis]) / rays[..., axis]
        hits = (depth > 0.1) & (depth < nearest)
        points = centre + rays * np.where(hits, depth, 0)[..., None]
        across = [0, 3 - axis] if axis else [1, 2]
        image[hits] = _texture(number, points[hits][:, across])
        nearest[hits] = depth[hits]
    return image


def save_drive(folder: Path, count: int) -> None:
    """Pictures 000.png, ... of the drive."""
    folder.mkdir(parents=True, exist_ok=True)
    for i, pose in enumerate(poses(count)):
        Image.fromarray(picture(pose)).save(folder / f"{i:03d}.png")


def _texture(number: int, places: np.ndarray) -> np.ndarray:
    """Smooth noise of three grain sizes."""
    total = np.zeros((len(places), 3))
    for grain in (0.15, 0.5, 2.0):
        table = np.random.default_rng(number + int(1000 * grain)).uniform(-1, 1, (64, 64, 3))
        at = places / grain
        low = np.floor(at).astype(int)
        share = (at - low)[..., None]
        corners = [table[(low[:, 0] + i) % 64, (low[:, 1] + j) % 64] for i in (0, 1) for j in (0, 1)]
        ends = [corners[k] + (corners[k + 1] - corners[k]) * share[:, 1] for k in (0, 2)]
        total += ends[0] + (ends[1] - ends[0]) * share[:, 0]
    return np.clip(128 + 60 * total, 0, 255).astype(np.uint8)
