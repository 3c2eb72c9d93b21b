"""The commands, run in this process on a tiny drive."""

import json
import re
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image

from gsrecon.cli import runs
from gsrecon.cli.demo import free_folder
from gsrecon.cli.main import COMMANDS
from gsrecon.cli.main import run as run_command
from gsrecon.data.folder import read_folder
from gsrecon.gaussians.ply import read_ply
from gsrecon.scene.bundle import load_scene

SMALL = [
    "--initial.lidar=200",
    "--initial.beyond-lidar=200",
    "--sky-resolution=4",
    "--checkpoints=1",
    "--log-every=2",
    "--device=cpu",
]


def test_help_lists_every_command_and_is_light() -> None:
    code = (
        "import sys; from gsrecon.cli.main import run; code = run(['--help'])\n"
        "heavy = {'torch', 'numpy', 'matplotlib', 'av', 'PIL'} & set(sys.modules)\n"
        "assert not heavy, heavy\nsys.exit(code)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    for name in COMMANDS:
        assert f"\n  {name} " in result.stdout


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_teaches_by_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        run_command([name, "--help"])
    assert stopped.value.code == 0
    said = capsys.readouterr().out
    assert "Examples:" in said
    assert f"gsrecon {name}" in said


def test_the_module_is_the_command() -> None:
    result = subprocess.run([sys.executable, "-m", "gsrecon", "--version"], capture_output=True, text=True)
    assert result.returncode == 0
    assert result.stdout.startswith("gsrecon ")


def test_evaluate_writes_metrics_and_report(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["evaluate", str(run)]) == 0
    written = json.loads((run / "metrics.json").read_text())
    assert written["summary"]["psnr"] > 50
    assert written["moving_masked"] is True
    page = (run / "report.html").read_text()
    assert "PSNR of the training pictures" in page
    assert "7.0 s" in page
    said = capsys.readouterr().out
    assert "report.html" in said
    assert "left" in said


def test_evaluate_finds_a_drive_that_was_moved(run: Path, drive: Path, tmp_path: Path) -> None:
    spec = run / "scene.toml"
    spec.write_text(spec.read_text().replace(str(drive), str(tmp_path / "gone")))
    assert run_command(["evaluate", str(run)]) == 1
    assert run_command(["evaluate", str(run), "--drive", f"folder:{drive}"]) == 0


def test_a_run_of_a_scene_that_was_moved_is_told_which_scene(
    run: Path, drive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = read_folder(drive)
    monkeypatch.setattr(runs, "open_drive", lambda spec: (log, spec))
    text = '"nuscenes:old"\nscene = "scene-0061"'
    spec = run / "scene.toml"
    spec.write_text(re.sub('"folder:.*"', text, spec.read_text()))
    others = ("nuscenes:new#scene-0103", "nuscenes:new")
    opened = [runs.Run.at(run).drive(other)[1] for other in others]
    assert [(spec.drive, spec.scene) for spec in opened] == [
        ("nuscenes:new", "scene-0103"),
        ("nuscenes:new", "scene-0061"),
    ]
    assert all(spec.mask_moving for spec in opened)


def test_render_follows_the_recorded_way_by_default(run: Path) -> None:
    assert run_command(["render", str(run), "--depth"]) == 0
    folder = run / "renders" / "recorded"
    names = {path.name for path in folder.iterdir()}
    pictures = {f"{k:05d}.png" for k in range(6)}
    assert names == pictures | {f"depth-{p}" for p in pictures} | {"film.mp4", "film-depth.mp4"}
    with av.open(str(folder / "film.mp4")) as container:
        stream = container.streams.video[0]
        assert float(stream.average_rate or 0) == pytest.approx(10, rel=1e-3)
        assert sum(1 for _ in container.decode(stream)) == 6


def test_a_shift_to_the_left_moves_near_things_to_the_right_of_the_picture(run: Path) -> None:
    assert run_command(["render", str(run), "--shift-left", "0.5", "--no-film"]) == 0
    assert run_command(["render", str(run), "--shift-left", "-0.5", "--no-film"]) == 0
    left, right = (
        np.asarray(Image.open(run / "renders" / name / "00000.png")).astype(int)
        for name in ("left-0.5m", "right-0.5m")
    )
    assert np.abs(left - right).mean() > 2
    # Moved by hand by the mean parallax, the pictures agree better than without or the other way.
    differences = {dx: np.abs(left - np.roll(right, dx, axis=1))[:, 8:-8].mean() for dx in (-2, 0, 2)}
    assert differences[2] < differences[0] < differences[-2]


def test_a_longer_flight_before_leaves_no_pictures_behind(run: Path) -> None:
    long, short = ["--fps", "20"], ["--fps", "10"]
    for words, count in ((long, 11), (short, 6)):
        assert run_command(["render", str(run), *words, "--no-film", "--out", str(run / "flight")]) == 0
        assert len(list((run / "flight").glob("*.png"))) == count


def test_render_flies_around_a_point_and_along_a_path_file(run: Path, tmp_path: Path) -> None:
    assert run_command(["render", str(run), "--orbit", "10", "0", "1", "--fps", "1", "--no-film"]) == 0
    assert len(list((run / "renders" / "orbit").glob("*.png"))) == 8
    path = tmp_path / "flight.json"
    keyframes = [
        {"time_s": t, "position": [x, 0, 1.5], "look_at": [20, 0, 1]} for t, x in ((0, -1), (0.5, 4))
    ]
    path.write_text(json.dumps({"version": 1, "pictures_per_second": 8, "keyframes": keyframes}))
    assert run_command(["render", str(run), "--path", str(path), "--camera", "left", "--no-film"]) == 0
    assert len(list((run / "renders" / "flight-left").glob("*.png"))) == 5


def test_export_writes_a_ply(run: Path, tmp_path: Path) -> None:
    assert run_command(["export", str(run)]) == 0
    assert run_command(["export", str(run / "checkpoints" / "latest"), "--out", str(tmp_path / "a.ply")]) == 0
    assert len(read_ply(run / "scene.ply")) == len(read_ply(tmp_path / "a.ply")) == 120


def test_brackets_in_a_path_are_printed(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    named = run.rename(run.with_name("street [left]"))
    out = named / "a[b]"
    assert run_command(["export", str(named), "--out", str(out / "c.ply")]) == 0
    assert str(out / "c.ply") in capsys.readouterr().out


def test_what_to_type_next_can_be_typed(
    drive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "my [first] run"
    assert run_command(["train", f"folder:{drive}", "--out", str(out), "--steps", "2", *SMALL]) == 0
    assert f"gsrecon export '{out}'" in capsys.readouterr().out


def test_check_looks_at_a_drive(drive: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = run_command(["check", f"folder:{drive}"])
    said = capsys.readouterr().out
    assert "12 pictures, 6 lidar sweeps" in said
    assert code == (0 if "0 errors" in said else 1)


def test_doctor_names_the_backend(capsys: pytest.CaptureFixture[str]) -> None:
    code = run_command(["doctor"])
    said = capsys.readouterr().out
    assert "cpu" in said
    assert "torch" in said
    assert code == (0 if "kernels" in said else 1)


def test_training_ends_with_a_run_that_evaluates_resumes_and_is_not_overwritten(
    drive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec, out = tmp_path / "mine.toml", tmp_path / "trained"
    spec.write_text(f'drive = "folder:{drive}"\n[test]\nevery = 3\noffset = 1\n')
    words = ["train", str(spec), "--out", str(out), "--steps", "6", *SMALL]
    assert run_command(words) == 0
    said = capsys.readouterr()
    assert "gsrecon render" in said.out
    assert "Gaussians" in said.err
    assert (out / "report.html").is_file()
    assert {frame.index for frame in load_scene(out).recording.frames if frame.held_out} == {1, 4}

    assert run_command(words) == 1
    assert "--resume" in capsys.readouterr().err
    assert run_command(["train", str(spec), "--out", str(out), "--resume"]) == 0
    # Only where it runs is said anew; everything else is as the run was begun.
    elsewhere = ["--device", "cpu", "--picture-memory-mib", "64"]
    assert run_command(["train", str(spec), "--out", str(out), "--resume", *elsewhere]) == 0
    assert run_command(["train", str(spec), "--out", str(out), "--resume", "--steps", "7"]) == 1
    assert "settings" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["render", "evaluate", "export-dataset"])
def test_a_device_that_is_not_there_is_told_before_anything_is_written(
    command: str, run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    before = set(run.rglob("*"))
    assert run_command([command, str(run), "--device", "cuda"]) == 1
    assert "error: device: " in capsys.readouterr().err
    assert run_command([command, str(run), "--device", "gpu"]) == 1
    assert "expected 'auto', 'cpu', 'cuda' or 'cuda:N', got 'gpu'" in capsys.readouterr().err
    assert set(run.rglob("*")) == before


def test_training_on_a_device_that_is_not_there_begins_no_run(
    drive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "train",
        f"folder:{drive}",
        "--out",
        str(tmp_path / "run"),
        "--steps",
        "2",
        "--device",
        "cuda:99",
    ]
    assert run_command(words) == 1
    assert "error: device: " in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_the_demo_overwrites_nothing(tmp_path: Path) -> None:
    assert free_folder(tmp_path / "demo") == tmp_path / "demo"
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo-2").mkdir()
    assert free_folder(tmp_path / "demo") == tmp_path / "demo-3"


@pytest.mark.slow
def test_the_demo_runs_from_end_to_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "demo"
    assert run_command(["demo", "--minutes", "0.3", "--length-m", "16", "--out", str(out)]) == 0
    for name in ("report.html", "metrics.json", "scene.ply", "renders/shifted/film.mp4"):
        assert (out / name).is_file()
    assert "Done." in capsys.readouterr().out
