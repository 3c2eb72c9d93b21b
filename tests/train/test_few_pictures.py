"""Twelve pictures of six cameras at two moments predict the moment between (minutes of training)."""

import json
from pathlib import Path

import pytest

from gsrecon.cli.main import run as run_command

pytestmark = pytest.mark.slow


def test_two_moments_of_a_real_rig_predict_the_one_between(shared_data: Path, tmp_path: Path) -> None:
    data = shared_data / "nuscenes_ddad"
    if not data.is_dir():
        pytest.skip(f"nuscenes_ddad is not in {shared_data}")
    words = ["train", "nuscenes-ddad", "--data", str(data), "--out", str(tmp_path / "run")]
    assert run_command([*words, "--steps=1000", "--checkpoints=1", "--evaluations=0"]) == 0
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert [picture["index"] for picture in metrics["pictures"]] == [1] * 6
    # The mean of the two neighbours is at 17.0.
    assert metrics["summary"]["psnr"] >= 19.5
