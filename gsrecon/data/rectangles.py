"""What moves, marked by hand with rectangles, for recordings without masks of moving objects.

A TOML file with one `[[picture]]` table for each marked picture:

    size = [1242, 375]            # of the stored pictures in which the rectangles were drawn, not undistorted
    [[picture]]
    camera = "image_02"
    index = 6
    rectangles = [[x0, y0, x1, y1], ...]   # pixel edges: from x0 up to x1, from y0 up to y1
"""

import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float64, UInt8

from gsrecon.data.log import DrivingLog
from gsrecon.errors import DatasetError


def with_rectangles(log: DrivingLog, path: Path) -> DrivingLog:
    """The log with a mask `moving` for every picture that the file marks, at whatever size the log is.

    Raises:
        DatasetError: The file cannot be read, or marks a picture that the drive does not have.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        width, height = table["size"]
        marked = {
            (str(entry["camera"]), int(entry["index"])): _checked(entry["rectangles"], width, height)
            for entry in table["picture"]
        }
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise DatasetError(f"{path}: no file of rectangles ({error!r}); correct it") from error
    unknown = set(marked) - {(frame.camera, frame.index) for frame in log.frames}
    if unknown:
        camera, index = min(unknown)
        raise DatasetError(f"{path}: {log.name} has no picture {index} of camera {camera}; remove its table")
    frames = []
    for frame in log.frames:
        camera = log.cameras[frame.camera]
        size = log.recorded_sizes.get(frame.camera, (camera.width, camera.height))
        relative = marked.get((frame.camera, frame.index))
        moving = {} if relative is None else {"moving": _mask(relative, *size)}
        frames.append(replace(frame, masks={**frame.masks, **moving}))
    return replace(log, frames=tuple(frames))


def _checked(rectangles: list, width: int, height: int) -> Float64[np.ndarray, "R 4"]:
    """Rectangles as parts of the picture's width and height."""
    for x0, y0, x1, y1 in rectangles:
        if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
            raise ValueError(f"the rectangle {[x0, y0, x1, y1]} is empty or leaves the picture")
    edges = np.array(rectangles, dtype=np.float64).reshape(-1, 4)
    return edges / np.array([width, height, width, height])


def _mask(relative: Float64[np.ndarray, "R 4"], width: int, height: int) -> UInt8[np.ndarray, "H W"]:
    mask = np.zeros((height, width), dtype=np.uint8)
    for x0, y0, x1, y1 in np.rint(relative * [width, height, width, height]).astype(int):
        mask[y0:y1, x0:x1] = 255
    return mask
