from dataclasses import replace

import numpy as np
import pytest
import torch

from gsrecon.data.spec import read_spec
from gsrecon.gaussians.density_mcmc import MCMCDensity
from gsrecon.scene.bundle import load_scene, save_scene
from gsrecon.scene.recording import RecordedFrame
from gsrecon.scene.render import render_frame
from gsrecon.train import loop
from gsrecon.train.config import InitialPoints, TrainConfig
from gsrecon.train.loop import train
from gsrecon.train.losses import depth_loss
from gsrecon.train.progress import Progress
from gsrecon.train.state import TrainState
from gsrecon.train.stopwatch import Stopwatch
from gsrecon.train.views import View
from tests.train.tiny_drive import SPEC, tiny_drive

CONFIG = TrainConfig(
    steps=300,
    initial=InitialPoints(lidar=1200, beyond_lidar=300),
    sky_resolution=8,
    checkpoints=1,
    evaluations=2,
    log_every=50,
    device="cpu",
)


class Watching:
    def __init__(self) -> None:
        self.seen: list[Progress] = []
        self.messages: list[str] = []

    def on_step(self, progress: Progress) -> None:
        self.seen.append(progress)

    def on_event(self, message: str) -> None:
        self.messages.append(message)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    watching = Watching()
    return train(tiny_drive(), SPEC, CONFIG, tmp_path_factory.mktemp("run"), [watching]), watching


def test_a_tiny_drive_is_learned_well_enough_to_predict_held_out_pictures(trained):
    result, _ = trained
    assert result.finished
    assert result.held_out["psnr"] > 28.5
    assert result.held_out["psnr/front"] == pytest.approx(result.held_out["psnr"])


def test_mcmc_learns_it_too(tmp_path):
    config = replace(CONFIG, density=MCMCDensity(cap=2500), evaluations=1)
    result = train(tiny_drive(), SPEC, config, tmp_path)
    assert result.held_out["psnr"] > 22.5
    assert result.gaussians <= 2500


def test_a_fisheye_drive_is_learned(tmp_path):
    result = train(tiny_drive(fisheye=True), SPEC, replace(CONFIG, evaluations=1), tmp_path)
    assert result.held_out["psnr"] > 29


def test_a_drive_without_lidar_is_learned(tmp_path):
    config = replace(CONFIG, evaluations=1, initial=InitialPoints(beyond_lidar=1500, farthest=30.0))
    result = train(replace(tiny_drive(), sweeps=()), SPEC, config, tmp_path)
    assert result.held_out["psnr"] > 22


def test_a_camera_with_held_out_pictures_only_is_scored_with_the_scenes_own_colours(tmp_path):
    log = tiny_drive()
    extra = [replace(frame, camera="extra") for frame in SPEC.test_frames(log)]
    cameras = {**log.cameras, "extra": replace(log.cameras["front"], name="extra")}
    log = replace(log, cameras=cameras, frames=(*log.frames, *extra))
    result = train(log, SPEC, replace(CONFIG, steps=20, evaluations=1), tmp_path)
    assert result.held_out["psnr/extra"] == pytest.approx(result.held_out["psnr/front"], abs=1.0)


def test_observers_hear_of_every_step_and_of_checkpoints_and_scores(trained):
    _, watching = trained
    assert [progress.step for progress in watching.seen] == list(range(1, 301))
    assert watching.seen[-1].fraction == 1.0
    assert watching.seen[-1].seconds_left == 0.0
    assert watching.seen[-1].psnr > watching.seen[2].psnr + 3
    assert sum("checkpoint" in message for message in watching.messages) == 1
    assert sum("held-out" in message for message in watching.messages) == 2


def test_the_run_folder_holds_what_the_run_was(trained):
    result, _ = trained
    assert read_spec(result.run_dir / "scene.toml") == SPEC
    names = {path.name for path in result.run_dir.iterdir()}
    assert {"config.json", "scene.toml", "environment.json", "metrics.jsonl", "checkpoints"} <= names


def test_a_stored_scene_renders_to_the_same_bits(trained, tmp_path):
    result, _ = trained
    graph = load_scene(result.run_dir)
    save_scene(graph, tmp_path / "copy")
    copy = load_scene(tmp_path / "copy")
    assert graph.recording is not None
    assert copy.recording is not None
    frame = graph.recording.frames[2]
    assert frame.held_out
    with torch.no_grad():
        one = render_frame(graph, graph.recording, frame).image
        other = render_frame(copy, copy.recording, copy.recording.frames[2]).image
    assert torch.equal(one, other)
    assert copy.settings == graph.settings
    assert copy.settings.mode == "antialiased"


def test_a_run_with_a_time_limit_completes_its_schedules(tmp_path):
    watching = Watching()
    config = replace(CONFIG, steps=None, max_minutes=0.02, evaluations=0)
    result = train(tiny_drive(), SPEC, config, tmp_path, [watching])
    assert result.finished
    assert watching.seen[-1].fraction == 1.0
    assert 1.2 <= result.seconds < 60


def test_pose_corrections_of_held_out_frames_are_never_learned_from_their_pixels(tmp_path):
    """Rubbish in the held-out pictures changes no bit of the scene."""
    log = tiny_drive()
    rubbish = [replace(frame, image=np.zeros_like(frame.image)) for frame in SPEC.test_frames(log)]
    frames = (*SPEC.train_frames(log), *rubbish)
    config = replace(CONFIG, steps=20, evaluations=0)
    results = [
        train(log, SPEC, config, tmp_path / "clean"),
        train(replace(log, frames=frames), SPEC, config, tmp_path / "rubbish"),
    ]
    nodes = [
        {path.name: path.read_bytes() for path in result.scene_dir.glob("nodes/*")} for result in results
    ]
    assert nodes[0] == nodes[1]


def test_lidar_of_held_out_frames_changes_no_bit_of_the_scene(tmp_path):
    log = tiny_drive()
    held_out = {frame.timestamp_us for frame in SPEC.test_frames(log)}
    sweeps = tuple(
        replace(sweep, points=5 * sweep.points) if sweep.timestamp_us in held_out else sweep
        for sweep in log.sweeps
    )
    # With this gap the pictures before and after would give a held-out frame's points their colours.
    initial = replace(CONFIG.initial, largest_gap_ms=150.0)
    config = replace(CONFIG, steps=10, evaluations=0, initial=initial)
    clean = train(log, SPEC, config, tmp_path / "clean")
    rubbish = train(replace(log, sweeps=sweeps), SPEC, config, tmp_path / "rubbish")
    for path in clean.scene_dir.glob("nodes/*"):
        assert path.read_bytes() == (rubbish.scene_dir / "nodes" / path.name).read_bytes()


def test_the_time_of_a_step_holds_all_of_it(monkeypatch, tmp_path):
    """Densification is made to take an hour of the clock's time; it counts."""
    late, real_clock, real_change = 0.0, loop.time.perf_counter, TrainState.change_density

    def slow(*arguments):
        nonlocal late
        late += 3600
        return real_change(*arguments)

    monkeypatch.setattr(loop.time, "perf_counter", lambda: real_clock() + late)
    monkeypatch.setattr(TrainState, "change_density", slow)
    result = train(tiny_drive(), SPEC, replace(CONFIG, steps=3, evaluations=0), tmp_path)
    assert 3 * 3600 <= result.seconds < 4 * 3600


def test_depth_loss_is_the_log_ratio_where_something_is_drawn():
    view = View(
        frame=RecordedFrame("front", 0, 0, np.eye(4), held_out=False),
        image=torch.zeros(2, 2, 3, dtype=torch.uint8),
        counts=None,
        sky=None,
        moving=None,
        depth_pixels=torch.tensor([0, 1, 3], dtype=torch.int32),
        depths=torch.tensor([10.0, 10.0, 10.0]),
    )
    depth = torch.tensor([[11.0, 0.0], [5.0, 10.0]], requires_grad=True)
    loss = depth_loss(depth, view)
    loss.backward()
    assert loss.item() == pytest.approx(0.5 * np.log(1.1), rel=1e-5)
    assert depth.grad is not None
    assert bool(depth.grad.isfinite().all())
    assert depth.grad[0, 1] == 0


def test_settings_without_an_end_are_refused():
    with pytest.raises(ValueError, match="steps, max_minutes: expected at least one"):
        TrainConfig(steps=None)


def test_a_stopwatch_forgets_after_telling():
    watch = Stopwatch()
    watch.lap("a")
    assert set(watch.means()) == {"a"}
    assert watch.means() == {}
