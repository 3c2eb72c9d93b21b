"""Mistakes end with one line on standard error and an exit code, never with a traceback."""

import errno
import shutil
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from gsrecon.cli.main import run as run_command
from gsrecon.train.views import View

SMALL = ["--initial.lidar=200", "--initial.beyond-lidar=0", "--sky-resolution=4", "--evaluations=0"]


def fails(words: list[str], told: str, capsys: pytest.CaptureFixture[str], code: int = 1) -> None:
    assert run_command(words) == code
    said = capsys.readouterr().err
    lines = [line for line in said.splitlines() if line.strip()]
    assert len(lines) == 1, said
    assert lines[0].startswith("error: ")
    assert told in lines[0]
    assert "Traceback" not in said


def test_an_unknown_command_lists_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    fails(["trian"], "there is no command 'trian'; there are demo, doctor", capsys, code=2)


def test_no_command_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command([]) == 2
    assert "gsrecon COMMAND" in capsys.readouterr().out


def test_an_unknown_option_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        run_command(["export", "runs/x", "--fromat", "ply"])
    assert stopped.value.code == 2
    assert "--fromat" in capsys.readouterr().err


def test_an_option_out_of_range_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    fails(["train", "toy", "--steps", "0"], "steps: expected at least 1, got 0", capsys, code=2)
    fails(["render", "runs/x", "--fps", "0"], "--fps: expected more than 0", capsys, code=2)
    fails(["demo", "--minutes", "0"], "--minutes: expected more than 0", capsys, code=2)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["render", "runs/x", "--shift-left", "nan"], "--shift-left: expected a finite number, got nan"),
        (["render", "runs/x", "--orbit", "1", "2", "inf"], "--orbit: expected a finite number, got inf"),
        (["export", "runs/x", "--at", "nan"], "--at: expected a finite number, got nan"),
        (
            ["evaluate", "runs/x", "--near-limit-m", "nan"],
            "--near-limit-m: expected a finite number, got nan",
        ),
        (["evaluate", "runs/x", "--shifts", "0.5,nan"], "--shifts: expected a finite number, got nan"),
        (
            ["train", "toy", "--weights.ssim", "nan"],
            "--weights.ssim: expected a finite number, got nan",
        ),
    ],
)
def test_what_is_no_number_is_wrong_usage(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    fails(words, told, capsys, code=2)


def test_two_ways_to_fly_are_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["render", "runs/x", "--shift-left", "1", "--orbit", "0", "0", "0"]
    fails(words, "--shift-left and --orbit do not go together", capsys, code=2)


@pytest.mark.parametrize("command", ["check", "train"])
@pytest.mark.parametrize("kind", ["kitti", "kitti-odometry", "folder"])
def test_a_drive_that_is_not_there_is_named(
    command: str, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fails([command, f"{kind}:{tmp_path / 'none'}"], str(tmp_path / "none"), capsys)


def test_a_drive_of_no_known_kind_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    fails(["train", "waymo:somewhere"], "waymo:somewhere: no such scene", capsys)


def test_a_folder_without_its_kind_is_told_how_to_say_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fails(["train", str(tmp_path)], f"{tmp_path}: say what the folder holds: kitti:PATH", capsys)


def test_an_unknown_key_in_a_spec_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = tmp_path / "mine.toml"
    spec.write_text('drive = "toy"\nimage_scael = 0.5\n')
    fails(["train", str(spec)], f"{spec}: the key image_scael is unknown; allowed are name", capsys)


def cut_picture(drive: Path) -> str:
    picture = drive / "images" / "front" / "000003.png"
    picture.write_bytes(picture.read_bytes()[:200])
    return f"{picture}: "


def spoil_lidar(drive: Path) -> str:
    sweep = drive / "lidar" / "000003.npy"
    points = np.load(sweep)
    points[4, 1] = np.nan
    np.save(sweep, points)
    return f"{sweep}: "


@pytest.mark.parametrize("damage", [cut_picture, spoil_lidar])
def test_a_damaged_file_ends_training_in_one_line_and_leaves_the_checkpoints(
    damage: Callable[[Path], str], drive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded = shutil.copytree(drive, tmp_path / "drive")
    words = ["train", f"folder:{recorded}", "--out", str(tmp_path / "run"), "--steps", "400", *SMALL]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gsrecon.train.loop.stop_on_signals", lambda: nullcontext(StopsAfter(steps=6)))
        assert run_command(words) == 130
    before = contents(tmp_path / "run" / "checkpoints")
    assert before
    place = damage(recorded)
    capsys.readouterr()
    fails([*words, "--resume"], place, capsys)
    assert contents(tmp_path / "run" / "checkpoints") == before


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (RuntimeError("CUDA error: unspecified launch failure"), "the GPU failed (CUDA error: unspec"),
        (torch.OutOfMemoryError("CUDA out of memory"), "GPU's 8 GiB are not enough to draw"),
    ],
)
def test_a_gpu_that_fails_ends_training_in_one_line_and_leaves_the_checkpoints(
    failure: Exception,
    told: str,
    drive: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words = ["train", f"folder:{drive}", "--out", str(tmp_path / "run"), "--steps", "400", *SMALL]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gsrecon.train.loop.stop_on_signals", lambda: nullcontext(StopsAfter(steps=3)))
        assert run_command(words) == 130
    before = contents(tmp_path / "run" / "checkpoints")
    assert before
    capsys.readouterr()

    def fail(*_: object) -> None:  # as a picture goes to the GPU
        raise failure

    monkeypatch.setattr(View, "to", fail)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(total_memory=2**33))
    fails([*words, "--resume"], told, capsys)
    assert contents(tmp_path / "run" / "checkpoints") == before


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (RuntimeError("CUDA error: device-side assert triggered"), "what was written to disk is intact"),
        (torch.OutOfMemoryError("CUDA out of memory"), "a lower density.cap"),
    ],
)
def test_a_gpu_that_fails_elsewhere_is_told_in_one_line(
    failure: Exception, told: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise failure

    monkeypatch.setattr("gsrecon.cli.main._command", fail)
    fails(["render", "runs/x"], told, capsys)


class StopsAfter:
    """Asks training to stop after some steps, as Ctrl-C does."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    @property
    def requested(self) -> bool:
        self.left -= 1
        return self.left < 0


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("command", ["evaluate", "render", "export"])
def test_a_folder_that_is_no_run_is_named(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fails([command, str(tmp_path)], f"{tmp_path}: ", capsys)
    fails([command, str(tmp_path / "none")], f"{tmp_path / 'none'}: ", capsys)


def test_a_damaged_scene_is_named(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damaged = run / "checkpoints" / "step-7" / "scene" / "nodes" / "background.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-10])
    fails(["export", str(run)], "background.safetensors: the file is damaged", capsys)


def test_an_unknown_camera_is_named(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fails(["render", str(run), "--camera", "rear"], "camera 'rear' is not in the scene", capsys)


def test_a_mistake_in_a_path_file_is_named(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "flight.toml"
    path.write_text("version = 1\nkeyframe = []\n")
    fails(["render", str(run), "--path", str(path)], "unknown key 'keyframe'", capsys)


def test_a_full_disk_is_one_sentence_and_leaves_the_old_file(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (run / "scene.ply").write_bytes(b"old")

    def full(path: Path, *rest: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr("gsrecon.evaluation.export.write_ply", full)
    fails(["export", str(run)], "scene.ply: the disk is full; make room", capsys)
    assert (run / "scene.ply").read_bytes() == b"old"


def test_a_full_disk_names_the_file_though_the_system_does_not(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(file: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("gsrecon.files.os.fsync", full)
    fails(["export", str(run)], f"{run / 'scene.ply'}: the disk is full; make room", capsys)
    assert not list(run.glob(".*.partial*"))


def test_ctrl_c_says_how_to_go_on(
    drive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from gsrecon.train.progress import TrainResult

    def stopped(log, spec, config, folder, observers, resume, group):
        return TrainResult(folder, folder, steps=12, seconds=1.0, gaussians=5, finished=False)

    monkeypatch.setattr("gsrecon.cli.fit.train_groups", stopped)
    assert run_command(["train", f"folder:{drive}", "--out", str(tmp_path / "run")]) == 130
    said = capsys.readouterr().err
    assert "step 12 is saved" in said
    assert "--resume" in said
    assert "Traceback" not in said


def test_ctrl_c_in_a_flight_leaves_no_half_film(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from gsrecon.cli import fly

    whole = fly.render_path

    def interrupted(*words: object) -> object:
        yield next(whole(*words))
        raise KeyboardInterrupt

    monkeypatch.setattr(fly, "render_path", interrupted)
    assert run_command(["render", str(run)]) == 130
    assert [path.name for path in (run / "renders" / "recorded").iterdir()] == ["00000.png"]
    assert "stopped" in capsys.readouterr().err


def test_debug_shows_where_it_happened(tmp_path: Path) -> None:
    from gsrecon.errors import CheckpointError

    with pytest.raises(CheckpointError):
        run_command(["export", str(tmp_path), "--debug"])


def test_a_surprise_is_one_line_too(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*words: object) -> None:
        raise ZeroDivisionError("by\nnothing")

    monkeypatch.setattr("gsrecon.evaluation.export.write_ply", broken)
    fails(["export", str(run)], "ZeroDivisionError: by nothing (run again with --debug", capsys)
