"""The bench runs, counts its work right, and its gate tells regressions."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.bench.metrics import Metric, gate

ROOT = Path(__file__).parents[2]


def test_a_quick_run_measures_every_stage_and_becomes_a_baseline(tmp_path: Path):
    results, baseline = tmp_path / "results.json", tmp_path / "baseline.json"
    command = [sys.executable, "scripts/bench/run.py", "--quick", "--write-baseline"]
    command += ["--results", str(results), "--baseline", str(baseline)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "| 2k_160x90 | forward + backward |" in done.stdout

    (row,) = json.loads(results.read_text())["street"]
    stages = {"project", "sort", "scatter", "blend", "blend_vjp", "project_vjp"}
    assert set(row["times_ms"]) == {"forward", "forward_backward", *stages}
    assert row["pairs"] == pytest.approx(873_705, rel=1e-3)
    keys = {metric["key"] for metric in json.loads(baseline.read_text())["metrics"]}
    assert {"2k_160x90/pairs", "2k_160x90/1t/forward", "2k_160x90/1t/blend_vjp"} <= keys


@pytest.mark.parametrize(
    ("direction", "value", "regressed"),
    [
        ("lower", 1.05, False),
        ("lower", 1.2, True),
        ("lower", 0.5, False),
        ("higher", 0.8, True),
        ("higher", 2.0, False),
        ("equal", 0.8, True),
        ("equal", 1.2, True),
    ],
)
def test_the_gate_lets_pass_what_is_better_or_within_tolerance(direction, value: float, regressed: bool):
    before = [Metric("blend_to_floor", 1.0, "x", direction, 0.1)]
    compared, regressions = gate([Metric("blend_to_floor", value, "x", direction, 0.1)], before)
    assert len(compared) == 1
    assert bool(regressions) == regressed


def test_the_gate_leaves_alone_what_is_only_on_record_or_not_measured_now():
    before = [Metric("forward", 1.0, "ms", "lower", None), Metric("other", 1.0, "x", "lower", 0.1)]
    assert gate([Metric("forward", 9.0, "ms", "lower", None)], before) == ([], [])
