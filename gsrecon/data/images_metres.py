"""The scale of a model from pictures: from what the settings say, from lidar, or assumed with a warning."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from gsrecon.data.images_found import Picture, Pictures, natural
from gsrecon.data.images_scale import camera_height, lidar_ratios, path_length
from gsrecon.data.images_settings import Baseline, Height, ImagesSettings, Length, Lidar, Scale, Speed
from gsrecon.data.images_sfm import Model
from gsrecon.data.points import read_points
from gsrecon.errors import DatasetError

_log = logging.getLogger(__name__)

_USUAL_HEIGHT_M = 1.6
_USUAL_STEP_M = 1.0
_LIDAR_SUFFIXES = (".bin", ".npy", ".ply")
_FEWEST_RATIOS = 30


@dataclass(frozen=True)
class Metres:
    """How long the model's unit is."""

    scale: float
    """Metres in one unit of the model."""
    words: str
    """Where that comes from, for people."""


@dataclass(frozen=True)
class Placed:
    """The model, turned upright."""

    model: Model
    pictures: Pictures
    ego_camera: str
    positions: Float64[np.ndarray, "T 3"]
    """Where the ego camera was, z up, in the model's units."""
    seconds: float
    """How long it took there."""
    points: Float64[np.ndarray, "N 3"]
    """The model's points, z up."""


def find_metres(placed: Placed, settings: ImagesSettings, where: Path) -> Metres:
    """The scale; without any source a usual camera height, or a usual step, is assumed with a warning.

    Raises:
        DatasetError: The source that the settings name gives no scale.
    """
    if settings.scale is not None:
        return _told(placed, settings.scale, where)
    if settings.lidar is not None:
        return _from_lidar(placed, settings.lidar, where)
    height = camera_height(placed.points, placed.positions)
    steps = np.linalg.norm(np.diff(placed.positions, axis=0), axis=1)
    if height is not None:
        metres = Metres(_USUAL_HEIGHT_M / height, f"a camera {_USUAL_HEIGHT_M} m above the road is assumed")
    elif len(steps) and np.median(steps) > 0:
        step = float(np.median(steps))
        metres = Metres(_USUAL_STEP_M / step, f"{_USUAL_STEP_M:g} m between pictures are assumed")
    else:
        metres = Metres(1.0, "nothing tells the scale")
    _log.warning(
        "%s: the scale is a guess: %s; set [scale] in images.toml (baseline_m, speed_mps, length_m or "
        "camera_height_m) to make distances true",
        where,
        metres.words,
    )
    return metres


def lidar_files(lidar: Lidar, pictures: Pictures) -> list[tuple[Picture, Path]]:
    """Pictures of the lidar's camera with the sweep of their name or number.

    Raises:
        DatasetError: No sweep belongs to a picture.
    """
    files = sorted(
        (path for path in lidar.folder.iterdir() if path.suffix in _LIDAR_SUFFIXES),
        key=lambda path: natural(path.name),
    )
    stream = pictures.of(lidar.camera)
    by_name = {path.name.split(".")[0]: path for path in files}
    found = [(picture, by_name[picture.file.stem]) for picture in stream if picture.file.stem in by_name]
    if not found and len(files) == len(stream):
        found = list(zip(stream, files, strict=True))
    if not found:
        raise DatasetError(
            f"{lidar.folder}: no sweep ({', '.join(_LIDAR_SUFFIXES)}) has the name of a picture of "
            f"{lidar.camera}, nor are there as many sweeps as pictures; name them like the pictures"
        )
    return found


def _told(placed: Placed, scale: Scale, where: Path) -> Metres:
    length = path_length(placed.positions)
    if isinstance(scale, Baseline):
        return _from_baseline(placed, scale, where)
    if isinstance(scale, Height):
        height = camera_height(placed.points, placed.positions)
        if height is None:
            raise DatasetError(
                f"{where}: no road was found under the camera, so camera_height_m gives no scale; use "
                "speed_mps, length_m or baseline_m in images.toml"
            )
        return Metres(scale.metres / height, f"the camera is {scale.metres:g} m above the road")
    if not length > 0:
        raise DatasetError(
            f"{where}: the ego camera does not move, so its path gives no scale; use baseline_m or "
            "camera_height_m in images.toml"
        )
    if isinstance(scale, Length):
        return Metres(scale.metres / length, f"the path is {scale.metres:g} m long")
    assert isinstance(scale, Speed)
    driven = scale.metres_per_second * placed.seconds
    return Metres(driven / length, f"the mean speed is {scale.metres_per_second:g} m/s")


def _from_baseline(placed: Placed, scale: Baseline, where: Path) -> Metres:
    poses = dict(zip(placed.model.names, placed.model.world_from_cam, strict=True))
    first, second = (
        {p.index: poses[p.name][:3, 3] for p in placed.pictures.of(camera) if p.name in poses}
        for camera in scale.between
    )
    together = first.keys() & second.keys() if placed.pictures.together else set()
    apart = [float(np.linalg.norm(first[index] - second[index])) for index in together]
    if not apart or not np.median(apart) > 0:
        raise DatasetError(
            f"{where}: no pictures of {' and '.join(scale.between)} were taken together, so baseline_m gives "
            "no scale; give pictures taken together one name in both folders"
        )
    words = f"{' and '.join(scale.between)} are {scale.metres:g} m apart"
    return Metres(scale.metres / float(np.median(apart)), words)


def _from_lidar(placed: Placed, lidar: Lidar, where: Path) -> Metres:
    model = placed.model
    poses: Mapping[str, np.ndarray] = dict(zip(model.names, model.world_from_cam, strict=True))
    ratios = [np.zeros(0)]
    for picture, file in lidar_files(lidar, placed.pictures):
        if picture.name not in poses:
            continue
        cam_from_world = np.linalg.inv(poses[picture.name])
        seen = model.points[model.seen_in(picture.name)]
        in_lidar = read_points(file).astype(np.float64)
        ratios.append(
            lidar_ratios(
                seen @ cam_from_world[:3, :3].T + cam_from_world[:3, 3],
                in_lidar @ lidar.cam_from_lidar[:3, :3].T + lidar.cam_from_lidar[:3, 3],
            )
        )
    found = np.concatenate(ratios)
    if len(found) < _FEWEST_RATIOS:
        raise DatasetError(
            f"{where}: only {len(found)} points of the pictures have lidar beside them, too few for a scale; "
            "check cam_from_lidar, or set [scale] in images.toml"
        )
    return Metres(float(np.median(found)), f"lidar at {len(found)} points of the pictures tells it")
