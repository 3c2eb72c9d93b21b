"""What COLMAP is asked for a set of pictures: lenses, and which pictures are compared."""

from collections.abc import Mapping
from typing import Any

from gsrecon.data.images_found import Picture, Pictures, folder_name
from gsrecon.data.images_settings import ImagesSettings, KnownCamera

_ACROSS = 3
"""Pictures of two cameras are compared up to this many indices apart."""

_FULL_SIZE_PX = 1600
"""SIFT starts at twice the size of smaller pictures, as COLMAP usually does; that costs four times more."""

_UNKNOWN = {
    "auto": "SIMPLE_RADIAL",
    "pinhole": "SIMPLE_PINHOLE",
    "radial": "SIMPLE_RADIAL",
    "radial-tangential": "OPENCV",
    "fisheye": "OPENCV_FISHEYE",
}


def colmap_job(pictures: Pictures, settings: ImagesSettings) -> dict[str, Any]:
    """The part of COLMAP's job that decides the result; folders are added where it is run."""
    cameras = {folder_name(name): _lens(settings.cameras.get(name, KnownCamera())) for name in pictures.sizes}
    largest = max(max(size) for size in pictures.sizes.values())
    return {
        "cameras": cameras,
        "images": [picture.name for picture in pictures.all],
        "pairs": picture_pairs(pictures, settings.overlap),
        "features": settings.features,
        "first_octave": -1 if largest <= _FULL_SIZE_PX else 0,
        "seed": 0,
    }


def picture_pairs(pictures: Pictures, overlap: int) -> list[tuple[str, str]]:
    """Names of pictures to compare, each pair once.

    Within a camera each picture with the next `overlap` ones, and with those 16, 32, ... later (powers of two
    beyond the overlap); between cameras the pictures of nearly the same index.
    """
    found: list[tuple[str, str]] = []
    streams = {camera: pictures.of(camera) for camera in pictures.sizes}
    steps = [*range(1, overlap + 1), *(2**k for k in range(20) if 2**k > overlap)]
    for stream in streams.values():
        for place, picture in enumerate(stream):
            found += [
                (picture.name, stream[place + step].name) for step in steps if place + step < len(stream)
            ]
    names = list(streams)
    for number, first in enumerate(names):
        for second in names[number + 1 :]:
            found += _across(streams[first], streams[second])
    return found


def _across(first: list[Picture], second: list[Picture]) -> list[tuple[str, str]]:
    by_index = {picture.index: picture for picture in second}
    return [
        (picture.name, by_index[picture.index + away].name)
        for picture in first
        for away in range(-_ACROSS, _ACROSS + 1)
        if picture.index + away in by_index
    ]


def _lens(known: KnownCamera) -> Mapping[str, Any]:
    """COLMAP's camera model, its parameters where they are known, and what may change of it."""
    if known.K is None:
        model = _UNKNOWN[known.lens]
        return {"model": model, "params": None, "constant": False, "simplify": known.lens == "auto"}
    (fx, fy), (cx, cy) = known.K[[0, 1], [0, 1]].tolist(), known.K[:2, 2].tolist()
    params = [fx, fy, cx, cy]
    if known.lens == "pinhole":
        return {"model": "PINHOLE", "params": params, "constant": True, "simplify": False}
    if known.lens == "fisheye":
        params += known.distortion
        return {"model": "OPENCV_FISHEYE", "params": params, "constant": True, "simplify": False}
    params += [*known.distortion, 0.0, 0.0, 0.0][:4]
    return {"model": "OPENCV", "params": params, "constant": True, "simplify": False}
