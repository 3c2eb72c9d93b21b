"""Edit lists on scenes that are cut into groups."""

import gc
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch

from gsrecon.errors import SpecError
from gsrecon.labels.edited_tracks import edited_tracks
from gsrecon.scene.actors import RigidActors
from gsrecon.scene.bundle import save_scene
from gsrecon.scene.edit_groups import EditedGroups
from gsrecon.scene.edited import edited_scene, objects_of, with_edits
from gsrecon.scene.edits import (
    Duplicate,
    Exposure,
    Hide,
    Insert,
    Move,
    Recolour,
    Remove,
    Surroundings,
    check_edits,
)
from gsrecon.scene.graph import SceneGraph
from gsrecon.scene.groups_scene import GroupedScene, open_scene
from gsrecon.scene.render import render_frame
from tests.labels.street import THINGS, street_log, street_scene
from tests.scene.edited_street import (
    edited,
    every_kind_of_edit,
    grey_car,
    pose_of,
    require_same_scene,
    tensors_of,
)
from tests.scene.street_in_groups import HOMES, street_in_groups

WALK = (0.0, 0.5, 0.0)


@pytest.fixture(name="run", scope="module")
def _run(tmp_path_factory) -> Path:
    return street_in_groups(tmp_path_factory.mktemp("groups") / "run")


@pytest.fixture(name="asset", scope="module")
def _asset(tmp_path_factory) -> Path:
    return grey_car(tmp_path_factory.mktemp("assets") / "grey-car")


def ids_in(graph: SceneGraph) -> list[str]:
    return [id for node in graph.gaussian_nodes for id in node.object_ids]


def groups_of(run: Path, edits) -> GroupedScene:
    scene = with_edits(open_scene(run), edits)
    assert isinstance(scene, GroupedScene)
    return scene


def test_every_action_gives_the_pictures_of_the_scene_in_one_piece(run, asset, tmp_path):
    save_scene(street_scene(street_log()), tmp_path / "whole")
    # Entries that give every object a way of its own: otherwise groups far from it do not draw it.
    edits = (*every_kind_of_edit(asset, tmp_path / "whole"), Move("far", WALK))
    whole, scene, plain = edited(edits), groups_of(run, edits), open_scene(run)
    assert whole.recording is not None
    for frame in whole.recording.frames:
        graph = scene.for_frame(frame)
        assert sorted(ids_in(graph)) == sorted(ids_in(whole))
        assert graph.objects.ids == whole.objects.ids
        expected, found, before = (
            render_frame(of, whole.recording, frame).image for of in (whole, graph, plain.for_frame(frame))
        )
        # What lies at the same depth is blended in the order of its rows, which is another one in groups.
        assert float(((found - expected).abs() > 1e-4).float().mean()) < 0.005
        assert float(((before - expected).abs() > 1e-4).float().mean()) > 0.5


def test_what_the_list_moves_is_drawn_by_every_group_and_all_else_as_before(run):
    plain, scene = open_scene(run), groups_of(run, (Move("walker", WALK), Recolour("near", (1.0, 0.0, 0.0))))
    assert sorted(ids_in(plain.group(0))) == ["far", "hidden", "near"]
    assert sorted(ids_in(scene.group(0))) == ["far", "hidden", "near", "walker"]
    assert sorted(ids_in(scene.group(2))) == ["far", "hidden", "walker"]
    lent = [tensors_of(of.group(0))["actors-001/means"] for of in (plain, scene)]
    assert lent[0].equal(lent[1])
    at_home, elsewhere = (
        next(node for node in scene.group(k).gaussian_nodes if "walker" in node.object_ids) for k in (2, 0)
    )
    assert at_home.gaussians.means.equal(elsewhere.gaussians.means)
    assert len(at_home.gaussians) > 100
    expected = THINGS[3].place[1] + 0.5
    for number in (0, 1, 2):
        assert pose_of(scene.group(number), "walker", 0.2)[1, 3] == pytest.approx(expected)


def test_what_is_hidden_is_known_to_every_group_so_that_no_label_is_made_up(run):
    scene = groups_of(run, (Hide("walker"),))
    assert "walker" in ids_in(scene.group(0))
    assert pose_of(scene.group(0), "walker", 0.2) is None


def test_a_list_replays_to_the_same_groups_bit_for_bit_and_the_scene_stays_as_it_was(run, asset, tmp_path):
    save_scene(street_scene(street_log()), tmp_path / "whole")
    edits = every_kind_of_edit(asset, tmp_path / "whole")
    first, second = groups_of(run, edits), groups_of(run, edits)
    plain = open_scene(run)
    untouched = tensors_of(plain.group(1))
    before = {name: tensor.clone() for name, tensor in untouched.items()}
    changed = with_edits(plain, edits)
    for number in (1, 0, 2, 1):
        require_same_scene(first.group(number), second.group(number))
    require_same_scene(changed.group(1), first.group(1))
    assert all(tensor.equal(before[name]) for name, tensor in tensors_of(plain.group(1)).items())
    assert plain.group(1).objects.ids == [thing.id for thing in THINGS]


def test_every_object_is_in_one_part_and_the_count_is_right(run, asset):
    edits = (
        Insert("guest", asset=asset, at=(14.0, -4.5)),
        Duplicate("walker", "second walker", (0.0, 2.0, 0.0)),
        Move("walker", WALK),
        Remove("hidden"),
    )
    scene = groups_of(run, edits)
    parts = list(scene.parts())
    found = [id for part in parts for id in ids_in(part)]
    assert sorted(found) == ["far", "guest", "near", "second walker", "walker"]
    assert sum(len(part) for part in parts) == len(scene) != len(open_scene(run))
    assert "walker" in ids_in(parts[3])
    for part in parts:  # each can be drawn
        part.splats_at(torch.tensor([0.1]))


def test_only_the_groups_in_use_are_in_memory(run):
    plain = open_scene(run)
    scene = with_edits(plain, (Move("near", (0.1, 0.0, 0.0)),))
    first = scene.group(0)
    assert scene.group(0) is first
    assert scene.resident == plain.resident == [0]
    gone = weakref.ref(first)
    del first
    scene.group(2)
    gc.collect()
    assert gone() is None
    assert scene.resident == [2]
    for node in scene.objects().gaussian_nodes:
        assert isinstance(node, RigidActors)
        assert len(node.gaussians) == (len(node.rows_of("near")) if "near" in node.object_ids else 0)


def test_a_list_that_cannot_be_done_is_refused_before_any_group_is_drawn(run, asset):
    with pytest.raises(SpecError, match="no object 'tank'; it has near, far, hidden, walker"):
        groups_of(run, (Move("walker", WALK), Remove("tank")))
    with pytest.raises(SpecError, match="x is in near at 0.0 s"):
        groups_of(run, (Insert("x", asset=asset, at=(12.5, 0.0)),))
    with pytest.raises(SpecError, match="leaves the road at 0.0 s, x 14.0 m, y -20.0 m"):
        groups_of(run, (Insert("x", asset=asset, at=(14.0, -20.0)),))
    found = check_edits(objects_of(open_scene(run)), (Move("far", (-10.0, -1.6, 0.0)), Remove("tank")))
    assert ["far is in near" in found[0].problem, found[1].stops] == [True, True]


def test_ground_and_road_are_those_of_all_groups(run):
    whole, grouped = (Surroundings(scene) for scene in (street_scene(street_log()), open_scene(run)))
    np.testing.assert_array_equal(whole.ground.heights, grouped.ground.heights)
    np.testing.assert_array_equal(whole.ground.corner, grouped.ground.corner)


def test_labels_follow(run):
    edits = (
        Move("walker", WALK),
        Remove("near"),
        Duplicate("far", "far too", (0.0, 4.0, 0.0)),
        Exposure(1.2),
    )
    whole, objects = edited(edits), objects_of(edited_scene(run, edits))
    expected, found = (
        {track.id: track for track in edited_tracks(street_log().tracks, edits, of)}
        for of in (whole, objects)
    )
    assert list(expected) == list(found) == ["far", "hidden", "walker", "far too"]
    for id, track in expected.items():
        np.testing.assert_array_equal(track.world_from_actor, found[id].world_from_actor)
        np.testing.assert_array_equal(track.size_lwh, found[id].size_lwh)


def test_homes_are_what_the_tests_say(run):
    store = open_scene(run)
    assert isinstance(store, GroupedScene)
    assert not isinstance(store, EditedGroups)
    parts = list(store.parts())
    assert {id: number for number, part in enumerate(parts[1:]) for id in ids_in(part)} == HOMES
