"""What was recorded: cameras, pictures, lidar, tracks and lanes of one drive, read lazily."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32, Float64, Int64, UInt8, Bool
from PIL import Image

from gsrecon.errors import DatasetError
from gsrecon.geometry.camera import CameraModel

PictureSource = Path | np.ndarray
"""A file to decode on demand, or pixels already in memory."""


@dataclass(frozen=True)
class Camera:
    """One physical camera of the rig, inside conventions (pixel centres at +0.5)."""

    name: str
    K: Float64[np.ndarray, "3 3"]
    width: int
    height: int
    ego_from_cam: Float64[np.ndarray, "4 4"]
    model: CameraModel = "pinhole"
    distortion: tuple[float, float, float, float] | None = None


@dataclass(frozen=True)
class CameraFrame:
    """One picture with its own time and pose."""

    camera: str
    index: int
    """Position in the camera's recording, from 0; train/test splits refer to it."""
    timestamp_us: int
    world_from_cam: Float64[np.ndarray, "4 4"]
    image: PictureSource
    masks: Mapping[str, PictureSource] = field(default_factory=dict)
    """Masks by name, non-zero where the name holds: `ego`, `ignore`, `sky`, `moving`, and the id
    pictures `semantic`, `instance`. `ego` and `ignore` pixels never count."""


@dataclass(frozen=True)
class LidarSweep:
    """One turn of the lidar; the timestamp is the end of the turn."""

    timestamp_us: int
    world_from_lidar: Float64[np.ndarray, "4 4"]
    points: Path | np.ndarray
    """A file the log's reader knows how to decode, or [N, 3+] float32 in the lidar frame [m]."""


@dataclass(frozen=True)
class Track:
    """One annotated object over time; parked objects too."""

    id: str
    category: str
    size_lwh: Float64[np.ndarray, " 3"]
    """Length, width, height [m]."""
    timestamps_us: Int64[np.ndarray, " T"]
    world_from_actor: Float64[np.ndarray, "T 4 4"]
    """Box centres, x along the length."""


@dataclass(frozen=True)
class Lane:
    """A lane line or map line."""

    id: str
    kind: str
    points_in_world: Float64[np.ndarray, "P 3"]
