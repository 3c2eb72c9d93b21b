"""Checkpoints: a scene bundle and all that a resumed run needs, sealed.

checkpoints/step-N/scene/...      the bundle that every command takes
checkpoints/step-N/training/...   moments, density statistics, random state, sampler, progress
checkpoints/step-N/manifest.json  format version, sizes and SHA-256 sums
checkpoints/latest                link to the newest
"""

import json
import logging
import os
import shutil
from pathlib import Path

import torch

from gsrecon.errors import CheckpointError, TrainingError
from gsrecon.ops.device import pick_device
from gsrecon.scene.bundle import (
    load_scene,
    mapped_tensors,
    misfits_explained,
    read_tensors,
    scene_files,
    tensors_to_bytes,
)
from gsrecon.scene.sealed import check_sealed, disk_errors_explained, write_sealed
from gsrecon.train.config import TrainConfig
from gsrecon.train.state import TrainState

LATEST = "latest"
_KEPT = 2
_log = logging.getLogger(__name__)


def save_checkpoint(state: TrainState, folder: Path) -> Path:
    """Writes `step-N` into the folder of checkpoints, points `latest` to it and keeps the last two.

    Raises:
        TrainingError: A parameter is not finite, or the disk is full. Earlier checkpoints stay as they are.
    """
    for name, tensor in state.graph.parameters().items():
        if not bool(tensor.isfinite().all()):
            raise TrainingError(
                f"step {state.step}: {name} is no longer finite, so no checkpoint was written; continue from "
                f"the last one in {folder} with a lower learning rate"
            )
    target = folder / f"step-{state.step}"
    write_sealed(target, _files(state))
    with disk_errors_explained(folder):
        point_latest(folder, target.name)
    # Whatever has a later step is damaged: the run was resumed from before it.
    whole = [path for path in _numbered(folder) if _step(path) <= state.step]
    for path in set(_numbered(folder)) - set(whole[-_KEPT:]):
        shutil.rmtree(path, ignore_errors=True)
    return target


def has_checkpoint(folder: Path) -> bool:
    """Whether a run came as far as its first checkpoint."""
    return bool(_numbered(folder))


def load_checkpoint(folder: Path, pictures: int, config: TrainConfig) -> TrainState:
    """The state of the newest whole checkpoint; damaged ones are passed over with a warning.

    Args:
        folder: The folder of checkpoints.
        pictures: How many pictures are fitted.
        config: Settings of the run, the same as before; tensors go to its device, which may be another one.

    Raises:
        BackendUnavailableError: There is no such device here.
        CheckpointError: There is no checkpoint, or none is whole; the message is that of the newest.
    """
    first_error: CheckpointError | None = None
    for path in reversed(_numbered(folder)):
        try:
            return _read(path, pictures, config)
        except CheckpointError as error:
            first_error = first_error or error
            _log.warning("%s; trying the checkpoint before it", error)
    if first_error is not None:
        raise first_error
    raise CheckpointError(f"{folder}: there is no checkpoint to continue from; start the run without resume")


def remove_leftovers(folder: Path) -> None:
    """Removes what a killed process left half written."""
    for pattern in (".*.partial", ".*.old"):
        for path in folder.glob(pattern):
            shutil.rmtree(path, ignore_errors=True)
    for link in folder.glob(f".{LATEST}.*"):
        link.unlink(missing_ok=True)


def _files(state: TrainState) -> dict[str, bytes]:
    counters = {
        "step": state.step,
        "progress": state.progress,
        "seconds": state.seconds,
        "squared_error": state.squared_error,
    }
    random = {"generator": state.generator.get_state(), **state.sampler.state()}
    return {
        **{f"scene/{name}": content for name, content in scene_files(state.graph).items()},
        "training/counters.json": json.dumps(counters, indent=1).encode(),
        "training/optimizer.safetensors": tensors_to_bytes(state.optimizer.state()),
        "training/density.safetensors": tensors_to_bytes(state.density_state()),
        "training/random.safetensors": tensors_to_bytes(random),
    }


def _read(path: Path, pictures: int, config: TrainConfig) -> TrainState:
    files = check_sealed(path, lambda name: name.startswith("training/"))
    graph = load_scene(path / "scene", pick_device(config.device, config.backend))
    graph.trainable()
    with misfits_explained(path, "training state"):
        counters = json.loads(files["training/counters.json"].read_bytes())
        random = read_tensors(files["training/random.safetensors"])
        generator = torch.Generator()
        generator.set_state(random["generator"].clone())
        state = TrainState.start(graph, pictures, config, generator)
        state.sampler.load_state(random)
        state.optimizer.load_state(mapped_tensors(files["training/optimizer.safetensors"]))
        state.load_density_state(read_tensors(files["training/density.safetensors"]))
        state.step = counters["step"]
        state.progress = counters["progress"]
        state.seconds = counters["seconds"]
        state.squared_error = counters["squared_error"]
    return state


def _numbered(folder: Path) -> list[Path]:
    """Checkpoints in the order of their steps."""
    found = [path for path in folder.glob("step-*") if path.name.removeprefix("step-").isdigit()]
    return sorted(found, key=_step)


def _step(path: Path) -> int:
    return int(path.name.removeprefix("step-"))


def point_latest(folder: Path, name: str) -> None:
    """Moves the link in one stroke."""
    aside = folder / f".{LATEST}.{os.getpid()}"
    aside.unlink(missing_ok=True)
    aside.symlink_to(name)
    os.replace(aside, folder / LATEST)
