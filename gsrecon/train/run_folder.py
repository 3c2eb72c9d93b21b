"""The folder of a run: settings, spec, environment, live numbers, checkpoints."""

import json
import os
import platform
from pathlib import Path
from typing import Any

import numpy as np
import torch

import gsrecon
from gsrecon.data.spec import SceneSpec, spec_to_table
from gsrecon.errors import CheckpointError, TrainingError
from gsrecon.files import write_text
from gsrecon.scene.sealed import disk_errors_explained
from gsrecon.train.checkpoint import remove_leftovers
from gsrecon.train.config import TrainConfig
from gsrecon.train.config_file import config_from_json, config_to_json, differences


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

    def begin(self, config: TrainConfig, spec: SceneSpec) -> None:
        """Writes what is known before the first step.

        Raises:
            TrainingError: There is a run in the folder already, or it cannot be written.
        """
        if (self.path / "config.json").exists():
            raise TrainingError(
                f"{self.path}: there is a run in this folder already; resume it, or choose another name "
                "for the new one"
            )
        with disk_errors_explained(self.path):
            self.checkpoints.mkdir(parents=True, exist_ok=True)
            write_text(self.path / "scene.toml", to_toml(spec_to_table(spec)))
            write_text(self.path / "environment.json", json.dumps(environment(), indent=1) + "\n")
            write_text(self.path / "config.json", json.dumps(config_to_json(config), indent=1) + "\n")

    def check_same(self, config: TrainConfig) -> None:
        """Makes sure that a run is continued with the settings it was begun with, and clears leftovers.

        Raises:
            CheckpointError: There is no run in the folder, or its settings differ.
        """
        path = self.path / "config.json"
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise CheckpointError(
                f"{path}: there is no run to resume here ({error}); start it without resume"
            ) from error
        changed = differences(json.loads(json.dumps(config_to_json(config))), stored)
        if changed:
            raise CheckpointError(
                f"{path}: the run was begun with other settings ({'; '.join(changed)}, now and then); "
                "resume with the same ones or start a new run"
            )
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


def to_toml(table: dict[str, Any]) -> str:
    """A table of texts, numbers, truths, lists of them, and tables of these, as TOML."""
    plain = {key: value for key, value in table.items() if not isinstance(value, dict)}
    # JSON's texts, numbers, truths and lists are TOML's too.
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in plain.items()]
    for key, value in table.items():
        if isinstance(value, dict):
            lines += ["", f"[{key}]", to_toml(value).rstrip("\n")]
    return "\n".join(lines) + "\n"
