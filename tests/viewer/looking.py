"""What pictures are compared by: means of regions, never single pixels; and waiting with an end."""

import time
from collections.abc import Callable
from itertools import pairwise

import numpy as np

from gsrecon_viewer.lens import Eye
from gsrecon_viewer.riding import Ride, ridden_pose
from gsrecon_viewer.shown import Shown


def regions(picture: np.ndarray, rows: int = 6, columns: int = 8) -> np.ndarray:
    """Mean colours of a grid of regions, [rows, columns, 3]."""
    height, width = picture.shape[:2]
    tops, lefts = np.linspace(0, height, rows + 1).astype(int), np.linspace(0, width, columns + 1).astype(int)
    return np.array(
        [
            [picture[a:b, c:d].reshape(-1, 3).mean(axis=0) for c, d in pairwise(lefts)]
            for a, b in pairwise(tops)
        ]
    )


def far_apart(one: np.ndarray, other: np.ndarray) -> float:
    """The largest difference of two pictures' regions, 0 to 255; their sizes may differ."""
    return float(np.abs(regions(one) - regions(other)).max())


def changed(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Which pixels of two pictures differ visibly."""
    return np.abs(one.astype(int) - other).max(axis=2) > 40


def agreeing(one: np.ndarray, other: np.ndarray, within: float) -> float:
    """The share of the regions whose means are as near as that; labels and lines spoil a few."""
    return float((np.abs(regions(one) - regions(other)).max(axis=2) < within).mean())


def street_eye(shown: Shown, camera: str = "front", size: tuple[int, int] = (160, 90), **ride: float) -> Eye:
    """Where a camera of the rig is."""
    pose = ridden_pose(shown, Ride(camera, **ride))
    assert pose is not None
    return Eye(pose, 0.8, *size)


def wait_for(condition: Callable[[], object], what: str, timeout_s: float = 20.0) -> None:
    """Looks again and again until something holds.

    Raises:
        TimeoutError: It does not.
    """
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {timeout_s:g} s")
        time.sleep(0.01)


def rgb(colour: tuple[float, float, float]) -> np.ndarray:
    """0 to 255."""
    return np.array(colour) * 255


def count_of(picture: np.ndarray, colour: np.ndarray) -> int:
    """Pixels of about a colour."""
    return int((np.abs(picture.astype(float) - colour).max(axis=2) < 40).sum())


def of_colour(picture: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """Which pixels have about a colour, [H, W]."""
    return np.abs(picture.astype(float) - colour).max(axis=2) < 40


def has_colour(picture: np.ndarray, colour: np.ndarray) -> bool:
    """Whether a thing of that colour is there, not a pixel by chance."""
    return int(of_colour(picture, colour).sum()) > 100


def centre_of(picture: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """Mean place of the pixels of a colour, [x, y]."""
    rows, columns = np.nonzero(of_colour(picture, colour))
    return np.array([columns.mean(), rows.mean()])
