"""Training on a GPU that is pretended: every tensor is where it has to be, and the bits are the CPU's."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch

from gsrecon.evaluation.evaluate import evaluate
from gsrecon.evaluation.export import export_ply
from gsrecon.evaluation.novel_views import driven_path, render_path
from gsrecon.gaussians import density_mcmc
from gsrecon.gaussians.schedule import Rounds
from gsrecon.scene import deformation
from gsrecon.scene.deformation_config import DeformationConfig
from gsrecon.scene.groups import Groups
from gsrecon.scene.groups_scene import open_scene
from gsrecon.train.checkpoint import load_checkpoint
from gsrecon.train.dynamics import ActorAndDeformationDynamics, ActorDynamics, DeformationDynamics, NoDynamics
from gsrecon.train.groups import train_groups
from gsrecon.train.loop import train
from gsrecon.train.progress import Progress
from tests.pretend_device import DEVICE, pretend_gpu, same_generator
from tests.train import test_checkpoint, test_groups
from tests.train.moving_drive import SPEC as MOVING
from tests.train.moving_drive import moving_drive
from tests.train.test_checkpoint import MCMC, StopAt, final_files
from tests.train.tiny_drive import HEIGHT, SPEC, WIDTH, tiny_drive

CONFIG = replace(test_checkpoint.CONFIG, evaluations=1)
RESETS = replace(test_checkpoint.CLASSIC, opacity_resets=Rounds(0.2, 0.5, 3))
RUNS = {
    "classic": replace(CONFIG, density=RESETS),
    "mcmc": replace(MCMC, evaluations=1),
    "masked": replace(CONFIG, mask_moving=True),
    "deformation": replace(CONFIG, dynamics=DeformationDynamics(DeformationConfig(most_sampled=20))),
    "actors": replace(CONFIG, dynamics=ActorDynamics()),
    "both": replace(CONFIG, dynamics=ActorAndDeformationDynamics()),
}


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Threads that wait for each other in every tiny operation would take most of the time."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def drive():
    """With somebody who walks, so that an object may deform, a car that is there for a while, and the sky."""
    log = moving_drive()
    walker, times = replace(log.tracks[0], category="pedestrian"), log.tracks[0].timestamps_us[:4]
    poses = log.tracks[0].world_from_actor[:4] + 1.5 * np.eye(4, k=2)
    car = replace(walker, id="car", category="car", timestamps_us=times, world_from_actor=poses)
    sky = np.zeros((HEIGHT, WIDTH), np.uint8)
    sky[:4] = 255
    frames = tuple(replace(frame, masks={**frame.masks, "sky": sky}) for frame in log.frames)
    return replace(log, frames=frames, tracks=(walker, car))


@contextmanager
def same_numbers() -> Iterator[None]:
    """Random numbers are the same on both."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (density_mcmc, deformation):
            patch.setattr(module, "generator_on", same_generator)
        yield


@pytest.fixture(scope="module", params=list(RUNS))
def runs(request, drive, tmp_path_factory):
    """One run on the CPU, the same on the GPU."""
    folder, config = tmp_path_factory.mktemp("runs"), RUNS[request.param]
    with same_numbers():
        on_cpu = train(drive, MOVING, config, folder / "cpu")
        with pretend_gpu():
            on_gpu = train(drive, MOVING, replace(config, device="cuda"), folder / "gpu")
    return config, on_cpu, on_gpu


def test_training_on_a_gpu_gives_the_cpus_bits(runs):
    """24 steps with six rounds of densification, a census, checkpoints and held-out scores."""
    _, on_cpu, on_gpu = runs
    assert on_gpu.gaussians > 210
    assert final_files(on_gpu) == final_files(on_cpu)
    assert on_gpu.held_out == on_cpu.held_out


def test_a_run_goes_on_on_another_device(runs, drive, tmp_path):
    """From the GPU to the CPU and back."""
    config, on_cpu, _ = runs
    on_gpu = replace(config, device="cuda:0")
    with same_numbers():
        with pretend_gpu(), pytest.raises(RuntimeError, match="killed"):
            train(drive, MOVING, on_gpu, tmp_path, [StopAt(9, "raise")])
        with pytest.raises(RuntimeError, match="killed"):
            train(drive, MOVING, config, tmp_path, [StopAt(17, "raise")], resume=True)
        with pretend_gpu():
            resumed = train(drive, MOVING, on_gpu, tmp_path, resume=True)
    assert final_files(resumed) == final_files(on_cpu)


def test_a_scene_is_judged_and_flown_through_on_a_gpu(runs, drive):
    _, on_cpu, _ = runs

    def seen(device: torch.device | str):
        scene = open_scene(on_cpu.run_dir, device)
        assert scene.device == torch.device(device)
        scores = [replace(score, seconds=0.0) for score in evaluate(scene, drive).pictures]
        return scores, list(render_path(scene, driven_path(scene, left_m=0.5)))[::4]

    with pretend_gpu():
        scores, views = seen(DEVICE)
    true_scores, true_views = seen("cpu")
    assert scores == true_scores
    for view, true in zip(views, true_views, strict=True):
        np.testing.assert_array_equal(view.image, true.image)
        np.testing.assert_array_equal(view.depth, true.depth)


def test_all_that_is_trained_is_on_the_gpu(runs):
    config, _, on_gpu = runs
    with pretend_gpu():
        state = load_checkpoint(on_gpu.run_dir / "checkpoints", 9, replace(config, device="cuda"))
        kept = [
            *state.graph.parameters().values(),
            *(t for node in state.graph for t in node.tensors().values()),
        ]
        moments = [tensor for name, tensor in state.optimizer.state().items() if not name.endswith(":step")]
        evidence = {id(d.evidence) for d in state.graph.deformations.values()}
        for tensor in (*kept, *moments):
            assert tensor.device == DEVICE or id(tensor) in evidence
        assert state.generator.device == torch.device("cpu")


def test_mcmcs_noise_is_drawn_on_the_gpu_and_told_by_the_runs_generator(tmp_path):
    """Not the CPU's numbers, but the same ones whenever the run is repeated."""
    config = replace(RUNS["mcmc"], device="cuda")
    with pretend_gpu():
        results = [train(tiny_drive(), SPEC, config, tmp_path / name) for name in ("one", "other")]
    on_cpu = train(tiny_drive(), SPEC, RUNS["mcmc"], tmp_path / "cpu")
    assert final_files(results[0]) == final_files(results[1]) != final_files(on_cpu)
    assert results[0].held_out["psnr"] == pytest.approx(on_cpu.held_out["psnr"], abs=0.5)


def test_a_fisheye_drive_is_trained_on_a_gpu(tmp_path):
    config = replace(CONFIG, steps=6)
    on_cpu = train(tiny_drive(fisheye=True), SPEC, config, tmp_path / "cpu")
    with pretend_gpu():
        on_gpu = train(tiny_drive(fisheye=True), SPEC, replace(config, device="cuda"), tmp_path / "gpu")
    assert final_files(on_gpu) == final_files(on_cpu)


@pytest.mark.parametrize("dynamics", [NoDynamics(), ActorDynamics()], ids=["still", "actors"])
def test_a_step_waits_for_the_gpu_to_tell_the_loss_alone(dynamics, drive, tmp_path):
    """Once, where no density changes; what the rasterizer waits for comes on top."""
    counts: list[int] = []

    class Counting(StopAt):
        def on_step(self, progress: Progress) -> None:
            counts.append(len(reads))
            reads.clear()

    config = replace(CONFIG, dynamics=dynamics, device="cuda", steps=8, checkpoints=0, evaluations=0)
    with pretend_gpu() as reads:
        train(drive, MOVING, config, tmp_path, [Counting(0)])
    assert min(counts) == 1


@pytest.mark.parametrize("dynamics", [ActorDynamics(), DeformationDynamics()], ids=["actors", "deformation"])
def test_groups_are_trained_judged_and_exported_on_a_gpu(dynamics, drive, tmp_path):
    groups = Groups(count=2, reach_m=20.0, overlap_m=2.0, rounds=2, shared_share=0.2)
    config = replace(CONFIG, steps=16, groups=groups, dynamics=dynamics)

    def done(folder, config, device):
        result = train_groups(drive, MOVING, config, folder)
        scene = open_scene(result.run_dir, device)
        export_ply(scene, folder / "scene.ply", time_s=0.3)
        files = {**test_groups.final_files(result), "ply": (folder / "scene.ply").read_bytes()}
        pictures = [view.image.tobytes() for view in render_path(scene, driven_path(scene))][::4]
        return files, result.held_out, evaluate(scene, drive).psnr, pictures

    with same_numbers(), pretend_gpu():
        on_gpu = done(tmp_path / "gpu", replace(config, device="cuda"), DEVICE)
    assert on_gpu == done(tmp_path / "cpu", config, "cpu")


def test_the_device_is_no_part_of_what_a_run_has_to_be_resumed_with(tmp_path):
    """Runs of before there were devices have none in their settings."""
    config = replace(CONFIG, steps=4)
    train(tiny_drive(), SPEC, config, tmp_path / "run", [StopAt(2)])
    stored = tmp_path / "run" / "config.json"
    lines = [line for line in stored.read_text().splitlines() if '"device"' not in line]
    shutil.copytree(tmp_path / "run", tmp_path / "old", symlinks=True)
    (tmp_path / "old" / "config.json").write_text(
        "\n".join(lines).replace('"backend": "auto",', '"backend": "auto"')
    )
    for folder in ("run", "old"):
        assert train(
            tiny_drive(), SPEC, replace(config, device="auto"), tmp_path / folder, resume=True
        ).finished
