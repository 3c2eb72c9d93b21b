"""The command repair-poses, run in this process on a made-up hilly road."""

import json
from pathlib import Path

import numpy as np
import pytest

from gsrecon.cli.main import run as run_command
from gsrecon.data.folder import write_folder
from gsrecon.data.spec import open_drive
from tests.data.hills import flattened, hilly_log


@pytest.fixture(scope="module")
def hills(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(flattened(hilly_log(frames=14)), tmp_path_factory.mktemp("drives") / "hills")


def test_corrections_and_report_are_written_and_a_spec_applies_them(
    hills: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "repair.json"
    assert run_command(["repair-poses", f"folder:{hills}", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "14 of 14 lidar sweeps see ground" in said
    assert f'pose_repair = "{out}"' in said
    page = (tmp_path / "repair.html").read_text()
    assert "Pose repair of hills" in page
    assert page.count("<svg") == 2
    spec = tmp_path / "mine.toml"
    spec.write_text(f'drive = "folder:{hills}"\npose_repair = "{out}"\n')
    log, _ = open_drive(str(spec))
    assert np.ptp(log.world_from_ego[:, 2, 3]) > 0.1
    # A spec that names a repair is repaired from its recording, not twice.
    again = tmp_path / "again.json"
    assert run_command(["repair-poses", str(spec), "--out", str(again), "--pairs", "0"]) == 0
    assert json.loads(again.read_text()) == json.loads(out.read_text())


def test_wrong_options_and_drives_without_lidar_are_one_sentence(
    drive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["repair-poses", f"folder:{drive}", "--out", str(tmp_path / "repair.txt")]) == 2
    assert "--out: expected a file that ends in .json" in capsys.readouterr().err
    code = run_command(["repair-poses", f"folder:{drive}", "--out", str(tmp_path / "repair.json")])
    said = capsys.readouterr().err
    assert code == 1
    assert "lidar sweeps" in said
    assert list(tmp_path.iterdir()) == []
