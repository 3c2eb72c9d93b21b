"""The folder of a run: settings, spec, environment, live numbers, checkpoints."""

import fcntl
import json
import logging
import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

import gsrecon
from gsrecon.data.spec import SceneSpec, read_spec, spec_to_table
from gsrecon.errors import CheckpointError, TrainingError
from gsrecon.files import toml_text, write_text
from gsrecon.scene.sealed import disk_errors_explained
from gsrecon.train.checkpoint import remove_leftovers
from gsrecon.train.config import TrainConfig
from gsrecon.train.config_file import config_from_json, config_to_json, differences

_log = logging.getLogger(__name__)


class RunFolder:
    """`config.json`, `scene.toml`, `environment.json`, `metrics.jsonl`, `checkpoints/`."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.path / "checkpoints"

    @property
    def metrics(self) -> Path:
        """File of the live numbers."""
        return self.path / "metrics.jsonl"

    @property
    def begun(self) -> bool:
        """Whether there is a run in the folder."""
        return (self.path / "config.json").exists()

    def begin(self, config: TrainConfig, spec: SceneSpec) -> None:
        """Writes what is known before the first step.

        Raises:
            TrainingError: There is a run in the folder already, or it cannot be written.
        """
        if self.begun:
            raise TrainingError(
                f"{self.path}: there is a run in this folder already; resume it, or choose another name "
                "for the new one"
            )
        with disk_errors_explained(self.path):
            self.checkpoints.mkdir(parents=True, exist_ok=True)
            write_text(self.path / "scene.toml", toml_text(spec_to_table(spec)))
            write_text(self.path / "environment.json", json.dumps(environment(), indent=1) + "\n")
            # The last one: a folder with it holds a run.
            write_text(self.path / "config.json", json.dumps(config_to_json(config), indent=1) + "\n")

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nobody else fits a scene into the folder meanwhile; a process that ends in any way lets go.

        Raises:
            TrainingError: Somebody else does.
        """
        with ExitStack() as stack:
            if self.begun:
                held = stack.enter_context(open(self.path / "config.json", "rb"))
                try:
                    fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    raise TrainingError(
                        f"{self.path}: another process is training in this folder; wait for it or stop it, "
                        "or choose another folder for a new run"
                    ) from None
                except OSError as error:
                    _log.warning("%s: others cannot be kept out of it (%s)", self.path, error)
            yield

    def check_same(self, config: TrainConfig, spec: SceneSpec) -> None:
        """Makes sure that a run is continued as it was begun, and clears what a killed process left.

        The drive may lie elsewhere now; whether it is the same one is seen from its frames.

        Raises:
            CheckpointError: There is no run in the folder, its settings or its scene spec differ, or it is of
                a version of gsrecon with settings that this one has not.
        """
        path = self.path / "config.json"
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise CheckpointError(
                f"{path}: there is no run to resume here ({error}); start it without resume"
            ) from error
        # Settings that came to gsrecon since the run was begun have their defaults in it.
        begun_with = config_from_json(stored).on_machine_of(config)
        _require_equal(path, "settings", config_to_json(config), config_to_json(begun_with))
        path = self.path / "scene.toml"
        _require_equal(path, "scene spec", _what_is_fitted(spec), _what_is_fitted(read_spec(path)))
        for leftover in self.path.glob(".*.partial.*"):
            leftover.unlink(missing_ok=True)
        remove_leftovers(self.checkpoints)


def read_config(run_dir: Path) -> TrainConfig:
    """The settings a run was begun with.

    Raises:
        CheckpointError: There is no run in the folder, or it is of another version of gsrecon.
    """
    path = Path(run_dir) / "config.json"
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read ({error}); name the folder of a run") from error
    return config_from_json(stored)


def environment() -> dict[str, Any]:
    """Versions and machine, for the record."""
    return {
        "gsrecon": gsrecon.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "system": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "cuda": torch.version.cuda if torch.cuda.is_available() else None,
    }


def _require_equal(path: Path, kind: str, ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> None:
    changed = differences(ours, theirs)
    if changed:
        raise CheckpointError(
            f"{path}: the run was begun with other {kind} ({'; '.join(changed)}, now and then); "
            "resume with the same ones or start a new run"
        )


def _what_is_fitted(spec: SceneSpec) -> dict[str, Any]:
    """A spec without its name and the place of its data."""
    told = ("name", "drive", "description", "data_hint")
    return {key: value for key, value in spec_to_table(spec).items() if key not in told}
