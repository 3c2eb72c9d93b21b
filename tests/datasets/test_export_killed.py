"""An export of 500 views that is killed ten times (minutes)."""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.labels.street import FRAMES, street_run

pytestmark = pytest.mark.slow
TAKES = 42  # of 12 pictures: 504 views


def command(run: Path, out: Path) -> list[str]:
    words = [sys.executable, "-m", "gsrecon", "export-dataset", str(run), "--format", "nuscenes"]
    words += ["--path", "random", "--takes", str(TAKES), "--workers", "2", "--out", str(out)]
    return [*words, "--lidar-beams", "8", "--lidar-azimuths", "90"]


def sums(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_killed_ten_times_it_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    run = street_run(tmp_path)
    subprocess.run(command(run, tmp_path / "whole"), check=True, capture_output=True)
    expected = sums(tmp_path / "whole")
    assert sum(name.endswith(".png") and "samples" in name for name in expected) == TAKES * 2 * FRAMES
    luck = random.Random(0)
    kills = 0
    while kills < 10:
        process = subprocess.Popen(
            command(run, tmp_path / "killed"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        # The programs need some seconds to start; then about a tenth of the work is let through.
        started, wanted = time.monotonic(), luck.uniform(0.02, 0.09) * TAKES * FRAMES
        before = finished(tmp_path / "killed")
        while process.poll() is None and finished(tmp_path / "killed") - before < wanted:
            assert time.monotonic() - started < 300
            os.sched_yield()
        assert process.poll() is None, "finished before it could be killed ten times"
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        kills += 1
        assert not (tmp_path / "killed").exists()
    subprocess.run(command(run, tmp_path / "killed"), check=True, capture_output=True)
    assert sums(tmp_path / "killed") == expected
    leftovers = [path.name for path in tmp_path.rglob("*partial*")]
    assert leftovers == []
    card = json.loads((tmp_path / "killed" / "gsrecon" / "card.json").read_text())
    assert card["pictures"] == TAKES * 2 * FRAMES


def finished(out: Path) -> int:
    """Moments that are done in the work folder."""
    return sum(1 for _ in out.with_name(f".{out.name}.rendering").rglob("moment.json"))
