"""A drive folder and a finished run on it, made without training."""

import json
from pathlib import Path

import pytest

from gsrecon.data.folder import write_folder
from gsrecon.scene.bundle import save_scene
from tests.tiny_drive import tiny_log, tiny_scene

SPEC = """\
drive = "folder:{drive}"
mask_moving = true

[test]
every = 3
offset = 1
"""


@pytest.fixture(scope="session")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny drive as a drive folder."""
    folder = tmp_path_factory.mktemp("drives") / "tiny"
    write_folder(tiny_log(tiny_scene()), folder)
    return folder


@pytest.fixture
def run(tmp_path: Path, drive: Path) -> Path:
    """A run folder as training leaves it, with the scene that took the drive's pictures."""
    folder = tmp_path / "runs" / "tiny"
    save_scene(tiny_scene(), folder / "checkpoints" / "step-7" / "scene")
    (folder / "checkpoints" / "latest").symlink_to("step-7")
    (folder / "scene.toml").write_text(SPEC.format(drive=drive))
    (folder / "config.json").write_text(json.dumps({"steps": 7}))
    rows = [{"step": k, "loss": 1 / k, "psnr": 20.0 + k, "gaussians": 120, "seconds": k} for k in range(1, 8)]
    (folder / "metrics.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder
