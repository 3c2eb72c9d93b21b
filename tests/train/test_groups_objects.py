"""Training by groups behind a box that drives ahead through all of them."""

import json
import shutil
from dataclasses import replace

import pytest

from gsrecon.data.log import DrivingLog
from gsrecon.scene.groups import ObjectGroups
from gsrecon.scene.groups_scene import GroupedScene
from gsrecon.scene.groups_store import GroupStore
from gsrecon.scene.render import render_frame
from gsrecon.scene.sealed import read_sealed, write_sealed
from gsrecon.train.dynamics import ActorDynamics
from gsrecon.train.groups import train_groups
from gsrecon.train.groups_merge import merge_groups
from gsrecon.train.progress import TrainResult
from tests.train.moving_drive import SPEC, moving_drive
from tests.train.test_groups import GROUPED, GROUPS, StopAt, final_files

AHEAD = replace(
    GROUPED,
    steps=60,
    groups=replace(GROUPS, count=4, reach_m=6.0, overlap_m=0.5),
    dynamics=ActorDynamics(),
)


@pytest.fixture(scope="module")
def drive() -> DrivingLog:
    """The box keeps about 5 m ahead for 48 m, in the first of four groups a little less."""
    return moving_drive(frames=48, spacing=1.0, speed=10.1)


@pytest.fixture(scope="module")
def behind_a_box(drive, tmp_path_factory) -> TrainResult:
    return train_groups(drive, SPEC, AHEAD, tmp_path_factory.mktemp("ahead") / "run")


def pixels_of_the_box(scene: GroupedScene, group: int) -> int:
    """In the last picture of a group."""
    image = render_frame(
        scene.group(group),
        scene.recording,
        scene.plan.frames(group)[-1],
        replace(scene.settings, ids=True),
    )
    assert image.ids is not None
    return int((image.ids == 1).sum())


def test_an_object_that_drives_ahead_through_all_groups_is_in_the_pictures_of_each(behind_a_box):
    scene = GroupedScene(behind_a_box.scene_dir)
    assert scene.plan.objects == {"box": ObjectGroups(0, (0, 1, 2, 3))}
    assert [scene.plan.neighbours(group) for group in range(4)] == [[1], [0, 2], [1, 3], [2]]
    graph = scene.group(3)
    assert {"background", "background-002", "actors-000"} <= {node.id for node in graph.gaussian_nodes}
    assert not {"background-000", "background-001"} & {node.id for node in graph}
    assert "actors-000" in graph.frozen
    for group in range(4):
        assert pixels_of_the_box(scene, group) > 5
        assert sorted(id for node in scene.group(group).gaussian_nodes for id in node.object_ids) == ["box"]


def test_a_picture_of_a_group_far_from_an_objects_home_reads_what_it_draws_alone(behind_a_box, tmp_path):
    run = shutil.copytree(behind_a_box.run_dir, tmp_path / "run", symlinks=True)
    unread = [run / "groups" / f"{group:03d}/latest/scene/nodes/background.safetensors" for group in (0, 1)]
    for path in unread:
        path.unlink()
    assert pixels_of_the_box(GroupedScene(run / "groups"), 3) > 5


def test_a_run_behind_a_box_resumes_to_the_same_bits(drive, behind_a_box, tmp_path):
    with pytest.raises(RuntimeError, match="killed"):
        train_groups(drive, SPEC, AHEAD, tmp_path / "run", [StopAt(50, "raise")])
    resumed = train_groups(drive, SPEC, AHEAD, tmp_path / "run", resume=True)
    assert resumed.finished
    assert final_files(resumed) == final_files(behind_a_box)


def test_groups_behind_a_box_are_trained_apart_and_merged(drive, tmp_path):
    train_groups(drive, SPEC, AHEAD, tmp_path / "a", only=0)
    shutil.copytree(tmp_path / "a", tmp_path / "b", symlinks=True)
    before = GroupStore(tmp_path / "a" / "groups").own(3)
    train_groups(drive, SPEC, AHEAD, tmp_path / "b", only=3)
    assert merge_groups(tmp_path / "a", [tmp_path / "b"]) == {3: tmp_path / "b"}
    after = GroupStore(tmp_path / "a" / "groups").own(3)
    assert {node.id for node in after} == {node.id for node in before}  # what is lent is not stored
    assert pixels_of_the_box(GroupedScene(tmp_path / "a" / "groups"), 3) > 5


def test_a_run_whose_plan_says_nothing_of_objects_goes_on_as_it_was_begun(drive, tmp_path):
    train_groups(drive, SPEC, AHEAD, tmp_path / "run", [StopAt(40)])
    folder = tmp_path / "run" / "groups" / "plan"
    stored = json.loads(read_sealed(folder)["plan.json"])
    assert stored.pop("objects") == {"box": {"home": 0, "seen_by": [0, 1, 2, 3]}}
    write_sealed(folder, {"plan.json": json.dumps(stored, indent=1).encode()})
    resumed = train_groups(drive, SPEC, AHEAD, tmp_path / "run", resume=True)
    assert resumed.finished
    scene = GroupedScene(resumed.scene_dir)
    assert scene.plan.objects == {}
    assert [pixels_of_the_box(scene, group) > 5 for group in range(4)] == [True, True, False, False]
