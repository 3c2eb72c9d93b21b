"""How good a reconstruction of a real drive is after a few seconds: KITTI raw drive 0001."""

import json
import os
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from scripts.bench_gpu.cases import KITTI_ASKED_SECONDS
from scripts.bench_gpu.gsplat_loading import run_limited

_ROOT = Path(__file__).resolve().parents[2]
_DRIVE = Path("kitti_raw", "2011_09_26", "2011_09_26_drive_0001_sync")


def find_drive(named: Path | None) -> Path | None:
    """The drive's folder: the one that was named, or under it, or where the tests look; None without one."""
    if named is not None:
        inside = named / _DRIVE
        return inside if inside.is_dir() else named
    beside = _ROOT.parent / "shared" / "data"
    drive = Path(os.environ.get("GSRECON_TEST_DATA", beside)) / _DRIVE
    return drive if drive.is_dir() else None


def train(drive: Path, device: str, limit_s: float, seconds: float = KITTI_ASKED_SECONDS) -> dict[str, Any]:
    """Trains with the default settings for so many seconds and scores the held-out pictures.

    Args:
        drive: Folder 2011_09_26_drive_0001_sync.
        device: As `gsrecon train --device` takes it.
        limit_s: Time for the whole command [s].
        seconds: Time for training alone [s]; all schedules complete within it.

    Returns:
        Held-out PSNR [dB], seconds of training and of the whole command, steps, Gaussians; or the error.
    """
    with TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        command = [sys.executable, "-m", "gsrecon", "train", "kitti-0001", "--data", str(drive)]
        command += ["--out", str(run), "--device", device, "--steps", "None"]
        command += ["--max-minutes", str(seconds / 60), "--evaluations", "0", "--checkpoints", "1"]
        started = time.monotonic()
        problem = run_limited(command, limit_s)
        wall_s = time.monotonic() - started
        if problem is not None:
            return {"error": problem, "wall_s": wall_s}
        return {**_found(run), "wall_s": wall_s, "asked_s": seconds}


def _found(run: Path) -> dict[str, Any]:
    scores = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    rows = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    last = next(row for row in map(json.loads, reversed(rows)) if "seconds" in row)
    return {
        "psnr": scores["summary"]["psnr"],
        "training_s": last["seconds"],
        "steps": last["step"],
        "gaussians": last["gaussians"],
    }
