"""Decoding pictures and masks from files, resizing them by area, and a cache bounded in bytes."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32, UInt8
from PIL import ExifTags, Image, ImageOps

from gsrecon.errors import DatasetError

_LYING = (5, 6, 7, 8)
"""EXIF's orientations in which width and height are exchanged."""

_QUALITY = 97
"""Of JPEGs that are written anew."""

PictureSource = Path | np.ndarray
"""A file to decode on demand, or pixels already in memory."""


class PictureCache:
    """Decoded arrays, the least recently used thrown out first; safe to use from several threads."""

    def __init__(self, limit_bytes: int = 256 * 2**20) -> None:
        self.limit_bytes = limit_bytes
        """Arrays are kept up to this many bytes in all; a single larger one is never kept."""
        self.size_bytes = 0
        self._arrays: OrderedDict[Hashable, np.ndarray] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, decode: Callable[[], np.ndarray]) -> np.ndarray:
        """A copy of the array under `key`, decoded now if it is not here; the copy is the caller's."""
        with self._lock:
            array = self._arrays.get(key)
            if array is not None:
                self._arrays.move_to_end(key)
        if array is None:
            array = decode()
            self._keep(key, array)
        return array.copy()

    def _keep(self, key: Hashable, array: np.ndarray) -> None:
        with self._lock:
            if key in self._arrays or array.nbytes > self.limit_bytes:
                return
            self._arrays[key] = array
            self.size_bytes += array.nbytes
            while self.size_bytes > self.limit_bytes:
                self.size_bytes -= self._arrays.popitem(last=False)[1].nbytes


def decode_rgb(source: PictureSource) -> UInt8[np.ndarray, "H W 3"]:
    """A picture as 8-bit RGB: gray is repeated, 16 bits are scaled to 8, an alpha channel is dropped.

    Raises:
        DatasetError: The file is missing, truncated or no picture; the message names it.
    """
    pixels = decode(source)
    if pixels.dtype == np.uint16:
        pixels = ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    elif pixels.dtype == np.bool_:
        pixels = pixels.astype(np.uint8) * 255
    if pixels.dtype != np.uint8:
        raise DatasetError(
            f"{_name(source)}: expected 8 or 16 bits a channel, got {pixels.dtype}; "
            "save the picture as 8-bit PNG"
        )
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 2, 3, 4):
        raise DatasetError(f"{_name(source)}: expected [height, width, 3] pixels, got {list(pixels.shape)}")
    colors = pixels[..., :3] if pixels.shape[2] >= 3 else np.repeat(pixels[..., :1], 3, axis=2)
    return np.ascontiguousarray(colors)


def decode_ids(source: PictureSource) -> np.ndarray:
    """A mask or id picture as int32 [H, W]; of a colour picture the first channel, non-zero where any is.

    Raises:
        DatasetError: The file is missing, truncated or no picture; the message names it.
    """
    pixels = decode(source)
    if pixels.ndim == 3:
        colors = pixels[..., :3] if pixels.shape[2] >= 3 else pixels[..., :1]
        pixels = colors.max(axis=2)
    return np.ascontiguousarray(pixels.astype(np.int32))


def decode(source: PictureSource) -> np.ndarray:
    """The pixels as they are stored: bool, uint8, uint16 or int32, [H, W] or [H, W, channels].

    A picture that its EXIF says was taken with a turned camera is turned upright, as every viewer shows it.

    Raises:
        DatasetError: The file is missing, truncated or no picture; the message names it.
    """
    if isinstance(source, np.ndarray):
        return source
    if not source.is_file():
        raise DatasetError(f"{source}: the picture is missing; restore the file or leave its frame out")
    try:
        with Image.open(source) as stored:
            image = stored if _orientation(stored) == 1 else ImageOps.exif_transpose(stored)
            if image.mode == "P":
                # A palette of colours is a picture; the same mode with ids in it is read by its indices.
                return np.asarray(image.convert("RGB") if _is_colorful(image) else image.convert("L"))
            if image.mode.startswith("I") and image.mode != "I":
                return np.asarray(image).astype(np.uint16)
            if image.mode == "I":
                # Pillow opened 16-bit gray as 32-bit integers before version 11.3.
                values = np.asarray(image)
                return values.astype(np.uint16) if stored.format == "PNG" else values
            return np.asarray(
                image if image.mode in ("1", "L", "LA", "RGB", "RGBA", "F") else image.convert("RGB")
            )
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise DatasetError(
            f"{source}: the picture is truncated or damaged ({error}); copy it again from its source "
            "or leave its frame out"
        ) from error


def upright_size(image: Image.Image) -> tuple[int, int]:
    """(width, height) of an opened picture as `decode` gives it; its pixels are not read."""
    width, height = image.size
    return (height, width) if _orientation(image) in _LYING else (width, height)


def is_turned(path: Path) -> bool:
    """True where a file's pixels lie otherwise than the picture is seen; False of what is no picture."""
    try:
        with Image.open(path) as image:
            return _orientation(image) != 1
    except (OSError, SyntaxError, ValueError):
        return False


def save_upright(source: Path, target: Path) -> None:
    """Writes a turned picture as it is seen, in its own format."""
    with Image.open(source) as stored:
        upright = ImageOps.exif_transpose(stored)
        upright.save(target, format=stored.format, quality=_QUALITY, exif=upright.getexif())


def _orientation(image: Image.Image) -> int:
    """1 (upright) to 8 as EXIF counts them, of an opened picture whose pixels need not be read for that."""
    if image.format == "TIFF" or (image.format == "PNG" and "exif" not in image.info):
        return 1  # Pillow turns a TIFF itself; a PNG's EXIF behind its pixels is not looked for
    return image.getexif().get(ExifTags.Base.Orientation, 1)


def resize_by_area(
    pixels: UInt8[np.ndarray, "H W C"], width: int, height: int
) -> UInt8[np.ndarray, "height width C"]:
    """Pixels averaged over the area that each new pixel covers, exact for any ratio."""
    if pixels.shape[:2] == (height, width):
        return pixels
    return np.clip(np.rint(average_by_area(pixels, width, height)), 0, 255).astype(np.uint8)


def average_by_area(pixels: np.ndarray, width: int, height: int) -> Float32[np.ndarray, "height width C"]:
    """The mean of [H, W, C] pixels over the area of each new pixel."""
    rows = _area_weights(pixels.shape[0], height)
    columns = _area_weights(pixels.shape[1], width)
    # Channels apart, so that both products are plain matrix products.
    planes = [rows @ pixels[..., c].astype(np.float32) @ columns.T for c in range(pixels.shape[2])]
    return np.stack(planes, axis=2)


def resize_nearest(ids: np.ndarray, width: int, height: int) -> np.ndarray:
    """The id under the centre of each new pixel of an [H, W] picture."""
    rows = ((np.arange(height) + 0.5) * ids.shape[0] / height).astype(np.int64)
    columns = ((np.arange(width) + 0.5) * ids.shape[1] / width).astype(np.int64)
    return ids[rows[:, None], columns[None, :]]


def _area_weights(source: int, target: int) -> Float32[np.ndarray, "target source"]:
    """Row i holds the share of each source pixel in target pixel i; rows sum to one."""
    edges = np.arange(target + 1) * (source / target)
    left, right = edges[:-1, None], edges[1:, None]
    pixels = np.arange(source)[None, :]
    overlap = np.clip(np.minimum(right, pixels + 1) - np.maximum(left, pixels), 0.0, None)
    return (overlap / overlap.sum(axis=1, keepdims=True)).astype(np.float32)


def _is_colorful(image: Image.Image) -> bool:
    palette = image.getpalette() or []
    return any(not (r == g == b) for r, g, b in zip(palette[::3], palette[1::3], palette[2::3], strict=False))


def _name(source: PictureSource) -> str:
    return str(source) if isinstance(source, Path) else "picture in memory"


def to_uint8(image: Float[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "H W 3"]:
    """Rounds colours in [0, 1] to bytes; what is outside is clamped, NaN is black."""
    return (np.nan_to_num(np.clip(image, 0.0, 1.0)) * 255.0 + 0.5).astype(np.uint8)
