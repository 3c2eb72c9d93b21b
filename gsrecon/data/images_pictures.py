"""The pictures that training reads: taken out of videos, and free of distortion that no camera here has."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64
from PIL import Image

from gsrecon.data.images_cache import computed_folder, emptied, file_state, key_of
from gsrecon.data.images_found import Picture, Pictures, Stream
from gsrecon.data.images_sfm import Model, Progress
from gsrecon.data.images_undistort import pinhole_intrinsics, undistort
from gsrecon.data.pictures import decode_ids, decode_rgb
from gsrecon.data.video import extract_pictures
from gsrecon.geometry.camera import CameraModel


@dataclass(frozen=True)
class Lens:
    """A camera as the engine takes it."""

    K: Float64[np.ndarray, "3 3"]
    model: CameraModel
    distortion: tuple[float, float, float, float] | None
    undistorted: bool
    """Whether its pictures had to be resampled for that."""


def video_pictures(video: Path, pictures_per_second: float) -> Stream:
    """Pictures of a video with their times, decoded once and kept in the cache.

    Raises:
        BackendUnavailableError: PyAV is not installed.
        DatasetError: The video cannot be decoded.
    """

    def extract(folder: Path) -> None:
        pictures = emptied(folder / "pictures")
        taken = extract_pictures(video, pictures, pictures_per_second)
        listed = [[path.name, time] for path, time in taken]
        (folder / "times.json").write_text(json.dumps(listed), encoding="utf-8")

    key = key_of(["video", 1, file_state(video), pictures_per_second])
    folder = computed_folder(f"video-{key}", extract)
    listed = json.loads((folder / "times.json").read_text(encoding="utf-8"))
    return [(folder / "pictures" / name, time) for name, time in listed]


def lenses_of(model: Model, pictures: Pictures) -> dict[str, Lens]:
    """Pinhole and fisheye cameras stay as COLMAP found them; others become pinhole cameras."""
    lenses = {}
    for camera, found in model.lenses.items():
        fisheye = found.model == "OPENCV_FISHEYE"
        if fisheye or found.distortion is None:
            lenses[camera] = Lens(found.K, "fisheye" if fisheye else "pinhole", found.distortion, False)
        else:
            K = pinhole_intrinsics(found.K, found.distortion, *pictures.sizes[camera])
            lenses[camera] = Lens(K, "pinhole", None, True)
    return lenses


def undistorted_pictures(
    pictures: Pictures, model: Model, lenses: Mapping[str, Lens], progress: Progress
) -> dict[str, Picture]:
    """All pictures by name; those of cameras with distortion, and their masks, resampled once and cached.

    Raises:
        DatasetError: A picture or mask is damaged.
    """
    found = {picture.name: picture for picture in pictures.all}
    concerned = [picture for picture in pictures.all if picture.camera in lenses]
    concerned = [picture for picture in concerned if lenses[picture.camera].undistorted]
    if not concerned:
        return found

    def compute(folder: Path) -> None:
        for done, picture in enumerate(concerned):
            progress("undistorting", done / len(concerned))
            for kind in ("image", *picture.masks):
                source = picture.file if kind == "image" else picture.masks[kind]
                pixels = decode_rgb(source) if kind == "image" else decode_ids(source)
                drawn = undistort(
                    pixels,
                    lenses[picture.camera].K,
                    model.lenses[picture.camera].K,
                    model.lenses[picture.camera].distortion or (0.0, 0.0, 0.0, 0.0),
                )
                path = folder / _place(picture, kind)
                path.parent.mkdir(parents=True, exist_ok=True)
                drawn = drawn if kind == "image" else np.where(drawn != 0, 255, 0).astype(np.uint8)
                Image.fromarray(drawn).save(path, compress_level=1)

    masks = [file_state(path) for picture in concerned for path in picture.masks.values()]
    folder = computed_folder(f"{model.folder.name}-undistorted-{key_of(masks)}", compute)
    for picture in concerned:
        found[picture.name] = Picture(
            picture.camera,
            picture.index,
            folder / _place(picture, "image"),
            picture.timestamp_us,
            {kind: folder / _place(picture, kind) for kind in picture.masks},
        )
    return found


def _place(picture: Picture, kind: str) -> str:
    return f"{kind}/{picture.camera}/{picture.index:06d}.png"
