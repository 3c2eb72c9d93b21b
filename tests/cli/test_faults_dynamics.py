"""Drives with faults in what moves, and groups that do not fit: a message, and training that goes on."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gsrecon.cli.main import run as run_command
from gsrecon.data.folder import write_folder
from gsrecon.data.log import DrivingLog
from tests.train.moving_drive import moving_drive

SMALL = ["--initial.lidar=100", "--initial.beyond-lidar=0", "--sky-resolution=4", "--evaluations=0"]
SMALL += ["--steps=3", "--density.cap=600", "--checkpoints=1"]
DYNAMICS = ["no-dynamics", "deformation-dynamics", "actor-dynamics", "actor-and-deformation-dynamics"]


def without_objects(log: DrivingLog) -> DrivingLog:
    return replace(log, tracks=())


def one_key(log: DrivingLog) -> DrivingLog:
    (track,) = log.tracks
    single = replace(
        track, timestamps_us=track.timestamps_us[5:6], world_from_actor=track.world_from_actor[5:6]
    )
    return replace(log, tracks=(single,))


def jumping_box(log: DrivingLog) -> DrivingLog:
    (track,) = log.tracks
    poses = track.world_from_actor.copy()
    poses[6, 1, 3] += 60
    return replace(log, tracks=(replace(track, world_from_actor=poses),))


def camera_without_frames(log: DrivingLog) -> DrivingLog:
    camera = log.cameras["front"]
    return replace(log, cameras={**log.cameras, "blind": replace(camera, name="blind")})


def two_frames_at_one_time(log: DrivingLog) -> DrivingLog:
    frames = list(log.frames)
    frames[3] = replace(frames[3], timestamp_us=frames[2].timestamp_us)
    return replace(log, frames=tuple(frames))


def on_disk(fault: Callable[[DrivingLog], DrivingLog], folder: Path) -> str:
    write_folder(fault(moving_drive()), folder / "drive")
    return f"folder:{folder / 'drive'}"


@pytest.mark.parametrize("dynamics", DYNAMICS)
def test_a_drive_without_objects_trains_with_every_choice(
    dynamics: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drive = on_disk(without_objects, tmp_path)
    assert run_command(["train", drive, "--out", str(tmp_path / "run"), *SMALL, f"dynamics:{dynamics}"]) == 0
    said = capsys.readouterr().err
    assert ("no object is modelled" in said) == dynamics.startswith("actor")


@pytest.mark.parametrize(
    ("fault", "code", "told"),
    [
        (without_objects, 0, "the drive has no boxes"),
        (one_key, 0, "1 have a single key"),
        (jumping_box, 0, "the box jumps: 60.0 m off"),
        (camera_without_frames, 0, "the camera has no frames"),
        (two_frames_at_one_time, 1, "two frames have the same time"),
    ],
)
def test_check_names_the_fault(
    fault: Callable[[DrivingLog], DrivingLog],
    code: int,
    told: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    assert run_command(["check", on_disk(fault, tmp_path)]) == code
    assert told in capsys.readouterr().out


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (one_key, None),
        (jumping_box, "warning: track box (car): at 0.60 s the box jumps: 60.0 m off"),
        (camera_without_frames, "warning: blind: the camera has no frames; leave the camera out"),
        (two_frames_at_one_time, "warning: front frame 3: two frames have the same time"),
    ],
)
def test_training_says_what_is_wrong_and_goes_on(
    fault: Callable[[DrivingLog], DrivingLog],
    told: str | None,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["train", on_disk(fault, tmp_path), "--out", str(tmp_path / "run"), *SMALL]
    assert run_command([*words, "dynamics:actor-and-deformation-dynamics"]) == 0
    said = capsys.readouterr().err
    assert "warning" not in said if told is None else told in said


def test_more_groups_than_frames_become_as_many_as_can_learn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """12 pictures, of which one is held out; a group needs one to learn from."""
    drive = on_disk(without_objects, tmp_path)
    assert run_command(["train", drive, "--out", str(tmp_path / "run"), *SMALL, "--groups=40"]) == 0
    assert "cut into 11 groups instead of 40" in capsys.readouterr().err


def test_no_group_at_all_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["train", "toy", "--groups=0"]) == 2
    assert "error: --groups: count: expected at least 1, got 0" in capsys.readouterr().err
    assert run_command(["train", "toy", "--group-length-m=-1"]) == 2
    assert "error: --group-length-m: " in capsys.readouterr().err
