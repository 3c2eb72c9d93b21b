"""Runs that are killed, damaged or out of disk: nothing is lost, and a resumed run ends in the same bits."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from gsrecon.errors import CheckpointError, DatasetError, TrainingError
from gsrecon.gaussians.density_classic import ClassicDensity
from gsrecon.gaussians.density_mcmc import MCMCDensity
from gsrecon.gaussians.schedule import Rounds
from gsrecon.scene import sealed
from gsrecon.scene.bundle import load_scene
from gsrecon.train import loop
from gsrecon.train.checkpoint import load_checkpoint
from gsrecon.train.config import InitialPoints, TrainConfig
from gsrecon.train.config_file import config_from_json, config_to_json
from gsrecon.train.loop import train
from gsrecon.train.progress import Progress, TrainResult
from gsrecon.train.run_folder import read_config
from tests.train.tiny_drive import SPEC, tiny_drive

CLASSIC = ClassicDensity(cap=600, rounds=Rounds(0.1, 0.9, 6), gradient_threshold=1e-5)
CONFIG = TrainConfig(
    steps=24,
    density=CLASSIC,
    initial=InitialPoints(lidar=150, beyond_lidar=60),
    sky_resolution=8,
    checkpoints=6,
    evaluations=0,
    log_every=4,
    device="cpu",
)
MCMC = replace(CONFIG, density=MCMCDensity(cap=400, rounds=Rounds(0.1, 0.9, 6)))


class StopAt:
    """Stops the run after a step, as a signal or by an exception."""

    def __init__(self, step: int, how: str = "interrupt") -> None:
        self.step, self.how = step, how
        self.messages: list[str] = []

    def on_step(self, progress: Progress) -> None:
        if progress.step == self.step:
            if self.how == "interrupt":
                os.kill(os.getpid(), signal.SIGINT)
            elif self.how == "terminate":
                os.kill(os.getpid(), signal.SIGTERM)
            else:
                raise RuntimeError("killed")

    def on_event(self, message: str) -> None:
        self.messages.append(message)


def final_files(result: TrainResult) -> dict[str, bytes]:
    """All of the last checkpoint but the time that training took."""
    checkpoint = result.scene_dir.parent
    return {
        str(path.relative_to(checkpoint)): path.read_bytes() for path in checkpoint.rglob("*.safetensors")
    }


@pytest.fixture(scope="module")
def drive():
    return tiny_drive()


@pytest.fixture(scope="module")
def uninterrupted(drive, tmp_path_factory) -> TrainResult:
    return train(drive, SPEC, CONFIG, tmp_path_factory.mktemp("uninterrupted"))


def test_the_last_two_checkpoints_are_kept_and_latest_points_to_the_newest(uninterrupted):
    folder = uninterrupted.run_dir / "checkpoints"
    assert sorted(path.name for path in folder.iterdir()) == ["latest", "step-20", "step-24"]
    assert os.readlink(folder / "latest") == "step-24"


def test_a_checkpoint_comes_back_to_the_same_bits(uninterrupted):
    state = load_checkpoint(uninterrupted.run_dir / "checkpoints", 6, CONFIG)
    again = load_checkpoint(uninterrupted.run_dir / "checkpoints", 6, CONFIG)
    assert state.step == 24
    for name, tensor in state.graph.parameters().items():
        assert torch.equal(tensor, again.graph.parameters()[name])
    assert torch.equal(state.generator.get_state(), again.generator.get_state())


@pytest.mark.parametrize("config", [CONFIG, MCMC], ids=["classic", "mcmc"])
@pytest.mark.parametrize("step", [5, 17])
def test_a_run_that_died_between_checkpoints_resumes_to_the_same_bits(config, step, drive, tmp_path):
    whole = train(drive, SPEC, config, tmp_path / "whole")
    with pytest.raises(RuntimeError, match="killed"):
        train(drive, SPEC, config, tmp_path / "torn", [StopAt(step, "raise")])
    resumed = train(drive, SPEC, config, tmp_path / "torn", resume=True)
    assert resumed.steps == whole.steps
    assert final_files(resumed) == final_files(whole)
    assert len(final_files(whole)) >= 7


@pytest.mark.parametrize("how", ["interrupt", "terminate"])
def test_a_signal_saves_stops_and_resumes_to_the_same_bits(how, drive, uninterrupted, tmp_path):
    stopped = train(drive, SPEC, CONFIG, tmp_path, [StopAt(6, how)])
    assert not stopped.finished
    assert stopped.steps == 6
    assert (tmp_path / "checkpoints" / "latest").resolve().name == "step-6"
    resumed = train(drive, SPEC, CONFIG, tmp_path, resume=True)
    assert resumed.finished
    assert final_files(resumed) == final_files(uninterrupted)


def test_a_resumed_run_writes_no_row_of_the_metrics_twice(drive, tmp_path):
    train(drive, SPEC, CONFIG, tmp_path, [StopAt(6)])
    train(drive, SPEC, CONFIG, tmp_path, resume=True)
    rows = (tmp_path / "metrics.jsonl").read_text().splitlines()
    steps = [int(row.split(",")[0].split(":")[1]) for row in rows]
    assert steps == [4, 8, 12, 16, 20, 24]


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before_it(drive, uninterrupted, tmp_path, caplog):
    run = shutil.copytree(uninterrupted.run_dir, tmp_path / "run", symlinks=True)
    path = run / "checkpoints" / "step-24" / "training" / "optimizer.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    resumed = train(drive, SPEC, CONFIG, run, resume=True)
    assert "optimizer.safetensors: the file is damaged" in caplog.text
    assert final_files(resumed) == final_files(uninterrupted)


def test_a_run_whose_checkpoints_are_all_damaged_says_which_file(drive, uninterrupted, tmp_path):
    run = shutil.copytree(uninterrupted.run_dir, tmp_path / "run", symlinks=True)
    for path in run.glob("checkpoints/step-*/scene/nodes/background.safetensors"):
        path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(CheckpointError, match=r"background\.safetensors: the file is damaged.*copy"):
        train(drive, SPEC, CONFIG, run, resume=True)


def test_resuming_with_other_settings_names_them(drive, uninterrupted):
    with pytest.raises(CheckpointError, match=r"steps: 25, 24"):
        train(drive, SPEC, replace(CONFIG, steps=25), uninterrupted.run_dir, resume=True)


def test_a_run_resumes_with_other_settings_of_the_machine(drive, uninterrupted):
    elsewhere = replace(CONFIG, backend="cpu", picture_memory_mib=1)
    assert train(drive, SPEC, elsewhere, uninterrupted.run_dir, resume=True).steps == 24


def test_a_run_from_before_a_setting_was_there_resumes(drive, uninterrupted, tmp_path):
    run = shutil.copytree(uninterrupted.run_dir, tmp_path / "run", symlinks=True)
    stored = json.loads((run / "config.json").read_text())
    del stored["eps2d"], stored["weights"]["needle"]
    (run / "config.json").write_text(json.dumps(stored))
    assert train(drive, SPEC, CONFIG, run, resume=True).steps == 24
    with pytest.raises(CheckpointError, match=r"eps2d: 0\.3, 0\.1"):
        train(drive, SPEC, replace(CONFIG, eps2d=0.3), run, resume=True)


def test_a_run_with_a_setting_that_is_no_more_is_refused(drive, uninterrupted, tmp_path):
    run = shutil.copytree(uninterrupted.run_dir, tmp_path / "run", symlinks=True)
    stored = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps({**stored, "sharpen": 0.5}))
    with pytest.raises(CheckpointError, match=r"do not fit this gsrecon \(.*sharpen"):
        train(drive, SPEC, CONFIG, run, resume=True)


def test_a_run_that_died_before_its_first_checkpoint_resumes_from_its_start(drive, uninterrupted, tmp_path):
    with pytest.raises(RuntimeError, match="killed"):
        train(drive, SPEC, CONFIG, tmp_path, [StopAt(2, "raise")])
    assert not list((tmp_path / "checkpoints").iterdir())
    assert final_files(train(drive, SPEC, CONFIG, tmp_path, resume=True)) == final_files(uninterrupted)


def test_resuming_with_another_split_names_it(drive, uninterrupted):
    """Otherwise pictures that were held out would be fitted."""
    other = replace(SPEC, test=replace(SPEC.test, offset=1))
    with pytest.raises(CheckpointError, match=r"scene\.toml: .*other scene spec \(test\.offset: 1, 2"):
        train(drive, other, CONFIG, uninterrupted.run_dir, resume=True)


def test_resuming_on_another_drive_is_refused_but_a_moved_one_is_not(drive, uninterrupted, tmp_path):
    run = shutil.copytree(uninterrupted.run_dir, tmp_path / "run", symlinks=True)
    with pytest.raises(CheckpointError, match="the run was begun on other pictures than tiny has"):
        train(tiny_drive(frames=9), SPEC, CONFIG, run, resume=True)
    assert train(drive, replace(SPEC, drive="folder:moved"), CONFIG, run, resume=True).finished


def test_damaged_checkpoints_of_later_steps_never_crowd_out_whole_ones(drive, uninterrupted, tmp_path):
    run = shutil.copytree(uninterrupted.run_dir, tmp_path / "run", symlinks=True)
    for step in (28, 32):
        (run / "checkpoints" / f"step-{step}").mkdir()
    (run / "checkpoints" / ".latest.12345").symlink_to("step-20")
    shutil.rmtree(run / "checkpoints" / "step-24")
    train(drive, SPEC, CONFIG, run, resume=True)
    left = sorted(path.name for path in (run / "checkpoints").iterdir())
    assert left == ["latest", "step-20", "step-24"]


def test_a_second_run_in_the_same_folder_is_refused(drive, uninterrupted):
    with pytest.raises(TrainingError, match="there is a run in this folder already"):
        train(drive, SPEC, CONFIG, uninterrupted.run_dir)


def test_two_processes_never_train_in_one_folder(drive, uninterrupted, tmp_path):
    shutil.copytree(uninterrupted.run_dir, tmp_path / "run", symlinks=True)
    code = (
        "import sys, time; from pathlib import Path; from gsrecon.train.run_folder import RunFolder\n"
        "with RunFolder(Path(sys.argv[1])).held(): print('held', flush=True); time.sleep(100)"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, tmp_path / "run"], stdout=subprocess.PIPE, text=True
    )
    assert other.stdout is not None
    try:
        assert other.stdout.readline() == "held\n"
        leftover = tmp_path / "run" / "checkpoints" / ".step-99.partial"
        leftover.mkdir()
        with pytest.raises(TrainingError, match="run: another process is training in this folder; wait"):
            train(drive, SPEC, CONFIG, tmp_path / "run", resume=True)
        assert leftover.is_dir()  # what the other is writing stays
    finally:
        other.kill()
        other.wait()
        other.stdout.close()
    train(drive, SPEC, CONFIG, tmp_path / "run", resume=True)


def test_resuming_nothing_says_so(drive, tmp_path):
    with pytest.raises(CheckpointError, match="there is no run to resume here"):
        train(drive, SPEC, CONFIG, tmp_path / "none", resume=True)


def test_a_full_disk_ends_in_one_sentence_and_leaves_the_last_checkpoint(drive, tmp_path, monkeypatch):
    room = 3

    def write(path: Path, content: bytes) -> None:
        nonlocal room
        if path.name == "optimizer.safetensors":
            room -= 1
        if room == 0:
            path.write_bytes(content[: len(content) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")
        path.write_bytes(content)

    monkeypatch.setattr(sealed, "_write_flushed", write)
    with pytest.raises(
        TrainingError, match=r"step-12: cannot be written \(No space left on device\); make room"
    ):
        train(drive, SPEC, CONFIG, tmp_path)
    left = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert left == ["latest", "step-4", "step-8"]
    monkeypatch.undo()
    assert train(drive, SPEC, CONFIG, tmp_path, resume=True).finished


def test_a_small_full_disk_leaves_the_last_checkpoint(drive, tmp_path):
    """The same on a real file system, where mounting one is permitted."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no permission to mount a small file system")
    try:
        with pytest.raises(TrainingError, match="No space left on device"):
            train(drive, SPEC, CONFIG, disk / "run")
        for path in (disk / "run" / "checkpoints").glob("step-*/scene"):
            load_scene(path)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_loss_that_is_not_finite_stops_before_anything_is_overwritten(drive, tmp_path, monkeypatch):
    real, calls = loop.picture_loss, 0

    def broken(*arguments):
        nonlocal calls
        calls += 1
        picture, squared = real(*arguments)
        return (picture * float("nan"), squared) if calls == 10 else (picture, squared)

    monkeypatch.setattr(loop, "picture_loss", broken)
    with pytest.raises(TrainingError, match=r"step 10: the loss is nan on picture .* of camera front"):
        train(drive, SPEC, CONFIG, tmp_path)
    assert (tmp_path / "checkpoints" / "latest").resolve().name == "step-8"
    load_scene(tmp_path)


def test_a_missing_picture_is_named(drive, tmp_path):
    frames = (replace(drive.frames[0], image=tmp_path / "gone.png"), *drive.frames[1:])
    with pytest.raises(DatasetError, match=r"gone\.png"):
        train(replace(drive, frames=frames), SPEC, CONFIG, tmp_path / "run")


def test_settings_come_back_from_json_whatever_the_strategy(uninterrupted):
    assert read_config(uninterrupted.run_dir) == CONFIG
    assert config_from_json(config_to_json(MCMC)) == MCMC


def kill_and_resume(run: Path, config_name: str, kills: int, random: np.random.Generator) -> int:
    """Starts the run in processes that are killed at random moments until one comes to its end."""
    done = 0
    while True:
        process = subprocess.Popen(
            [sys.executable, "-c", _PROCESS, str(run), config_name], cwd=Path(__file__).parents[2]
        )
        if done < kills:
            (run / "started").unlink(missing_ok=True)
            while not (run / "started").exists() and process.poll() is None:
                time.sleep(0.02)
            time.sleep(random.uniform(0.0, 0.6))
            process.kill()
        if process.wait() == 0:
            return done
        done += 1


_PROCESS = """
import sys
from pathlib import Path
from dataclasses import replace
from gsrecon.train.loop import train
from tests.train import test_checkpoint
from tests.train.tiny_drive import SPEC, tiny_drive

class Started:
    def on_step(self, progress):
        (run / "started").touch()
    def on_event(self, message):
        pass

run = Path(sys.argv[1])
config = getattr(test_checkpoint, sys.argv[2])
train(tiny_drive(), SPEC, config, run, [Started()], resume=(run / "config.json").exists())
"""

LONG = replace(MCMC, steps=4000, checkpoints=800)
"""Long enough that a fast machine is not done before it has been killed twenty times."""


def test_a_killed_process_resumes_to_the_same_bits(drive, uninterrupted, tmp_path):
    kill_and_resume(tmp_path, "CONFIG", 1, np.random.default_rng(1))
    result = replace(uninterrupted, scene_dir=tmp_path / "checkpoints" / "step-24" / "scene")
    assert final_files(result) == final_files(uninterrupted)


@pytest.mark.slow
def test_twenty_kills_at_random_moments_change_no_bit(drive, tmp_path):
    whole = train(drive, SPEC, LONG, tmp_path / "whole")
    (tmp_path / "torn").mkdir()
    kills = kill_and_resume(tmp_path / "torn", "LONG", 20, np.random.default_rng(7))
    assert kills == 20
    result = replace(whole, scene_dir=tmp_path / "torn" / "checkpoints" / "step-4000" / "scene")
    assert final_files(result) == final_files(whole)
