"""One scene out of nuScenes' tables, joined: the only module that knows the devkit.

Source: Caesar et al., "nuScenes: A multimodal dataset for autonomous driving", CVPR 2020; the tables are
described in the devkit's docs/schema_nuscenes.md.
"""

import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64, Int64
from PIL import Image

from gsrecon.data.nuscenes_cut import cut_scene
from gsrecon.errors import BackendUnavailableError, DatasetError
from gsrecon.geometry.rigid import assemble, quat_to_rotmat

TABLES = (
    "attribute",
    "calibrated_sensor",
    "category",
    "ego_pose",
    "instance",
    "log",
    "map",
    "sample",
    "sample_annotation",
    "sample_data",
    "scene",
    "sensor",
    "visibility",
)
"""The tables of a version's folder, one JSON file each."""


_SHORTEST_QUATERNION = 1e-6


@dataclass(frozen=True)
class Reading:
    """One file of one sensor (a row of sample_data) with its own ego pose and calibration."""

    channel: str
    modality: str
    """`camera`, `lidar` or `radar`."""
    timestamp_us: int
    filename: str
    """Relative to the data root."""
    sample: int
    """Number in the scene of the sample it belongs to."""
    is_key_frame: bool
    width: int
    height: int
    intrinsic: Float64[np.ndarray, "3 3"] | None
    """Pixel centres at integers; None for what is no camera."""
    distortion: tuple[float, ...]
    """k1, k2, p1, p2, k3, k4 as far as given. nuScenes itself has none, its pictures are undistorted; others
    name them in nuImages' column `camera_distortion`."""
    source_from_ego: Float64[np.ndarray, "4 4"]
    ego_from_sensor: Float64[np.ndarray, "4 4"]


@dataclass(frozen=True)
class Annotation:
    """One box at the time of its sample."""

    instance: str
    category: str
    sample: int
    size_lwh: Float64[np.ndarray, " 3"]
    source_from_actor: Float64[np.ndarray, "4 4"]


@dataclass(frozen=True)
class SceneTables:
    """Everything the tables say about one scene."""

    root: Path
    name: str
    vehicle: str
    location: str
    sample_timestamps_us: Int64[np.ndarray, " S"]
    readings: tuple[Reading, ...]
    """By time."""
    annotations: tuple[Annotation, ...]
    """By sample."""


def read_tables(root: Path, version: str, scene: str) -> SceneTables:
    """The rows of one scene.

    Args:
        root: The data root, which holds the version's folder, samples/ and sweeps/.
        version: Name of the folder of tables, such as `v1.0-mini`.
        scene: Name of a scene in them.

    Raises:
        BackendUnavailableError: The extra is not installed.
        DatasetError: A table is missing or contradicts itself.
    """
    folder = root / version
    missing = [name for name in TABLES if not (folder / f"{name}.json").is_file()]
    if missing:
        raise DatasetError(
            f"{folder}: {len(missing)} of nuScenes' {len(TABLES)} tables are missing "
            f"({', '.join(f'{name}.json' for name in missing)}); unpack the archive of the tables again"
        )
    devkit = import_devkit()
    try:
        with tempfile.TemporaryDirectory(prefix="gsrecon-nuscenes-") as cut:
            cut_scene(folder, scene, Path(cut), version)
            return _join(devkit.NuScenes(version=version, dataroot=cut, verbose=False), root, scene)
    except KeyError as error:
        reason = f"there is no row or column {error}"
    except (OSError, AssertionError, IndexError, TypeError, ValueError) as error:
        reason = str(error) or type(error).__name__
    raise DatasetError(f"{folder}: the nuScenes tables cannot be read ({reason}); unpack them again")


def import_devkit() -> Any:
    """The module `nuscenes.nuscenes`, loaded without its side effects.

    Raises:
        BackendUnavailableError: The package is not installed.
    """
    limit = Image.MAX_IMAGE_PIXELS
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import nuscenes.nuscenes as devkit
    except ImportError as error:
        raise BackendUnavailableError(
            f"nuScenes is read through nuscenes-devkit, which is not here ({error}); install it with "
            "pip install 'gsrecon[nuscenes]'"
        ) from error
    finally:
        Image.MAX_IMAGE_PIXELS = limit  # the devkit lifts Pillow's guard for the whole program
    return devkit


def _join(tables: Any, root: Path, scene_name: str) -> SceneTables:
    (scene,) = (row for row in tables.scene if row["name"] == scene_name)
    samples = sorted(
        (row for row in tables.sample if row["scene_token"] == scene["token"]),
        key=lambda row: row["timestamp"],
    )
    number = {row["token"]: i for i, row in enumerate(samples)}
    data = [row for row in tables.sample_data if row["sample_token"] in number]
    data.sort(key=lambda row: (row["timestamp"], row["channel"]))
    calibrations = [tables.get("calibrated_sensor", row["calibrated_sensor_token"]) for row in data]
    ego = _poses([tables.get("ego_pose", row["ego_pose_token"]) for row in data])
    sensor = _poses(calibrations)
    readings = tuple(
        Reading(
            channel=row["channel"],
            modality=row["sensor_modality"],
            timestamp_us=int(row["timestamp"]),
            filename=row["filename"],
            sample=number[row["sample_token"]],
            is_key_frame=bool(row["is_key_frame"]),
            width=int(row["width"] or 0),
            height=int(row["height"] or 0),
            intrinsic=_intrinsic(calibration) if row["sensor_modality"] == "camera" else None,
            distortion=tuple(map(float, calibration.get("camera_distortion") or ())),
            source_from_ego=ego[i],
            ego_from_sensor=sensor[i],
        )
        for i, (row, calibration) in enumerate(zip(data, calibrations, strict=True))
    )
    log = tables.get("log", scene["log_token"])
    return SceneTables(
        root=root,
        name=scene_name,
        vehicle=log["vehicle"],
        location=log["location"],
        sample_timestamps_us=np.array([row["timestamp"] for row in samples], dtype=np.int64),
        readings=readings,
        annotations=_annotations(tables, number),
    )


def _annotations(tables: Any, number: dict[str, int]) -> tuple[Annotation, ...]:
    rows = [row for row in tables.sample_annotation if row["sample_token"] in number]
    rows.sort(key=lambda row: number[row["sample_token"]])
    poses = _poses(rows)
    found = []
    for row, pose in zip(rows, poses, strict=True):
        width, length, height = row["size"]
        sample = number[row["sample_token"]]
        size_lwh = np.array([length, width, height], dtype=np.float64)
        found.append(Annotation(row["instance_token"], row["category_name"], sample, size_lwh, pose))
    return tuple(found)


def _poses(rows: list[Any]) -> Float64[np.ndarray, "N 4 4"]:
    """Motions of rows with a translation [m] and a rotation (quaternion wxyz).

    Raises:
        ValueError: A row holds no motion: a number is not finite, or the quaternion is zero.
    """
    translations = np.array([row["translation"] for row in rows], dtype=np.float64).reshape(-1, 3)
    rotations = np.array([row["rotation"] for row in rows], dtype=np.float64).reshape(-1, 4)
    whole = np.isfinite(translations).all(axis=1) & np.isfinite(rotations).all(axis=1)
    whole &= np.linalg.norm(rotations, axis=1) > _SHORTEST_QUATERNION
    if not whole.all():
        row = rows[int(np.argmin(whole))]
        raise ValueError(
            f"row {row['token']} has translation {row['translation']} and rotation {row['rotation']}"
        )
    return assemble(quat_to_rotmat(torch.from_numpy(rotations)), torch.from_numpy(translations)).numpy()


def _intrinsic(calibration: Any) -> Float64[np.ndarray, "3 3"]:
    given = calibration["camera_intrinsic"]
    K = np.array(given, dtype=np.float64)
    if K.shape != (3, 3) or not np.isfinite(K).all():
        raise ValueError(f"row {calibration['token']} has the camera_intrinsic {given}, not 3 x 3 numbers")
    return K
