"""Assets: single objects, cut out of a scene, with all that is known about them, as folders to keep.

    FOLDER/asset.toml      what it is, how well it was seen, where it is from, checksums
    FOLDER/gaussians.ply   its Gaussians in its own frame
    FOLDER/preview.png     a picture of it

The format is described in docs/assets.md.
"""

import hashlib
import os
import re
import shutil
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from gsrecon.errors import DatasetError, SpecError
from gsrecon.files import toml_text
from gsrecon.gaussians.gaussians import Gaussians
from gsrecon.gaussians.ply import ply_bytes, read_ply
from gsrecon.ops.settings import RasterizeMode, RasterizeSettings
from gsrecon.scene.sealed import write_whole
from gsrecon.scene.sides import SIDES

FORMAT_VERSION = 1
ASSET, GAUSSIANS, PREVIEW = "asset.toml", "gaussians.ply", "preview.png"
FRAME = "origin at the centre of the box, x along the length, y to the left, z up [m]"

_LEFTOVER = re.compile(r"\.(?P<name>.+)\.(?P<process>[0-9]{1,9})\.(?P<state>partial|old)")
"""What `gsrecon.scene.sealed.write_whole` calls the folders that it works in."""

_TABLES: dict[str, tuple[str, ...]] = {
    "": ("format_version", "name", "class", "size_lwh", "frame", "source", "object", "licence"),
    "seen": ("pictures", "pixels", "largest", "sides"),
    "quality": ("psnr_db", "judged_on", "solid_share"),
    "drawn": ("mode", "eps2d"),
    "files": (GAUSSIANS, PREVIEW),
}
"""Keys of `asset.toml` by table."""


@dataclass(frozen=True)
class Seen:
    """How much of an object the recorded pictures show."""

    pictures: int = 0
    """In which it is seen."""
    pixels: int = 0
    """Over all of these."""
    largest: int = 0
    """Pixels in the picture that shows most of it."""
    sides: tuple[str, ...] = ()
    """From which it was seen: see `gsrecon.scene.sides.SIDES`."""


@dataclass(frozen=True)
class Quality:
    """How good an object's Gaussians are, as far as it was measured."""

    psnr_db: float | None = None
    """On the object's own pixels of recorded pictures [dB]; None where there were none to compare with."""
    judged_on: str = ""
    """One line: what `psnr_db` was measured on, or why there is none."""
    solid_share: float = 0.0
    """Share of the Gaussians in the box that are more than 15 % opaque."""


@dataclass(frozen=True)
class Asset:
    """One object with the Gaussians it is made of."""

    name: str
    class_name: str
    """As the drive calls it, such as `car`; `unknown` where nothing says."""
    size_lwh: tuple[float, float, float]
    """Length, width and height of its box [m]."""
    gaussians: Gaussians
    """In the frame of the object: the box' centre, x along the length, z up."""
    seen: Seen = field(default_factory=Seen)
    quality: Quality = field(default_factory=Quality)
    source: str = ""
    """The drive it was recorded in."""
    object_id: str = ""
    """Its id there."""
    licence: str = ""
    """One sentence: under which the recording, and so this, may be used."""
    settings: RasterizeSettings = field(default_factory=RasterizeSettings)
    """How its scene was rasterized; only `mode` and `eps2d` are kept."""
    folder: Path | None = None
    """Where it was read from."""

    @property
    def sides(self) -> tuple[str, ...]:
        """From which it was seen."""
        return self.seen.sides


def write_asset(asset: Asset, folder: Path, preview_png: bytes = b"") -> None:
    """Writes an asset, whole or not at all; an asset that was there is replaced.

    Args:
        asset: The asset; its `folder` is not looked at.
        folder: Where it goes.
        preview_png: A picture of it; without one, none is stored.

    Raises:
        OSError: The disk is full or cannot be written; what was at `folder` is as it was before.
    """
    contents = {GAUSSIANS: ply_bytes(asset.gaussians.detached(), comments=[f"frame: {FRAME}"])}
    if preview_png:
        contents[PREVIEW] = preview_png
    table = _to_table(asset)
    table["files"] = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    write_whole(Path(folder), {**contents, ASSET: toml_text(table).encode()})


def read_asset(folder: Path) -> Asset:
    """Reads an asset and checks its files against their checksums.

    Raises:
        SpecError: A file is missing, damaged or changed, or `asset.toml` has an unknown key or version.
    """
    folder = Path(folder)
    table = _table(folder / ASSET)
    for name, checksum in table["files"].items():
        _require_unchanged(folder / name, checksum)
    try:
        gaussians = read_ply(folder / GAUSSIANS)
    except DatasetError as error:
        raise SpecError(f"{error}; extract the asset again with `gsrecon assets extract`") from error
    try:
        return _from_table(table, gaussians, folder)
    except (TypeError, ValueError, KeyError) as error:
        raise SpecError(f"{folder / ASSET}: a value is missing or of another kind ({error})") from error


def find_assets(folder: Path) -> list[Path]:
    """Folders of assets in a folder or its `assets`, by name; the folder itself where it is one."""
    if (folder / ASSET).is_file():
        return [folder]
    for inner in (folder / "assets", folder):
        found = sorted(path.parent for path in inner.glob(f"*/{ASSET}") if path.parent.name[0] != ".")
        if found:
            return found
    return []


def clear_leftovers(folder: Path) -> None:
    """Tidies up after processes of this machine that were killed while they wrote assets into a folder.

    What they had begun is removed, and an asset that they had put aside to replace it comes back. Folders of
    processes that still run, and any that hold something else than an asset, are left alone.
    """
    for path in sorted(folder.glob(".*")):
        left = _LEFTOVER.fullmatch(path.name)
        if left is None or path.is_symlink() or not path.is_dir() or _runs(int(left["process"])):
            continue
        if not {inner.name for inner in path.iterdir()} <= {ASSET, GAUSSIANS, PREVIEW}:
            continue
        asset = folder / left["name"]
        if left["state"] == "old" and not asset.exists():
            path.rename(asset)
        else:
            shutil.rmtree(path, ignore_errors=True)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True


def _to_table(asset: Asset) -> dict[str, Any]:
    quality: dict[str, Any] = {"judged_on": asset.quality.judged_on, "solid_share": asset.quality.solid_share}
    if asset.quality.psnr_db is not None:
        quality["psnr_db"] = asset.quality.psnr_db
    return {
        "format_version": FORMAT_VERSION,
        "name": asset.name,
        "class": asset.class_name,
        "size_lwh": list(asset.size_lwh),
        "frame": FRAME,
        "source": asset.source,
        "object": asset.object_id,
        "licence": asset.licence,
        "seen": {
            "pictures": asset.seen.pictures,
            "pixels": asset.seen.pixels,
            "largest": asset.seen.largest,
            "sides": list(asset.seen.sides),
        },
        "quality": quality,
        "drawn": {"mode": asset.settings.mode, "eps2d": asset.settings.eps2d},
    }


def _from_table(table: Mapping[str, Any], gaussians: Gaussians, folder: Path) -> Asset:
    seen, quality, drawn = table["seen"], table["quality"], table["drawn"]
    length, width, height = (float(value) for value in table["size_lwh"])
    if not min(length, width, height) > 0:
        raise ValueError(f"size_lwh: expected lengths above 0 [m], got {table['size_lwh']}")
    if drawn["mode"] not in get_args(RasterizeMode):
        raise ValueError(f"mode: expected one of {get_args(RasterizeMode)}, got {drawn['mode']!r}")
    if not set(seen["sides"]) <= set(SIDES):
        raise ValueError(f"sides: expected some of {SIDES}, got {seen['sides']}")
    psnr_db = quality.get("psnr_db")
    return Asset(
        name=str(table["name"]),
        class_name=str(table["class"]),
        size_lwh=(length, width, height),
        gaussians=gaussians,
        seen=Seen(int(seen["pictures"]), int(seen["pixels"]), int(seen["largest"]), tuple(seen["sides"])),
        quality=Quality(
            None if psnr_db is None else float(psnr_db),
            str(quality["judged_on"]),
            float(quality["solid_share"]),
        ),
        source=str(table["source"]),
        object_id=str(table["object"]),
        licence=str(table["licence"]),
        settings=RasterizeSettings(mode=drawn["mode"], eps2d=float(drawn["eps2d"])),
        folder=folder,
    )


def _table(path: Path) -> dict[str, Any]:
    """The contents of an `asset.toml` with all of its tables."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SpecError(
            f"{path}: there is no such file, so {path.parent} is no asset; name a folder that "
            "`gsrecon assets extract` wrote"
        ) from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SpecError(
            f"{path}: cannot be read ({error}); extract the asset again with `gsrecon assets extract`"
        ) from error
    version = table.get("format_version")
    if version != FORMAT_VERSION:
        raise SpecError(
            f"{path}: format_version: expected {FORMAT_VERSION}, got {version!r}; use the gsrecon that wrote "
            "it or extract the asset again"
        )
    for name, keys in _TABLES.items():
        part = table if name == "" else table.get(name)
        if not isinstance(part, dict):
            raise SpecError(f"{path}: expected a table [{name}], got {part!r}; extract the asset again")
        known = (*keys, *_TABLES) if name == "" else keys
        unknown = sorted(set(part) - set(known))
        if unknown:
            place = f"[{name}] " if name else ""
            raise SpecError(f"{path}: {place}unknown key {unknown[0]!r}; there are {', '.join(keys)}")
    if GAUSSIANS not in table["files"]:
        raise SpecError(f"{path}: [files] names no {GAUSSIANS}; extract the asset again")
    return table


def _require_unchanged(path: Path, checksum: str) -> None:
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise SpecError(
            f"{path}: the file is missing or unreadable ({error.strerror}); extract the asset again with "
            "`gsrecon assets extract`"
        ) from error
    if found != checksum:
        raise SpecError(
            f"{path}: the file is damaged or was changed (its checksum is not the one in {ASSET}); extract "
            "the asset again with `gsrecon assets extract`"
        )
