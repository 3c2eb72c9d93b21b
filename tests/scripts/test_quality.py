"""What a reconstruction is worth, measured as the README's figures are: minutes of training each."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.slow


def measured(*words: str) -> dict[str, float]:
    """The line that scripts/quality.py prints, in a process of its own so that its peak memory is its own."""
    environment = {**os.environ, "OMP_WAIT_POLICY": "passive"}
    result = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "quality.py"), *words],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


def test_six_minutes_on_a_real_drive_predict_its_held_out_pictures(shared_data: Path) -> None:
    day = shared_data / "kitti_raw" / "2011_09_26"
    drive = day / "2011_09_26_drive_0001_sync"
    if not drive.is_dir():
        pytest.skip(f"KITTI raw drive 0001 is not in {day}")
    scores = measured("kitti", "--data", str(drive))
    assert scores["held_out_psnr"] >= 25.5
    assert scores["peak_gib"] < 2.5
    assert scores["training_seconds"] < 370


def test_four_minutes_on_the_toy_drive_predict_pictures_beside_the_way_too() -> None:
    scores = measured("toy")
    assert scores["held_out_psnr"] >= 30
    assert scores["shifted_1m_psnr"] >= 26
