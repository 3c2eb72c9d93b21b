"""Where the look of an object can come from: an asset's folder, or an object of another stored scene."""

import hashlib
import os
from functools import lru_cache
from pathlib import Path

import torch

from gsrecon.errors import CheckpointError, SpecError
from gsrecon.scene.actors import RigidActors
from gsrecon.scene.assets import ASSET, Asset, read_asset
from gsrecon.scene.bundle import find_scene, load_scene
from gsrecon.scene.edit_sides import recorded_sides
from gsrecon.scene.figures import INSERTED, Figure, Shape, figures
from gsrecon.scene.recording import Recording
from gsrecon.scene.sealed import MANIFEST

_KEPT = 32


def asset_shape(folder: Path, device: torch.device) -> Shape:
    """An asset's Gaussians and box.

    Raises:
        SpecError: There is none, or its files are not what their checksums say.
    """
    asset = asset_of(folder)
    size = torch.tensor(asset.size_lwh, dtype=torch.float32)
    sides = frozenset(asset.sides) if asset.seen.pictures else None
    return Shape(asset.gaussians.detached(), size, sides=sides).to(device)


def asset_of(folder: Path) -> Asset:
    """An asset, read again only when its files have changed.

    Raises:
        SpecError: There is none, or its files are not what their checksums say.
    """
    return _asset(folder, _stamp(folder))


def scene_figure(run: Path, id: str, device: torch.device) -> Figure:
    """An object of another stored scene, to be kept apart from those of this one.

    Raises:
        SpecError: There is no such scene or object.
    """
    try:
        bundle = find_scene(run)
        found = _figures(bundle, _stamp(bundle), str(device))
    except CheckpointError as error:
        raise SpecError(str(error)) from error
    for figure in found:
        if figure.id == id:
            return figure
    told = ", ".join(figure.id for figure in found) or "none"
    raise SpecError(f"{run}: the scene has no object {id!r}; it has {told}")


@lru_cache(maxsize=_KEPT)
def _asset(folder: Path, stamp: tuple[tuple[str, int, int], ...]) -> Asset:
    return read_asset(folder)


@lru_cache(maxsize=_KEPT)
def _figures(bundle: Path, stamp: tuple[tuple[str, int, int], ...], device: str) -> tuple[Figure, ...]:
    graph = load_scene(bundle, device)
    nodes = [node for node in graph if isinstance(node, RigidActors)]
    return tuple(_from_elsewhere(figure, graph.recording) for node in nodes for figure in figures(node))


def _from_elsewhere(figure: Figure, recording: Recording | None) -> Figure:
    shape = figure.shape
    deforming = shape.deforming if shape.deforming is not None and shape.deforming.deforms else None
    sides = None if recording is None else recorded_sides(figure, recording)
    looks = Shape(shape.gaussians, shape.size_lwh, deforming, INSERTED, sides=sides)
    return Figure(figure.id, looks, figure.way)


def source_checksum(asset: Path | None, scene: Path | None) -> str:
    """SHA-256 of what tells an asset or a scene from others: its list of checksums.

    Raises:
        SpecError: There is no such asset or scene.
    """
    try:
        listed = find_scene(scene) / MANIFEST if scene is not None else Path(asset or "") / ASSET
        return hashlib.sha256(listed.read_bytes()).hexdigest()
    except (CheckpointError, OSError) as error:
        raise SpecError(str(error)) from error


def _stamp(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """Changes when a file of a folder does."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise SpecError(
            f"{folder}: there is no such folder; name one with an {ASSET}, or a run ({error.strerror})"
        ) from error
    return tuple((e.name, e.stat().st_mtime_ns, e.stat().st_size) for e in entries if e.is_file())
