"""Run folders as commands find and name them."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gsrecon.data.log import DrivingLog
from gsrecon.data.spec import SceneSpec, find_spec, open_drive, read_spec
from gsrecon.errors import CheckpointError


@dataclass(frozen=True)
class Run:
    """A folder that `gsrecon train` writes."""

    folder: Path

    @staticmethod
    def at(folder: Path) -> "Run":
        """The run in a folder.

        Raises:
            CheckpointError: The folder is not there or is not a run.
        """
        if not folder.exists():
            raise CheckpointError(f"{folder}: there is no such folder; name a run, such as runs/demo")
        if not (folder / "scene.toml").is_file():
            raise CheckpointError(
                f"{folder}: not a run folder (it has no scene.toml); name one that `gsrecon train` wrote"
            )
        return Run(folder)

    @property
    def name(self) -> str:
        """The folder's own name."""
        return self.folder.resolve().name

    def spec(self) -> SceneSpec:
        """What was reconstructed."""
        return read_spec(self.folder / "scene.toml")

    def spec_text(self) -> str:
        """The spec as TOML."""
        return (self.folder / "scene.toml").read_text(encoding="utf-8")

    def drive(self, other: str | None = None) -> tuple[DrivingLog, SceneSpec]:
        """The drive that was reconstructed, from another place if that is named."""
        spec = self.spec()
        if other is None:
            return open_drive(spec)
        moved = find_spec(other)
        return open_drive(replace(spec, drive=moved.drive, scene=moved.scene or spec.scene))

    @property
    def scene_folder(self) -> Path:
        """Where the scene is kept: the latest checkpoint's, or the folder of its groups."""
        groups = self.folder / "groups"
        return groups if groups.is_dir() else self.folder / "checkpoints" / "latest" / "scene"

    def json(self, name: str) -> dict[str, Any]:
        """A JSON file of the run; empty where there is none or it is damaged."""
        try:
            content = json.loads((self.folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}


def with_whole_path(spec: SceneSpec) -> SceneSpec:
    """The spec with the drive's paths made absolute, so that they are found from any folder later."""
    kind, colon, path = spec.drive.partition(":")
    drive = f"{kind}:{Path(path).resolve()}" if colon else spec.drive
    repair = str(Path(spec.pose_repair).resolve()) if spec.pose_repair else ""
    return replace(spec, drive=drive, pose_repair=repair)
