"""`images.toml`: what is known about a folder of plain pictures beyond the pictures."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float64

from gsrecon.data.folder_values import Value
from gsrecon.errors import DatasetError

Lens = Literal["auto", "pinhole", "radial", "radial-tangential", "fisheye"]

DISTORTIONS: Mapping[str, int] = {"pinhole": 0, "radial": 1, "radial-tangential": 4, "fisheye": 4}
"""Numbers of distortion by lens: none; k1; k1, k2, p1, p2; Kannala-Brandt's k1 to k4."""


@dataclass(frozen=True)
class KnownCamera:
    """What is known about one camera."""

    lens: Lens = "auto"
    """`auto` starts with one radial term and drops it where the pictures fit as well without."""
    K: Float64[np.ndarray, "3 3"] | None = None
    """Intrinsics, pixel centres at +0.5; None: found from the pictures."""
    distortion: tuple[float, ...] = ()
    """As `DISTORTIONS` says; only with K."""


@dataclass(frozen=True)
class Baseline:
    """The scale from two cameras of the rig that are a known distance apart."""

    metres: float
    between: tuple[str, str]


@dataclass(frozen=True)
class Speed:
    """The scale from the ego car's mean speed."""

    metres_per_second: float


@dataclass(frozen=True)
class Length:
    """The scale from the length of the driven path."""

    metres: float


@dataclass(frozen=True)
class Height:
    """The scale from the ego camera's height over the road."""

    metres: float


Scale = Baseline | Speed | Length | Height


@dataclass(frozen=True)
class Lidar:
    """A folder of sweeps, numbered like the pictures of one camera and taken with them."""

    folder: Path
    camera: str
    cam_from_lidar: Float64[np.ndarray, "4 4"]


@dataclass(frozen=True)
class ImagesSettings:
    """Everything in `images.toml`."""

    fps: float | None = None
    """Pictures a second of each camera; None: 10, and of a video its own times."""
    timestamps: Path | None = None
    """A file of times [s]."""
    ego_camera: str | None = None
    """The camera the ego sits in; None: the first one that looks where the car drives."""
    cameras: Mapping[str, KnownCamera] = field(default_factory=dict)
    scale: Scale | None = None
    """None: from lidar where there is some, else a camera height of 1.6 m is assumed, with a warning."""
    masks: Mapping[str, Path] = field(default_factory=dict)
    """Folders of masks by name: `ego`, `ignore`, `moving`, `sky`."""
    lidar: Lidar | None = None
    overlap: int = 10
    """Each picture is matched with this many before it, and with some farther away."""
    features: int = 8192
    """Most features of a picture."""
    video_fps: float = 10.0
    """At most this many pictures a second are taken from a video."""


_KEYS = (
    "fps",
    "timestamps",
    "pixel_centers",
    "ego_camera",
    "cameras",
    "scale",
    "masks",
    "lidar",
    "matching",
    "video",
)
_SCALES = ("baseline_m", "between", "speed_mps", "length_m", "camera_height_m")
_MASKS = ("ego", "ignore", "moving", "sky")


def read_settings(file: Path) -> ImagesSettings:
    """Parses an `images.toml` strictly; a file that is not there gives the defaults.

    Raises:
        DatasetError: The file is no TOML, has an unknown key or a wrong value; the message names both.
    """
    if not file.is_file():
        return ImagesSettings()
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DatasetError(f"{file}: is no valid TOML ({error}); correct that line") from error
    top = Value(content, file).members((), _KEYS)
    if "fps" in top and "timestamps" in top:
        raise DatasetError(f"{file}: fps and timestamps both give the times; keep one of them")
    first_centre = float(top["pixel_centers"].choice(0, 0.5)) if "pixel_centers" in top else None
    matching = top["matching"].members((), ("overlap", "features")) if "matching" in top else {}
    video = top["video"].members((), ("pictures_per_second",)) if "video" in top else {}
    return ImagesSettings(
        fps=_above_zero(top["fps"]) if "fps" in top else None,
        timestamps=top["timestamps"].path() if "timestamps" in top else None,
        ego_camera=top["ego_camera"].text() if "ego_camera" in top else None,
        cameras={name: _camera(entry, first_centre) for name, entry in top["cameras"].named().items()}
        if "cameras" in top
        else {},
        scale=_scale(top["scale"]) if "scale" in top else None,
        masks={name: _folder(value) for name, value in top["masks"].members((), _MASKS).items()}
        if "masks" in top
        else {},
        lidar=_lidar(top["lidar"]) if "lidar" in top else None,
        overlap=matching["overlap"].whole(1) if "overlap" in matching else ImagesSettings.overlap,
        features=matching["features"].whole(100) if "features" in matching else ImagesSettings.features,
        video_fps=_above_zero(video["pictures_per_second"]) if video else ImagesSettings.video_fps,
    )


def _camera(entry: Value, first_centre: float | None) -> KnownCamera:
    members = entry.members((), ("lens", "K", "distortion"))
    lens: Lens = members["lens"].choice("auto", *DISTORTIONS) if "lens" in members else "auto"
    if "K" not in members:
        if "distortion" in members:
            raise members["distortion"].error("no distortion without K")
        return KnownCamera(lens)
    if first_centre is None:
        raise DatasetError(
            f"{entry.file}: the key pixel_centers is missing; add pixel_centers = 0 where your K counts the "
            "first pixel's centre as 0 (OpenCV, KITTI, nuScenes), or 0.5 (COLMAP)"
        )
    K = members["K"].intrinsics(first_centre)
    lens = "pinhole" if lens == "auto" else lens
    count = DISTORTIONS[lens]
    given = members["distortion"].numbers(-1) if "distortion" in members else np.zeros(0)
    if len(given) != count:
        raise members.get("distortion", entry).error(f"distortion with {count} numbers for the lens {lens}")
    return KnownCamera(lens, K, tuple(given.tolist()))


def _scale(entry: Value) -> Scale:
    members = entry.members((), _SCALES)
    sources = [name for name in members if name != "between"]
    if len(sources) != 1 or ("between" in members) != (sources == ["baseline_m"]):
        raise entry.error(
            "one of baseline_m (with between = [camera, camera]), speed_mps, length_m and camera_height_m"
        )
    number = _above_zero(members[sources[0]])
    if sources == ["baseline_m"]:
        names = [name.text() for name in members["between"].items()]
        if len(names) != 2 or names[0] == names[1]:
            raise members["between"].error("the names of two cameras")
        return Baseline(number, (names[0], names[1]))
    if sources == ["speed_mps"]:
        return Speed(number)
    return Length(number) if sources == ["length_m"] else Height(number)


def _lidar(entry: Value) -> Lidar:
    members = entry.members(("folder", "camera", "cam_from_lidar"))
    return Lidar(_folder(members["folder"]), members["camera"].text(), members["cam_from_lidar"].rigid())


def _folder(value: Value) -> Path:
    path = value.file.parent / value.text()
    if not path.exists():
        raise DatasetError(f"{value.file}: {value.place}: there is no {path}; restore it or remove the key")
    return path


def _above_zero(value: Value) -> float:
    number = value.content
    if not isinstance(number, int | float) or isinstance(number, bool) or not 0 < number < float("inf"):
        raise value.error("a number above 0")
    return float(number)
