"""`gsrecon export`: what it writes where, and options that do not go together."""

import json
from pathlib import Path

import pytest

from gsrecon.cli.main import run as run_command
from gsrecon.gaussians.ply import read_ply


def test_a_sequence_covers_the_recording_at_the_rate(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["export", str(run), "--what", "sequence", "--fps", "4"]) == 0
    listed = json.loads((run / "sequence" / "sequence.json").read_text())["frames"]
    assert [frame["time_s"] for frame in listed] == [0.0, 0.25, 0.5]
    assert len(read_ply(run / "sequence" / listed[2]["file"])) == 120
    assert "360 Gaussians in 3 files in" in capsys.readouterr().out


def test_given_times_include_the_last(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "film"
    words = ["export", str(run), "--what", "sequence", "--times", "0.1", "0.4", "0.1", "--out", str(out)]
    assert run_command(words) == 0
    assert len(list(out.glob("frame-*.ply"))) == 4


def test_nodes_go_into_a_folder_of_the_run(run: Path) -> None:
    assert run_command(["export", str(run), "--what", "nodes"]) == 0
    assert {path.name for path in (run / "nodes").iterdir()} == {"background.ply", "nodes.json"}


@pytest.mark.parametrize(
    ("format", "name"), [("spz", "scene.spz"), ("compressed-ply", "scene.compressed.ply")]
)
def test_small_formats_are_named_by_what_they_are(run: Path, format: str, name: str) -> None:
    pytest.importorskip(
        "gsply", reason="gsply is not installed; the splats extra brings it", exc_type=ImportError
    )
    assert run_command(["export", str(run), "--format", format]) == 0
    assert (run / name).stat().st_size < 10_000


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--times", "0", "1", "0.1"], "one file has --at"),
        (["--what", "sequence", "--times", "0", "1", "0.1", "--fps", "3"], "give one of them"),
        (["--format", "spz", "--out", "street.ply"], "format spz ends with .spz, got street.ply"),
        (["--out", "street.spz"], "format ply ends with .ply, got street.spz"),
        (["--what", "sequence", "--times", "1", "0", "0.1"], "expected START <= STOP"),
        (["--what", "sequence", "--times", "0", "1", "0"], "STEP above 0"),
        (["--what", "sequence", "--times", "0", "1", "1e-9"], "widen the step"),
        (["--what", "sequence", "--fps", "-1"], "--fps: expected a number above 0"),
    ],
)
def test_options_that_do_not_go_together_are_told(
    run: Path, words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["export", str(run), *words]) == 2
    assert told in capsys.readouterr().err
