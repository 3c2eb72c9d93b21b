"""The ablation of the dynamics: its table, and what it has to show on the toy drive (minutes of training)."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from gsrecon.evaluation.scores import Summary
from gsrecon.gaussians.density_classic import ClassicDensity
from gsrecon.train.config import InitialPoints, TrainConfig
from scripts import ablate_egsral as ablate
from tests.train.moving_drive import SPEC, moving_drive

SCRIPT = Path(__file__).parents[2] / "scripts" / "ablate_egsral.py"


def test_a_row_tells_scores_share_and_time():
    summary = Summary(4, 25.123, 0.8, None, None, None, 18.0, None, None, 0.1)
    row = ablate.Row("+ DEM", summary, 0.0512, 12345, 81.4, 90.2)
    assert ablate.line(row) == "| + DEM | 25.12 | 18.00 | - | 5.1 % | 12,345 | 81 | 90 |"
    assert ablate.heading().splitlines()[0].count("|") == ablate.line(row).count("|")


@pytest.mark.parametrize("name", ["+ OEM", "actors + deformation"])
def test_a_variant_is_trained_and_measured(name, tmp_path):
    config = TrainConfig(
        steps=12,
        density=ClassicDensity(cap=1000),
        initial=InitialPoints(lidar=500, beyond_lidar=50),
        sky_resolution=8,
        mask_moving=False,
        evaluations=3,
        checkpoints=1,
        log_every=2,
    )
    dynamics = {**ablate.VARIANTS, **ablate.WITH_BOXES}[name]
    row = ablate.measure(name, moving_drive(), SPEC, replace(config, dynamics=dynamics), tmp_path)
    assert row.summary.psnr_moving is not None
    assert row.gaussians > 0
    assert row.last_step_ms > 0
    assert [step for step, _ in row.curve] == [4, 8, 12]
    assert row.curve[-1][1] == pytest.approx(row.summary.psnr_moving, abs=0.1)
    assert ablate.curves([row]).startswith("<svg")


@pytest.mark.slow
def test_dynamics_gain_on_the_toy_drive_what_was_promised(tmp_path):
    """Held-out times; moving-object pixels, and nothing lost on the rest."""
    toy = json.dumps({"length_m": 60.0, "width": 280, "height": 158, "cameras": 1})
    words = ["toy", "--toy", toy, "--steps", "3000", "--cap", "80000", "--run", str(tmp_path)]
    result = subprocess.run([sys.executable, str(SCRIPT), *words], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in result.stdout.splitlines()[2:]]
    table = {cells[0]: [float(cell.split()[0].replace(",", "")) for cell in cells[1:]] for cells in rows}
    still, field, both = (table[name] for name in ("static only", "+ OEM", "actors + deformation"))
    assert field[1] > still[1] + 3
    assert both[1] > still[1] + 5
    assert min(field[2], both[2]) > still[2] - 0.1
    assert max(field[3], both[3]) <= 15
