"""A scene on disk: JSON and one safetensors file per node. Rendering needs nothing else.

scene.json          nodes (id, kind, settings, file), object table, recording
nodes/ID.safetensors
manifest.json       format version, sizes and SHA-256 sums
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from gsrecon.errors import CheckpointError
from gsrecon.ops.settings import RasterizeSettings
from gsrecon.scene.actors import RigidActors
from gsrecon.scene.appearance import Appearance
from gsrecon.scene.camera_refinement import CameraRefinement
from gsrecon.scene.deformable_field import DeformableField
from gsrecon.scene.graph import SceneGraph
from gsrecon.scene.node import Node
from gsrecon.scene.objects import ObjectTable
from gsrecon.scene.recording import Recording
from gsrecon.scene.sealed import MANIFEST, check_sealed, manifest, read_sealed, write_sealed
from gsrecon.scene.sky import Sky
from gsrecon.scene.static import StaticGroup

_NODE_KINDS: dict[str, type[Node]] = {
    kind.kind: kind for kind in (StaticGroup, DeformableField, RigidActors, Sky, Appearance, CameraRefinement)
}
"""Types of nodes by the name a stored scene calls them."""

_SCENE = "scene.json"


def save_scene(graph: SceneGraph, folder: Path) -> None:
    """Writes a scene bundle; a bundle that was there is replaced only when the new one is whole.

    Raises:
        TrainingError: The disk is full or cannot be written.
    """
    files = scene_files(graph)
    del files[MANIFEST]
    write_sealed(Path(folder), files)


def load_scene(folder: Path, device: torch.device | str = "cpu") -> SceneGraph:
    """Reads a scene bundle, checked against its manifest.

    Args:
        folder: The bundle, or a run or checkpoint folder that holds one (the latest is taken).
        device: Where its tensors go.

    Raises:
        CheckpointError: The bundle is missing, damaged or of another format version.
    """
    folder = find_scene(Path(folder))
    files = check_sealed(folder)
    with misfits_explained(folder / _SCENE, "scene"):
        stored = json.loads(files[_SCENE].read_bytes())
        nodes = [_restored(entry, read_tensors(files[entry["file"]], device)) for entry in stored["nodes"]]
        recording = None if stored["recording"] is None else Recording.from_json(stored["recording"])
        settings = RasterizeSettings(**stored["settings"])
        return SceneGraph(nodes, ObjectTable(stored["objects"]), recording, settings)


def load_nodes(
    folder: Path, wanted: Callable[[dict[str, Any]], bool], of_rows: bool = False
) -> Iterator[Node]:
    """Some nodes of a scene bundle, one after the other; the files of the others are not read.

    Args:
        folder: The bundle itself.
        wanted: Says by its entry in the bundle whether a node is.
        of_rows: Rows will be taken of what stands still, at once: it need not be in memory as a whole.

    Raises:
        CheckpointError: The scene is missing, damaged, or of another version of gsrecon.
    """
    with misfits_explained(folder / _SCENE, "scene"):
        entries = {entry["file"]: entry for entry in _stored(folder)["nodes"] if wanted(entry)}
        paths = check_sealed(folder, lambda name: name in entries)
        for name, entry in entries.items():
            read = mapped_tensors if of_rows and entry["kind"] == StaticGroup.kind else read_tensors
            yield _restored(entry, read(paths[name]))


def load_object_ids(folder: Path) -> list[str]:
    """All objects that a scene bundle numbers, in the order of their numbers.

    Raises:
        CheckpointError: The bundle is not there or damaged.
    """
    return _stored(folder)["objects"]


def find_scene(folder: Path) -> Path:
    """The bundle that a scene, checkpoint or run folder holds.

    Raises:
        CheckpointError: There is none.
    """
    for inner in (folder, folder / "scene", folder / "checkpoints" / "latest" / "scene"):
        if (inner / _SCENE).is_file():
            return inner
    if (folder / "groups" / "plan").is_dir():
        raise CheckpointError(
            f"{folder}: the scene is cut into groups and not read as a whole; open it with "
            "gsrecon.scene.groups_scene.open_scene"
        )
    raise CheckpointError(
        f"{folder}: there is no scene in it; name a run folder, a checkpoint or a scene folder written by "
        "gsrecon"
    )


def scene_files(graph: SceneGraph) -> dict[str, bytes]:
    """Contents of a bundle by path, its manifest among them; frozen nodes are stored where they belong."""
    files: dict[str, bytes] = {}
    entries: list[dict[str, Any]] = []
    for node in graph:
        if node.id in graph.frozen:
            continue
        name = f"nodes/{node.id}.safetensors"
        files[name] = tensors_to_bytes(node.tensors())
        entries.append({"id": node.id, "kind": node.kind, "settings": node.settings(), "file": name})
    stored = {
        "nodes": entries,
        "objects": graph.objects.ids,
        "settings": settings_to_json(graph.settings),
        "recording": None if graph.recording is None else graph.recording.to_json(),
    }
    files[_SCENE] = json.dumps(stored, indent=1).encode()
    files[MANIFEST] = manifest(files)
    return files


def settings_to_json(settings: RasterizeSettings) -> dict[str, Any]:
    """How a scene is drawn, as far as it is the scene's own affair."""
    return {name: getattr(settings, name) for name in ("mode", "near_plane", "far_plane", "eps2d")}


@contextmanager
def misfits_explained(path: Path, what: str) -> Iterator[None]:
    """Turns what was stored, but is not as this gsrecon stores it, into one sentence.

    Raises:
        CheckpointError: The block could not make sense of it.
    """
    try:
        yield
    except (KeyError, ValueError, TypeError, safetensors.SafetensorError) as error:
        raise CheckpointError(
            f"{path}: the {what} does not fit this gsrecon ({error!r}); use the gsrecon that wrote it"
        ) from error


def tensors_to_bytes(tensors: dict[str, Tensor]) -> bytes:
    """Tensors as a safetensors file."""
    return safetensors.torch.save({name: t.detach().cpu().contiguous() for name, t in tensors.items()})


def mapped_tensors(path: Path) -> dict[str, Tensor]:
    """Tensors of a safetensors file that is read where they are touched: to take rows of, or to copy."""
    return safetensors.torch.load_file(path)


def read_tensors(path: Path, device: torch.device | str = "cpu") -> dict[str, Tensor]:
    """Tensors of a safetensors file, in memory of their own on a device."""
    return {name: tensor.to(device, copy=True) for name, tensor in mapped_tensors(path).items()}


def _stored(folder: Path) -> dict[str, Any]:
    return json.loads(read_sealed(folder, lambda name: name == _SCENE)[_SCENE])


def _restored(entry: dict[str, Any], tensors: dict[str, Tensor]) -> Node:
    kind = _NODE_KINDS.get(entry["kind"])
    if kind is None:
        raise ValueError(f"node {entry['id']!r} is of the unknown kind {entry['kind']!r}")
    return kind.restored(entry["id"], entry["settings"], tensors)
