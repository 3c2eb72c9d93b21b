"""A scene on disk: JSON and one safetensors file per node. Rendering needs nothing else.

scene.json          nodes (id, kind, settings, file), object table, recording
nodes/ID.safetensors
manifest.json       format version, sizes and SHA-256 sums
"""

import json
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
from gsrecon.scene.sealed import MANIFEST, check_sealed, manifest, write_sealed
from gsrecon.scene.sky import Sky
from gsrecon.scene.static import StaticGroup

NODE_KINDS: dict[str, type[Node]] = {
    kind.kind: kind for kind in (StaticGroup, DeformableField, RigidActors, Sky, Appearance, CameraRefinement)
}
"""Types of nodes by the name a stored scene calls them."""

_STORED_SETTINGS = ("mode", "near_plane", "far_plane", "eps2d")


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
    try:
        stored = json.loads(files["scene.json"].read_bytes())
        nodes = [_restored(entry, files[entry["file"]], device) for entry in stored["nodes"]]
        recording = None if stored["recording"] is None else Recording.from_json(stored["recording"])
        settings = RasterizeSettings(**stored["settings"])
        return SceneGraph(nodes, ObjectTable(stored["objects"]), recording, settings)
    except (KeyError, ValueError, TypeError, safetensors.SafetensorError) as error:
        raise CheckpointError(
            f"{folder / 'scene.json'}: the scene does not fit this gsrecon ({error!r}); use the gsrecon that "
            "wrote it"
        ) from error


def find_scene(folder: Path) -> Path:
    """The bundle that a scene, checkpoint or run folder holds.

    Raises:
        CheckpointError: There is none.
    """
    for inner in (folder, folder / "scene", folder / "checkpoints" / "latest" / "scene"):
        if (inner / "scene.json").is_file():
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
        "settings": {name: getattr(graph.settings, name) for name in _STORED_SETTINGS},
        "recording": None if graph.recording is None else graph.recording.to_json(),
    }
    files["scene.json"] = json.dumps(stored, indent=1).encode()
    files[MANIFEST] = manifest(files)
    return files


def tensors_to_bytes(tensors: dict[str, Tensor]) -> bytes:
    """Tensors as a safetensors file."""
    return safetensors.torch.save({name: t.detach().cpu().contiguous() for name, t in tensors.items()})


def mapped_tensors(path: Path) -> dict[str, Tensor]:
    """Tensors of a safetensors file that is read where they are touched: to take rows of, or to copy."""
    return safetensors.torch.load_file(path)


def read_tensors(path: Path, device: torch.device | str = "cpu") -> dict[str, Tensor]:
    """Tensors of a safetensors file, in memory of their own on a device."""
    return {name: tensor.to(device, copy=True) for name, tensor in mapped_tensors(path).items()}


def _restored(entry: dict[str, Any], path: Path, device: torch.device | str) -> Node:
    kind = NODE_KINDS.get(entry["kind"])
    if kind is None:
        raise ValueError(f"node {entry['id']!r} is of the unknown kind {entry['kind']!r}")
    return kind.restored(entry["id"], entry["settings"], read_tensors(path, device))
