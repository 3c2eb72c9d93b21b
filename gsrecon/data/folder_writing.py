"""Writing any DrivingLog as a drive folder."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gsrecon.data.log import Camera, CameraFrame, DrivingLog
from gsrecon.errors import DatasetError

_ID_PICTURES = ("semantic", "instance")


def write_folder(log: DrivingLog, path: Path | str) -> Path:
    """Writes a log as a drive folder that reads back equal: pictures and numbers bit for bit.

    All but `sparse_points`, the points found in pictures, for which the format has no place.
    Files are copied as they are; what is in memory, or resized by `at_scale`, is written as PNG and .npy.
    The folder is written aside and renamed when it is complete.

    Returns:
        The folder.

    Raises:
        DatasetError: There is something at `path` already, the disk is full, or a picture is broken.
    """
    folder = Path(path)
    if folder.exists():
        raise DatasetError(f"{folder}: exists already; remove it or choose another folder")
    aside = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    try:
        aside.mkdir(parents=True)
        (aside / "drive.json").write_text(_to_text(_document(log, aside)), encoding="utf-8")
        os.replace(aside, folder)
    except OSError as error:
        raise DatasetError(
            f"{folder}: the drive folder cannot be written ({error.strerror or error}); free space or choose "
            "another place"
        ) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return folder


def _document(log: DrivingLog, folder: Path) -> dict[str, Any]:
    """The content of drive.json; the files it names are written on the way."""
    as_stored = {name: _is_kept_as_stored(log, name) for name in log.cameras}
    return {
        "format_version": 1,
        "name": log.name,
        "licence": log.licence,
        "convention": log.convention,
        "pixel_centers": 0.5,
        "source_from_world": log.source_from_world.tolist(),
        "cameras": {
            name: {
                "width": camera.width,
                "height": camera.height,
                **_lens(camera, as_stored[name]),
                "ego_from_cam": camera.ego_from_cam.tolist(),
            }
            for name, camera in log.cameras.items()
        },
        "ego": _poses(log.ego_timestamps_us, log.world_from_ego, "world_from_ego"),
        "frames": [_frame(log, frame, folder, as_stored[frame.camera]) for frame in log.frames],
        "lidar": [
            {
                "points": _write_points(sweep.points, folder, f"lidar/{number:06d}"),
                "timestamp_us": int(sweep.timestamp_us),
                "world_from_lidar": sweep.world_from_lidar.tolist(),
                **_unless_default("key_frame", sweep.key_frame, None),
            }
            for number, sweep in enumerate(log.sweeps)
        ],
        "tracks": [
            {
                "id": track.id,
                "category": track.category,
                "size_lwh": track.size_lwh.tolist(),
                "poses": _poses(track.timestamps_us, track.world_from_actor, "world_from_actor"),
                **_unless_default("reach_us", int(track.reach_us), 0),
            }
            for track in log.tracks
        ],
        "lanes": [
            {"id": lane.id, "kind": lane.kind, "points": lane.points_in_world.tolist()} for lane in log.lanes
        ],
    }


def _is_kept_as_stored(log: DrivingLog, camera: str) -> bool:
    """False where a camera's pictures are written as the log gives them: resized, cropped or undistorted.

    Pictures of a bent lens that are in memory are written undistorted, and all others of that camera with
    them.
    """
    if camera in log.recorded_sizes:
        return False
    if log.cameras[camera].recorded_lens is None:
        return True
    frames = (frame for frame in log.frames if frame.camera == camera)
    return all(isinstance(source, Path) for f in frames for source in (f.image, *f.masks.values()))


def _lens(camera: Camera, kept_as_stored: bool) -> dict[str, Any]:
    """K, model and distortion of the pictures as they are written."""
    lens = camera.recorded_lens
    if lens is not None and kept_as_stored:
        return {
            "K": lens.K.tolist(),
            "model": "radial-tangential",
            "distortion": list(lens.coefficients),
            "K_undistorted": lens.K_undistorted.tolist(),
        }
    lens_of_model = {} if camera.distortion is None else {"distortion": list(camera.distortion)}
    return {"K": camera.K.tolist(), "model": camera.model, **lens_of_model}


def _unless_default(key: str, value: int | None, default: int | None) -> dict[str, Any]:
    return {} if value == default else {key: value}


def _poses(times_us: np.ndarray, poses: np.ndarray, key: str) -> list[dict[str, Any]]:
    pairs = zip(times_us, poses, strict=True)
    return [{"timestamp_us": int(time), key: pose.tolist()} for time, pose in pairs]


def _frame(log: DrivingLog, frame: CameraFrame, folder: Path, as_stored: bool) -> dict[str, Any]:
    stem = f"{frame.index:06d}"
    entry: dict[str, Any] = {
        "camera": frame.camera,
        "index": frame.index,
        "timestamp_us": int(frame.timestamp_us),
        "world_from_cam": frame.world_from_cam.tolist(),
        **_unless_default("key_frame", frame.key_frame, None),
    }
    if isinstance(frame.image, Path) and as_stored:
        entry["image"] = _copy(frame.image, folder, f"images/{frame.camera}/{stem}{frame.image.suffix}")
    else:
        entry["image"] = _write_png(log.image(frame), folder, f"images/{frame.camera}/{stem}.png")
    masks = {}
    for name, source in frame.masks.items():
        place = f"masks/{name}/{frame.camera}/{stem}"
        if isinstance(source, Path) and as_stored:
            masks[name] = _copy(source, folder, place + source.suffix)
        else:
            masks[name] = _write_png(_mask_pixels(log, frame, name), folder, place + ".png")
    lens = log.cameras[frame.camera].recorded_lens
    if lens is not None and not as_stored and not lens.seen.all():
        # The pictures written know nothing of the lens: what it did not show is told by a mask.
        never = ~log.valid(frame)
        masks["ignore"] = _write_png(never, folder, f"masks/ignore/{frame.camera}/{stem}.png")
    return {**entry, "masks": masks} if masks else entry


def _mask_pixels(log: DrivingLog, frame: CameraFrame, name: str) -> np.ndarray:
    """8 or 16 bits for id pictures, 0 and 255 for others."""
    if name not in _ID_PICTURES:
        mask = log.mask(frame, name)
        assert mask is not None
        return mask.astype(np.uint8) * 255
    ids = log.ids(frame, name)
    assert ids is not None
    if ids.min(initial=0) < 0 or ids.max(initial=0) > 65535:
        raise DatasetError(
            f"frame {frame.index} of {frame.camera}: the mask {name!r} holds numbers outside 0 to "
            "65535; renumber them"
        )
    return ids.astype(np.uint8 if ids.max(initial=0) < 256 else np.uint16)


def _write_points(source: Path | np.ndarray, folder: Path, stem: str) -> str:
    if isinstance(source, Path):
        return _copy(source, folder, stem + "".join(source.suffixes[-2:]))
    target = folder / f"{stem}.npy"
    target.parent.mkdir(parents=True, exist_ok=True)
    np.save(target, source, allow_pickle=False)
    return f"{stem}.npy"


def _write_png(pixels: np.ndarray, folder: Path, place: str) -> str:
    target = folder / place
    target.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(target, compress_level=3)
    return place


def _copy(source: Path, folder: Path, place: str) -> str:
    if not source.is_file():
        raise DatasetError(f"{source}: the file is missing; restore it or leave its frame out")
    target = folder / place
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    return place


def _to_text(document: dict[str, Any]) -> str:
    """JSON with one line for each camera, frame, pose or object: readable, and small enough to look at."""
    parts = []
    for key, value in document.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            rows = ",\n    ".join(json.dumps(row, allow_nan=False) for row in value)
            parts.append(f'  "{key}": [\n    {rows}\n  ]')
        elif isinstance(value, dict):
            rows = ",\n    ".join(
                f"{json.dumps(k)}: {json.dumps(v, allow_nan=False)}" for k, v in value.items()
            )
            parts.append(f'  "{key}": {{\n    {rows}\n  }}')
        else:
            parts.append(f'  "{key}": {json.dumps(value, allow_nan=False)}')
    return "{\n" + ",\n".join(parts) + "\n}\n"
