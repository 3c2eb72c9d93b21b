"""Which pictures a folder holds: their cameras, their order, and which were taken together."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from urllib.parse import quote

from PIL import Image

from gsrecon.data.images_settings import ImagesSettings
from gsrecon.data.pictures import upright_size
from gsrecon.errors import DatasetError

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
VIDEO_SUFFIXES = (".mp4", ".mov", ".avi", ".mkv", ".m4v", ".webm")
ONE_CAMERA = "camera"
"""Name of the camera of a folder that has no sub folders."""

_USUAL_FPS = 10.0
_LARGEST_S = 9e12  # whole microseconds up to here have a place in 64 bits


@dataclass(frozen=True)
class Picture:
    """One picture of one camera."""

    camera: str
    index: int
    """Place in the recording, from 0; pictures of several cameras taken together share it."""
    file: Path
    timestamp_us: int
    masks: Mapping[str, Path] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Its name for COLMAP: cameras are folders, names sort by time, and none holds a space."""
        return f"{folder_name(self.camera)}/{self.index:06d}{self.file.suffix.lower()}"


@dataclass(frozen=True)
class Pictures:
    """All pictures of a drive."""

    all: tuple[Picture, ...]
    """Camera by camera, by index."""
    sizes: Mapping[str, tuple[int, int]]
    """Width and height of each camera's pictures [px]."""
    together: bool
    """Whether pictures of one index belong together."""
    clock: str
    """Where the times come from, for people."""

    def of(self, camera: str) -> list[Picture]:
        """One camera's pictures, by index."""
        return [picture for picture in self.all if picture.camera == camera]


def folder_name(camera: str) -> str:
    """A camera's name where spaces part names."""
    return quote(camera, safe="")


Stream = Sequence[tuple[Path, int | None]]
"""Files of one camera in order, with their times [us] where they are known."""


def find_streams(folder: Path, settings: ImagesSettings) -> dict[str, list[Path]]:
    """Files by camera, in natural order: pictures, or one video.

    Pictures in the folder itself are one camera's; else each sub folder with pictures (KITTI's: in its folder
    `data`) is a camera, and so is each video. Hidden folders and those that the settings name for masks and
    lidar are passed over.

    Raises:
        DatasetError: There is nothing, or pictures lie both in the folder and in sub folders.
    """
    if folder.suffix.lower() in VIDEO_SUFFIXES and folder.is_file():
        return {ONE_CAMERA: [folder]}
    if not folder.is_dir():
        raise DatasetError(
            f"{folder}: there is no such folder or video; give a folder of pictures or a video"
        )
    other = {path.resolve() for path in settings.masks.values()}
    if settings.lidar is not None:
        other.add(settings.lidar.folder.resolve())
    here = _pictures_in(folder)
    streams = {}
    for child in sorted(folder.iterdir(), key=lambda path: natural(path.name)):
        if child.name.startswith(".") or child.resolve() in other:
            continue
        if child.is_dir() and (inside := _pictures_in(child) or _pictures_in(child / "data")):
            streams[child.name] = inside
        elif child.is_file() and child.suffix.lower() in VIDEO_SUFFIXES:
            streams[child.stem] = [child]
    if here and streams:
        raise DatasetError(
            f"{folder}: holds pictures and also {', '.join(streams)}; move the pictures of each camera into "
            "a folder of its own, and masks into one that images.toml names"
        )
    if here:
        return {ONE_CAMERA: here}
    if not streams:
        raise DatasetError(
            f"{folder}: no pictures ({', '.join(PICTURE_SUFFIXES)}) or videos in it or its sub folders; give "
            "the folder that holds them"
        )
    return streams


def arrange(streams: Mapping[str, Stream], folder: Path, settings: ImagesSettings) -> Pictures:
    """Gives every picture its index, time and masks.

    Raises:
        DatasetError: There are fewer than 3 pictures, times of a camera do not ascend, sizes differ, a file
            is no picture, or a name in the settings is no camera.
    """
    _require_known_names(streams, folder, settings)
    count = sum(len(stream) for stream in streams.values())
    if count < 3:
        raise DatasetError(f"{folder}: {count} pictures are too few for a scene; give at least 3")
    indices, together = _indices(streams)
    times, clock = _times(streams, indices, folder, settings)
    pictures = tuple(
        Picture(camera, index, file, time, _masks(camera, file, settings))
        for camera, stream in streams.items()
        for (file, _), index, time in zip(stream, indices[camera], times[camera], strict=True)
    )
    _require_ascending_times(pictures)
    return Pictures(pictures, _sizes(pictures), together, clock)


def natural(name: str) -> tuple[tuple[int, int | str], ...]:
    """A sorting key that counts: picture2 comes before picture10."""
    return tuple((0, int(part)) if part.isdigit() else (1, part) for part in re.split(r"(\d+)", name) if part)


def _pictures_in(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    found = [path for path in folder.iterdir() if path.suffix.lower() in PICTURE_SUFFIXES and path.is_file()]
    visible = [path for path in found if not path.name.startswith(".")]
    return sorted(visible, key=lambda path: natural(path.name))


def _require_known_names(streams: Mapping[str, Stream], folder: Path, settings: ImagesSettings) -> None:
    named = {*settings.cameras, *([settings.ego_camera] if settings.ego_camera else [])}
    if settings.lidar is not None:
        named.add(settings.lidar.camera)
    named |= set(getattr(settings.scale, "between", ()))
    unknown = sorted(named - set(streams))
    if unknown:
        raise DatasetError(
            f"{folder}: images.toml names the camera {unknown[0]}, but there are {', '.join(streams)}; "
            "correct the name"
        )


def _indices(streams: Mapping[str, Stream]) -> tuple[dict[str, list[int]], bool]:
    """Indices by camera, and whether pictures of one index were taken together.

    Pictures belong together by equal names, else by the last number in their names; else each camera is
    counted by itself.
    """
    by_place = {camera: list(range(len(stream))) for camera, stream in streams.items()}
    if len(streams) == 1:
        return by_place, False
    for key in (_stem, _last_number):
        keys = {camera: [key(file) for file, _ in stream] for camera, stream in streams.items()}
        whole = all(None not in names and len(set(names)) == len(names) for names in keys.values())
        shared = Counter(name for names in keys.values() for name in names)
        fewest = min(len(names) for names in keys.values())
        if whole and 2 * sum(times > 1 for times in shared.values()) >= fewest:
            order = {name: i for i, name in enumerate(sorted(shared, key=lambda name: natural(str(name))))}
            return {camera: [order[name] for name in names] for camera, names in keys.items()}, True
    return by_place, False


def _stem(file: Path) -> str | None:
    return file.stem


def _last_number(file: Path) -> str | None:
    found = re.findall(r"\d+", file.stem)
    return str(int(found[-1])) if found else None


def _times(
    streams: Mapping[str, Stream], indices: Mapping[str, list[int]], folder: Path, settings: ImagesSettings
) -> tuple[dict[str, list[int]], str]:
    """Times [us] by camera, and where they come from."""
    if settings.timestamps is not None:
        known = _read_times(settings.timestamps)
        times = {
            camera: [
                _time_of(file, index, folder, known, settings.timestamps)
                for (file, _), index in zip(stream, indices[camera], strict=True)
            ]
            for camera, stream in streams.items()
        }
        return times, f"times are those of {settings.timestamps.name}"
    if settings.fps is None and all(time is not None for stream in streams.values() for _, time in stream):
        return {
            camera: [time or 0 for _, time in stream] for camera, stream in streams.items()
        }, "times are the video's own"
    fps = settings.fps or _USUAL_FPS
    given = "given" if settings.fps else "assumed"
    times = {camera: [round(index * 1e6 / fps) for index in indices[camera]] for camera in streams}
    return times, f"{fps:g} pictures a second are {given}"


def _read_times(file: Path) -> dict[str, float] | list[float]:
    """Times [s] by picture, or in the order of the pictures where the lines hold nothing else."""
    rows = [line.split() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    try:
        if all(len(row) == 1 for row in rows):
            return [_seconds(row[0]) for row in rows]
        return {row[0]: _seconds(row[1]) for row in rows if len(row) == 2 or row[2]}
    except (ValueError, IndexError):
        raise DatasetError(
            f"{file}: expected lines 'SECONDS' or 'PICTURE SECONDS'; correct the file of times"
        ) from None


def _seconds(text: str) -> float:
    seconds = float(text)
    if not abs(seconds) < _LARGEST_S:
        raise ValueError
    return seconds


def _time_of(
    file: Path, index: int, folder: Path, known: dict[str, float] | list[float], source: Path
) -> int:
    if isinstance(known, list):
        if index < len(known):
            return round(known[index] * 1e6)
        raise DatasetError(f"{source}: has {len(known)} times, but {file} is picture {index}; add the others")
    inside = file.relative_to(folder) if file.is_relative_to(folder) else Path(file.name)
    for name in (inside.as_posix(), inside.with_suffix("").as_posix(), file.name, file.stem):
        if name in known:
            return round(known[name] * 1e6)
    raise DatasetError(f"{source}: there is no time for {inside}; add its line")


def _masks(camera: str, file: Path, settings: ImagesSettings) -> dict[str, Path]:
    """Masks of a picture: `FOLDER/CAMERA/NAME.png`, `FOLDER/NAME.png`, or `FOLDER/CAMERA.png` for all."""
    found = {}
    for name, place in settings.masks.items():
        candidates = [
            place / camera / f"{file.stem}.png",
            place / f"{file.stem}.png",
            place / f"{camera}.png",
        ]
        if place.is_file():
            candidates = [place]
        existing = next((path for path in candidates if path.is_file()), None)
        if existing is not None:
            found[name] = existing
    return found


def _require_ascending_times(pictures: Sequence[Picture]) -> None:
    """Pictures follow each other by their names: what is matched with what, and where the car drives."""
    for before, picture in pairwise(pictures):
        if before.camera != picture.camera or before.timestamp_us < picture.timestamp_us:
            continue
        if before.timestamp_us == picture.timestamp_us:
            raise DatasetError(
                f"{picture.file}: has the time of {before.file.name} ({picture.timestamp_us * 1e-6:g} s); "
                "give every picture of a camera its own time"
            )
        raise DatasetError(
            f"{picture.file}: its time, {picture.timestamp_us * 1e-6:g} s, lies before that of "
            f"{before.file.name}, {before.timestamp_us * 1e-6:g} s; correct the times, or rename the "
            "pictures so that they are in the order in which they were taken"
        )


def _sizes(pictures: Sequence[Picture]) -> dict[str, tuple[int, int]]:
    sizes: dict[str, tuple[int, int]] = {}
    first: dict[str, Path] = {}
    for picture in pictures:
        try:
            with Image.open(picture.file) as image:
                size = upright_size(image)
        except (OSError, SyntaxError, ValueError) as error:
            raise DatasetError(
                f"{picture.file}: is no picture ({error}); copy it again from its source or remove it"
            ) from error
        if sizes.setdefault(picture.camera, size) != size:
            width, height = sizes[picture.camera]
            raise DatasetError(
                f"{picture.file}: is {size[0]} x {size[1]}, but {first[picture.camera].name} of the same "
                f"camera is {width} x {height}; give each camera a folder of its own"
            )
        first.setdefault(picture.camera, picture.file)
    return sizes
