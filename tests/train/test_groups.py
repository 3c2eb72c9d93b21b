"""Training by groups: the same run for one group, resumed bits, merged owners, bounded memory."""

import errno
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from gsrecon.errors import CheckpointError, SpecError, TrainingError
from gsrecon.evaluation.evaluate import evaluate
from gsrecon.evaluation.export import export_ply
from gsrecon.evaluation.novel_views import driven_path, render_path
from gsrecon.gaussians.density_classic import ClassicDensity
from gsrecon.gaussians.ply import read_ply
from gsrecon.gaussians.schedule import Rounds
from gsrecon.scene import sealed
from gsrecon.scene.bundle import load_scene
from gsrecon.scene.groups import Groups
from gsrecon.scene.groups_scene import GroupedScene, open_scene
from gsrecon.scene.groups_store import GroupStore, picture_groups
from gsrecon.scene.render import render_frame
from gsrecon.train.dynamics import ActorDynamics, DeformationDynamics
from gsrecon.train.groups import train_groups
from gsrecon.train.groups_merge import merge_groups
from gsrecon.train.loop import train
from gsrecon.train.progress import Progress, TrainResult
from tests.train.moving_drive import SPEC as MOVING
from tests.train.moving_drive import moving_drive
from tests.train.test_checkpoint import CONFIG
from tests.train.tiny_drive import SPEC, tiny_drive

GROUPS = Groups(count=3, reach_m=8.0, overlap_m=2.0, rounds=2, shared_share=0.1)
GROUPED = replace(CONFIG, steps=60, groups=GROUPS, checkpoints=4, log_every=10)


class StopAt:
    """Stops the run after a step, as a signal or by an exception; keeps what it was told."""

    def __init__(self, step: int = 0, how: str = "interrupt") -> None:
        self.step, self.how = step, how
        self.seen: list[Progress] = []

    def on_step(self, progress: Progress) -> None:
        self.seen.append(progress)
        if progress.step != self.step:
            return
        if self.how == "interrupt":
            os.kill(os.getpid(), signal.SIGINT)
        else:
            raise RuntimeError("killed")

    def on_event(self, message: str) -> None:
        pass


def final_files(result: TrainResult) -> dict[str, bytes]:
    """The latest of every part, but the time it took."""
    files = {}
    for latest in result.scene_dir.glob("*/latest"):
        for path in latest.rglob("*.safetensors"):
            files[f"{latest.parent.name}/{path.relative_to(latest)}"] = path.read_bytes()
    return files


@pytest.fixture(scope="module")
def drive():
    return tiny_drive(frames=18, spacing=1.0)


@pytest.fixture(scope="module")
def watcher() -> StopAt:
    return StopAt()


@pytest.fixture(scope="module")
def uninterrupted(drive, watcher, tmp_path_factory) -> TrainResult:
    return train_groups(drive, SPEC, GROUPED, tmp_path_factory.mktemp("groups") / "run", [watcher])


def test_one_group_is_the_plain_run_bit_for_bit(drive, tmp_path):
    config = replace(CONFIG, groups=replace(GROUPS, count=1))
    whole = train(drive, SPEC, config, tmp_path / "whole")
    grouped = train_groups(drive, SPEC, config, tmp_path / "grouped")
    for path in sorted(whole.scene_dir.parent.rglob("*.safetensors")):
        other = grouped.scene_dir.parent / path.relative_to(whole.scene_dir.parent)
        assert other.read_bytes() == path.read_bytes()


def test_every_group_is_trained_to_its_end_and_progress_names_group_and_round(uninterrupted, watcher):
    assert uninterrupted.finished
    assert watcher.seen[-1].fraction == pytest.approx(1.0)
    assert uninterrupted.steps == watcher.seen[-1].step == len(watcher.seen)
    told = list(dict.fromkeys(progress.part for progress in watcher.seen))
    assert told == [
        "what all groups share",
        *(f"round {r} of 2, group {k} of 3" for r in (1, 2) for k in (1, 2, 3)),
    ]


def test_a_group_stores_what_it_owns_and_draws_the_rest_frozen(uninterrupted):
    store = GroupStore(uninterrupted.scene_dir)
    plan, _ = store.read_plan()
    own = store.own(1)
    assert {node.id for node in own} == {"background", "appearance", "camera_refinement"}
    owned = len(own)
    store.surround(own, 1, plan)
    assert {"far", "sky", "background-000", "background-002"} <= own.frozen
    assert len(own.trained_nodes[0].gaussians) == owned
    shared = load_scene(store.shared / "latest" / "scene")
    assert own.appearance is not None
    assert shared.appearance is not None
    assert torch.equal(own.appearance.camera_values, shared.appearance.camera_values)


def test_a_group_loses_what_its_pictures_do_not_show(drive, tmp_path):
    """Nothing but a census adds or removes Gaussians here."""
    counts = []
    for share in (0.0, 0.5):
        density = ClassicDensity(cap=600, rounds=Rounds(count=0), prune_shown_share=share)
        config = replace(GROUPED, steps=120, density=density)
        result = train_groups(drive, SPEC, config, tmp_path / f"{share}")
        store = GroupStore(result.scene_dir)
        counts.append([len(store.own(group).trained_nodes[0].gaussians) for group in range(3)])
    for everything, shown in zip(*counts, strict=True):
        assert 0 < shown < everything


def test_training_a_group_changes_nothing_that_others_own(drive, tmp_path):
    """Neither files of other groups nor the corrections of their pictures."""
    config = replace(GROUPED, steps=30)
    train_groups(drive, SPEC, config, tmp_path / "run", only=0)
    store = GroupStore(tmp_path / "run" / "groups")
    plan, _ = store.read_plan()
    before = {path: path.read_bytes() for path in store.folder.rglob("*") if path.is_file()}
    train_groups(drive, SPEC, config, tmp_path / "run", only=1)
    for path, content in before.items():
        if path.relative_to(store.folder).parts[0] != "001":
            assert path.read_bytes() == content
    own, owner = store.own(1).appearance, store.own(0).appearance
    assert own is not None
    assert owner is not None
    rows = picture_groups(plan, own) == 0
    assert torch.equal(own.picture_values[rows], owner.picture_values[rows])


def test_corrections_of_each_picture_are_the_owners(uninterrupted):
    store = GroupStore(uninterrupted.scene_dir)
    scene = GroupedScene(uninterrupted.scene_dir)
    plan = scene.plan
    merged = scene.appearance
    assert merged is not None
    owners = picture_groups(plan, merged)
    assert sorted(set(owners.tolist())) == [0, 1, 2]
    for group in range(3):
        stored = store.own(group).appearance
        assert stored is not None
        rows = owners == group
        assert torch.equal(merged.picture_values[rows], stored.picture_values[rows])
        assert bool((stored.picture_values[rows] != 0).any())


def test_a_scene_in_groups_is_judged_drawn_and_exported(drive, uninterrupted, tmp_path):
    scene = open_scene(uninterrupted.run_dir)
    assert isinstance(scene, GroupedScene)
    evaluation = evaluate(scene, drive)
    assert len(evaluation.pictures) == 4
    assert evaluation.psnr > 14.5
    assert len(list(render_path(scene, driven_path(scene, left_m=0.5)))) == 18
    export_ply(scene, tmp_path / "scene.ply")
    assert (
        len(read_ply(tmp_path / "scene.ply")) == len(scene) == evaluation.gaussians == uninterrupted.gaussians
    )


def test_a_scene_in_groups_is_not_read_as_a_whole(uninterrupted):
    with pytest.raises(CheckpointError, match=r"cut into groups.*open_scene"):
        load_scene(uninterrupted.run_dir)


def test_only_the_groups_that_are_asked_for_are_resident(uninterrupted):
    scene = GroupedScene(uninterrupted.scene_dir)
    assert scene.resident == []
    first = scene.for_frame(scene.recording.frames[0])
    assert scene.resident == [0]
    assert scene.for_frame(scene.recording.frames[1]) is first
    scene.for_frame(scene.recording.frames[-1])
    assert scene.resident == [2]


@pytest.mark.parametrize("step", [3, 20, 45])
def test_a_run_that_died_resumes_to_the_same_bits(step, drive, uninterrupted, tmp_path):
    """In the shared pass, in the first and in the second round."""
    with pytest.raises(RuntimeError, match="killed"):
        train_groups(drive, SPEC, GROUPED, tmp_path / "run", [StopAt(step, "raise")])
    resumed = train_groups(drive, SPEC, GROUPED, tmp_path / "run", resume=True)
    assert resumed.finished
    assert final_files(resumed) == final_files(uninterrupted)


def test_ctrl_c_saves_the_group_and_the_run_goes_on_from_that_step(drive, uninterrupted, tmp_path):
    stopped = train_groups(drive, SPEC, GROUPED, tmp_path / "run", [StopAt(25)])
    assert not stopped.finished
    assert stopped.steps == 25
    watch = StopAt()
    resumed = train_groups(drive, SPEC, GROUPED, tmp_path / "run", [watch], resume=True)
    assert watch.seen[0].step == 26
    assert final_files(resumed) == final_files(uninterrupted)


def test_a_damaged_checkpoint_of_a_group_is_passed_over_for_the_one_before_it(
    drive, uninterrupted, tmp_path, caplog
):
    run = shutil.copytree(uninterrupted.run_dir, tmp_path / "run", symlinks=True)
    path = run / "groups" / "002" / "latest" / "training" / "optimizer.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    (run / "groups" / "002" / "latest" / "training" / "counters.json").write_text("{")
    resumed = train_groups(drive, SPEC, GROUPED, run, resume=True)
    assert "is damaged" in caplog.text
    assert resumed.finished
    assert final_files(resumed) == final_files(uninterrupted)


def test_a_full_disk_leaves_every_group_as_it_was(drive, uninterrupted, tmp_path, monkeypatch):
    room = 7
    write = sealed._write_flushed

    def full(path: Path, content: bytes) -> None:
        nonlocal room
        room -= path.name == "optimizer.safetensors"
        if room < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, content)

    monkeypatch.setattr(sealed, "_write_flushed", full)
    with pytest.raises(TrainingError, match=r"cannot be written \(No space left on device\)"):
        train_groups(drive, SPEC, GROUPED, tmp_path / "run")
    monkeypatch.undo()
    resumed = train_groups(drive, SPEC, GROUPED, tmp_path / "run", resume=True)
    assert final_files(resumed) == final_files(uninterrupted)


def test_groups_trained_apart_are_merged_and_the_owner_wins(drive, tmp_path):
    config = replace(GROUPED, steps=30)
    first = train_groups(drive, SPEC, config, tmp_path / "a", only=0)
    assert first.finished
    shutil.copytree(tmp_path / "a", tmp_path / "b", symlinks=True)
    train_groups(drive, SPEC, config, tmp_path / "b", only=2)
    untouched = (tmp_path / "a" / "groups" / "000" / "latest" / "manifest.json").read_bytes()
    taken = merge_groups(tmp_path / "a", [tmp_path / "b"])
    assert taken == {2: tmp_path / "b"}
    counters = [tmp_path / run / "groups/002/latest/training/counters.json" for run in ("a", "b")]
    assert counters[0].read_bytes() == counters[1].read_bytes()
    assert (tmp_path / "a" / "groups" / "000" / "latest" / "manifest.json").read_bytes() == untouched
    assert not merge_groups(tmp_path / "a", [tmp_path / "b"])
    GroupedScene(tmp_path / "a" / "groups").group(2)


def test_runs_cut_otherwise_are_not_merged(drive, uninterrupted, tmp_path):
    run = shutil.copytree(uninterrupted.run_dir, tmp_path / "run", symlinks=True)
    other = replace(GROUPED, steps=30, groups=replace(GROUPS, count=2))
    train_groups(drive, SPEC, other, tmp_path / "other", only=0)
    with pytest.raises(CheckpointError, match="cut into other groups"):
        merge_groups(run, [tmp_path / "other"])


def test_a_group_that_is_not_there_is_named(drive, tmp_path):
    with pytest.raises(SpecError, match=r"group 3: the drive is cut into 3 groups, 0 to 2"):
        train_groups(drive, SPEC, GROUPED, tmp_path / "run", only=3)


def test_resuming_on_another_drive_is_refused(uninterrupted, tmp_path):
    run = shutil.copytree(uninterrupted.run_dir, tmp_path / "run", symlinks=True)
    with pytest.raises(CheckpointError, match="begun on other pictures than tiny has"):
        train_groups(tiny_drive(frames=17, spacing=1.0), SPEC, GROUPED, run, resume=True)


def test_a_missing_group_is_named_when_it_is_needed(uninterrupted, tmp_path):
    run = shutil.copytree(uninterrupted.run_dir, tmp_path / "run", symlinks=True)
    scene = GroupedScene(run / "groups")
    shutil.rmtree(run / "groups" / "002")
    with pytest.raises(CheckpointError, match=r"002.*there is no scene"):
        scene.group(2)


@pytest.mark.parametrize("dynamics", [ActorDynamics(), DeformationDynamics()], ids=["actors", "deformation"])
def test_things_that_move_belong_to_one_group_and_are_drawn_by_others(dynamics, tmp_path):
    """One deformation for each group; an object has its home where most of its pixels are."""
    drive = moving_drive(frames=12)
    groups = replace(GROUPS, count=2, reach_m=20.0)
    config = replace(GROUPED, steps=24, groups=groups, dynamics=dynamics)
    result = train_groups(drive, MOVING, config, tmp_path / "run")
    assert result.finished
    scene = GroupedScene(result.scene_dir)
    views = [scene.group(k) for k in (0, 1)]
    if isinstance(dynamics, DeformationDynamics):
        assert [sorted(view.deformations) for view in views] == [
            ["background", "background-001"],
            ["background", "background-000"],
        ]
        return
    assert [view.objects.ids for view in views] == [["box"], ["box"]]
    # The box starts 5 m ahead and drives off: the first group shows it largest.
    assert [[node.id for node in view.gaussian_nodes if node.object_ids] for view in views] == [
        ["actors"],
        ["actors-000"],
    ]
    frame = drive.frames[6]
    image = render_frame(
        views[1], scene.recording, scene.recording.frames[6], replace(scene.settings, ids=True)
    )
    assert frame.masks["moving"].any()
    assert bool((image.ids == 1).any())
