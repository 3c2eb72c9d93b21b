"""A scene as splat files: merged at one time, one file per node, or one file per time.

Sky and exposure are not made of Gaussians: they stay out of every file.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from gsrecon.files import new_name, write_text
from gsrecon.gaussians.flatten import flatten
from gsrecon.gaussians.gaussians import Gaussians
from gsrecon.gaussians.packed import write_compressed_ply, write_spz
from gsrecon.gaussians.ply import write_ply
from gsrecon.gaussians.resample import Resample
from gsrecon.ops.splats import Splats
from gsrecon.scene.actors import RigidActors
from gsrecon.scene.graph import SceneGraph
from gsrecon.scene.groups_scene import Scene, parts
from gsrecon.scene.node import GaussianNode
from gsrecon.scene.splat_file import told_settings
from gsrecon.scene.static import StaticGroup

SplatFormat = Literal["ply", "compressed-ply", "spz"]
SUFFIXES: dict[SplatFormat, str] = {"ply": ".ply", "compressed-ply": ".compressed.ply", "spz": ".spz"}
"""What the files of a format end with."""
_IN_WORLD = "frame: world, metric [m], z up"
_IN_OBJECT = "frame: origin at the centre of the object's box, x along its length, z up [m]"

_VIEWERS_COEFFICIENTS = 15
"""Of degrees 1 to 3: some viewers read files of exactly this many only."""


@dataclass(frozen=True)
class Exported:
    """What was written."""

    files: tuple[Path, ...]
    gaussians: int
    """In all files together."""

    @property
    def mebibytes(self) -> float:
        """Size of all files [MiB]."""
        return sum(path.stat().st_size for path in self.files) / 2**20


def export_ply(graph: Scene, path: Path | str, time_s: float = 0.0) -> None:
    """Writes all Gaussians of a scene in world at one moment of the drive, as a PLY."""
    export_merged(graph, Path(path), "ply", time_s)


def export_merged(scene: Scene, path: Path, format: SplatFormat = "ply", time_s: float = 0.0) -> Exported:
    """Writes all Gaussians of a scene in world at one moment of the drive.

    The harmonics are those of degree 3 that every viewer reads: lower ones are filled up with zeros, the
    fourth degree is left out.

    Args:
        scene: The scene.
        path: File to write.
        format: Kind of file.
        time_s: The moment, from the log's start [s].

    Raises:
        BackendUnavailableError: The format needs an extra that is not installed.
    """
    merged = Gaussians.concatenate(
        [_of_degree_3(_in_world(node, time_s)) for part in parts(scene) for node in part.gaussian_nodes]
    )
    _write(path, merged, format, scene, [_IN_WORLD, f"time_s {time_s!r}"], in_world=True)
    return Exported((path,), len(merged))


def export_nodes(
    scene: Scene, folder: Path, format: SplatFormat = "ply", times_s: Sequence[float] = (0.0,)
) -> Exported:
    """Writes a file for each node and each object, and `nodes.json`, which says where objects are and when.

    What stands still is in world, an object in the frame of its own box. What deforms is as it is at the
    first of the times.

    Args:
        scene: The scene.
        folder: Where the files go.
        format: Kind of file.
        times_s: Moments for which `nodes.json` has poses, at least one, from the log's start [s].

    Raises:
        BackendUnavailableError: The format needs an extra that is not installed.
    """
    files: list[Path] = []
    entries: list[dict[str, Any]] = []
    count, taken = 0, {""}
    (folder / "nodes.json").unlink(missing_ok=True)  # a list is there only where all files are
    for number, part in enumerate(parts(scene)):
        for node in part.gaussian_nodes:
            for piece in _pieces(node, times_s):
                wanted = piece.name if isinstance(scene, SceneGraph) else f"{number:03d}-{piece.name}"
                name = new_name(wanted, taken, otherwise="node")
                path = folder / f"{name}{SUFFIXES[format]}"
                frame = _IN_WORLD if piece.object_id is None else _IN_OBJECT
                _write(path, _of_degree_3(piece.gaussians), format, scene, [frame], piece.object_id is None)
                files.append(path)
                count += len(piece.gaussians)
                entries.append(
                    {"file": path.name, "node": node.id, **piece.told, "gaussians": len(piece.gaussians)}
                )
    source = None if scene.recording is None else scene.recording.source_from_world.tolist()
    told = {"times_s": list(times_s), "source_from_world": source, "nodes": entries}
    write_text(folder / "nodes.json", json.dumps(told, indent=1) + "\n")
    return Exported(tuple(files), count)


def export_sequence(
    scene: Scene,
    folder: Path,
    times_s: Sequence[float],
    format: SplatFormat = "ply",
    done: Callable[[Path], None] = lambda path: None,
) -> Exported:
    """Writes the merged scene once for each time, and `sequence.json`, which lists files and times.

    Args:
        scene: The scene.
        folder: Where the files go.
        times_s: Moments, from the log's start [s].
        format: Kind of file.
        done: Called with each file that was written.

    Raises:
        BackendUnavailableError: The format needs an extra that is not installed.
    """
    files, count = [], 0
    (folder / "sequence.json").unlink(missing_ok=True)  # a list is there only where all files are
    for number, time_s in enumerate(times_s):
        path = folder / f"frame-{number:05d}{SUFFIXES[format]}"
        count += export_merged(scene, path, format, time_s).gaussians
        files.append(path)
        done(path)
    listed = [{"file": path.name, "time_s": time_s} for path, time_s in zip(files, times_s, strict=True)]
    write_text(folder / "sequence.json", json.dumps({"frames": listed}, indent=1) + "\n")
    return Exported(tuple(files), count)


@dataclass(frozen=True)
class _Piece:
    """What becomes one file."""

    name: str
    gaussians: Gaussians
    object_id: str | None
    told: dict[str, Any]


def _pieces(node: GaussianNode, times_s: Sequence[float]) -> Iterator[_Piece]:
    """A node that stands still as a whole; of a node of objects each for itself."""
    if not isinstance(node, RigidActors):
        yield _Piece(node.id, _in_world(node, times_s[0]), None, {"frame": "world"})
        return
    times = torch.tensor(list(times_s), dtype=torch.float64)
    with torch.no_grad():
        poses, there = node.trajectories.at(times), node.trajectories.present(times)
        own = raw_gaussians(node, times_s[0])
    for number, id in enumerate(node.object_ids):
        told = {
            "frame": "object",
            "object": id,
            "size_lwh": node.sizes_lwh[number].tolist(),
            "world_from_object": [
                pose.tolist() if present else None
                for pose, present in zip(poses[:, number].cpu(), there[:, number].tolist(), strict=True)
            ],
        }
        yield _Piece(id, own.resampled(Resample.keep(node.rows_of(id))), id, told)


def raw_gaussians(node: RigidActors, time_s: float) -> Gaussians:
    """All Gaussians of objects in their own frames; those that deform as they are at a time."""
    if node.deformation is None:
        return node.gaussians.detached()
    with torch.no_grad():
        splats = node.splats_at(torch.tensor([time_s], dtype=torch.float64))
        deformed = flatten(replace(splats, object_index=None, world_from_object=None))
        moves = node.deforms[node.object_of_row.long()]
        # Opacities of objects that are not there at that time are 0 in the splats.
        moves &= node.trajectories.present(torch.tensor([time_s]))[0][node.object_of_row.long()]
    still = node.gaussians.detached().named()
    return Gaussians(
        **{
            name: torch.where(moves.reshape(-1, *[1] * (tensor.dim() - 1)), tensor, still[name])
            for name, tensor in deformed.named().items()
        }
    )


def _in_world(node: GaussianNode, time_s: float) -> Gaussians:
    """A node's Gaussians in world at a time, without those of objects that are not there."""
    if type(node) is StaticGroup:
        return node.gaussians.detached()
    with torch.no_grad():
        return _shown(node.splats_at(torch.tensor([time_s], dtype=torch.float64)))


def _shown(splats: Splats) -> Gaussians:
    """In world, without the Gaussians of objects that are not there."""
    rows = (splats.opacities > 0).nonzero()[:, 0]
    return flatten(splats).resampled(Resample.keep(rows))


def _of_degree_3(gaussians: Gaussians) -> Gaussians:
    kept: Float[Tensor, "N K 3"] = gaussians.sh_rest[:, :_VIEWERS_COEFFICIENTS]
    missing = _VIEWERS_COEFFICIENTS - kept.shape[1]
    padded = torch.cat([kept, kept.new_zeros(len(kept), missing, 3)], dim=1)
    return replace(gaussians, sh_rest=padded)


def _write(
    path: Path, gaussians: Gaussians, format: SplatFormat, scene: Scene, told: list[str], in_world: bool
) -> None:
    if format == "compressed-ply":
        write_compressed_ply(path, gaussians)
    elif format == "spz":
        write_spz(path, gaussians)
    else:
        source = None
        if in_world and scene.recording is not None:
            source = torch.from_numpy(scene.recording.source_from_world)
        write_ply(path, gaussians, source, [*told, told_settings(scene.settings)])
