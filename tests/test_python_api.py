"""The Python example of the README does what it says."""

import re
from pathlib import Path

import pytest

from gsrecon.data.folder import write_folder
from gsrecon.gaussians.ply import read_ply
from gsrecon.train.config import InitialPoints, TrainConfig
from tests.tiny_drive import FRAMES, tiny_log, tiny_scene

README = Path(__file__).parents[1] / "README.md"


def small(**told: float) -> TrainConfig:
    """The example's training, over in a second."""
    assert told.keys() <= {"max_minutes", "steps"}
    return TrainConfig(
        steps=8, device="cpu", sky_resolution=4, initial=InitialPoints(lidar=200, beyond_lidar=200)
    )


def test_the_readmes_python_example_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), re.M | re.S)
    (example,) = [block for block in blocks if "open_drive(" in block]
    example, drives = re.subn(r'open_drive\("[^"]+"\)', 'open_drive("folder:drive")', example)
    example, configs = re.subn(r"\bTrainConfig\(", "small(", example)
    assert (drives, configs) == (1, 1)

    monkeypatch.chdir(tmp_path)
    write_folder(tiny_log(tiny_scene()), Path("drive"))
    names: dict[str, object] = {"small": small}
    exec(compile(example, "README.md", "exec"), names)

    assert "dB on held-out pictures" in capsys.readouterr().out
    assert len(read_ply("street.ply")) > 100
    assert FRAMES > 4  # frame 4 is held out by the default split, so there was something to score
