"""The files of a nuScenes folder beside its tables: pictures, lidar sweeps, masks and map pictures."""

import shutil
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float32
from PIL import Image

from gsrecon.data.log import CameraFrame, DrivingLog, LidarSweep
from gsrecon.data.pictures import is_turned
from gsrecon.data.points import read_points
from gsrecon.errors import DatasetError

_JPEG_QUALITY = 95
_RENDERED_COLUMNS = 6


def write_picture(log: DrivingLog, frame: CameraFrame, kind: Literal["jpeg", "png"], stem: Path) -> Path:
    """Writes a picture, undistorted and at the log's size, beside `stem` and returns its file.

    A JPEG file is copied as it is, whatever is asked for: encoding it once more would only lose. So is an
    8-bit PNG file where PNG is asked for. Everything else is encoded, JPEG at quality 95 without chroma
    subsampling; so is what EXIF turns, because readers of this layout do not look there.

    Raises:
        DatasetError: The picture is missing or damaged.
    """
    stem.parent.mkdir(parents=True, exist_ok=True)
    source = frame.image
    as_stored = frame.camera not in log.recorded_sizes and log.cameras[frame.camera].recorded_lens is None
    if isinstance(source, Path) and as_stored and not is_turned(source):
        suffix = source.suffix.lower()
        if suffix in (".jpg", ".jpeg"):
            return _copy(source, stem.with_name(stem.name + ".jpg"))
        if suffix == ".png" and kind == "png" and source.is_file() and _is_plain(source):
            return _copy(source, stem.with_name(stem.name + ".png"))
    picture = Image.fromarray(log.image(frame))
    if kind == "png":
        target = stem.with_name(stem.name + ".png")
        picture.save(target, compress_level=3)
    else:
        target = stem.with_name(stem.name + ".jpg")
        picture.save(target, quality=_JPEG_QUALITY, subsampling=0)
    return target


def write_sweep(sweep: LidarSweep, target: Path) -> None:
    """Writes a sweep as float32 x, y, z [m, in the lidar frame], intensity 0..255, ring index.

    nuScenes' own files are copied as they are. Sweeps rendered by gsrecon know their rings; others have none,
    which is written as 0. Intensities are brought to 0..255 where they count from 0 to about 1 (none is above
    2).

    Raises:
        DatasetError: The sweep is missing or damaged.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(sweep.points, Path) and sweep.points.name.endswith(".pcd.bin"):
        _copy(sweep.points, target)
        return
    points = read_points(sweep.points)
    rows = np.zeros((len(points), 5), dtype="<f4")
    rows[:, :3] = points
    rows[:, 3] = _intensity(sweep.points, len(points))
    rows[:, 4] = _ring(sweep.points, len(points))
    rows.tofile(target)


def write_own_car(mask: Bool[np.ndarray, "H W"], target: Path) -> None:
    """Writes the own car's mask as the reader takes it: 255 scene, 0 own car."""
    target.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.where(mask, 0, 255).astype(np.uint8)).save(target)


def write_blank_map(target: Path) -> None:
    """Writes a map picture that knows nothing (0): the layout demands one."""
    target.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((100, 100), np.uint8)).save(target)


def _intensity(source: Path | np.ndarray, count: int) -> Float32[np.ndarray, " N"]:
    values = np.zeros(count, np.float32)
    if isinstance(source, np.ndarray):
        rows = source
    elif source.suffix == ".bin":
        rows = np.fromfile(source, dtype="<f4").reshape(-1, 4)
    elif source.suffix == ".npy":
        rows = np.load(source, allow_pickle=False)
    else:
        return values
    if rows.shape[1] >= 4:
        values = np.nan_to_num(rows[:, 3].astype(np.float32))
    return np.minimum(values * 255, 255) if values.max(initial=0) <= 2 else values


def _ring(source: Path | np.ndarray, count: int) -> Float32[np.ndarray, " N"]:
    """The beam of each point, which sweeps rendered by gsrecon know: x, y, z, brightness, beam, object."""
    if isinstance(source, Path) and source.suffix == ".npy":
        rows = np.load(source, allow_pickle=False)
        if rows.shape[1] == _RENDERED_COLUMNS:
            return rows[:, 4].astype(np.float32)
    return np.zeros(count, np.float32)


def _is_plain(source: Path) -> bool:
    """True for a PNG of 8 bits a channel without alpha or palette."""
    try:
        with Image.open(source) as picture:
            return picture.mode in ("L", "RGB")
    except OSError:
        return False  # decoding it will say what is wrong


def _copy(source: Path, target: Path) -> Path:
    if not source.is_file():
        raise DatasetError(f"{source}: the file is missing; restore it or leave its frame out")
    shutil.copyfile(source, target)
    return target
