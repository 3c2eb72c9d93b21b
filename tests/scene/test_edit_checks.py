"""What an edit list cannot do is refused, and what looks wrong is told."""

from pathlib import Path

import pytest

from gsrecon.errors import SpecError
from gsrecon.scene.bundle import save_scene
from gsrecon.scene.edits import (
    Drive,
    Duplicate,
    Exposure,
    Insert,
    Move,
    Remove,
    Swap,
    apply_edits,
    check_edits,
)
from tests.labels.street import THINGS, street_log, street_scene
from tests.scene.edited_street import edited, grey_car, pose_of, tensors_of


@pytest.fixture(name="asset", scope="module")
def _asset(tmp_path_factory) -> Path:
    return grey_car(tmp_path_factory.mktemp("assets") / "grey-car")


def damaged(asset: Path, folder: Path) -> Path:
    folder.mkdir()
    for file in asset.iterdir():
        content = bytearray(file.read_bytes())
        if file.suffix == ".ply":
            content[-1] ^= 1
        (folder / file.name).write_bytes(bytes(content))
    return folder


def test_what_cannot_be_done_is_refused_in_one_sentence_and_nothing_is_changed(asset, tmp_path):
    save_scene(street_scene(street_log()), tmp_path / "run")
    graph = street_scene(street_log())
    before, nodes = tensors_of(graph), list(graph)
    straight = {"waypoints": ((15.0, -3.0), (30.0, -3.0)), "speeds_mps": (30.0,)}
    refused = [
        (Remove("tank"), "edit 2 .remove tank.: the scene has no object 'tank'; it has near, far"),
        (Duplicate("near", "far"), "'far' is taken"),
        (Insert("walker", asset=asset, at=(14.0, -5.0)), "'walker' is taken"),
        (Insert("x", asset=tmp_path, at=(14.0, -3.0)), "asset.toml"),
        (Insert("x", asset=tmp_path / "none", at=(14.0, -3.0)), "no such folder"),
        (Insert("x", asset=damaged(asset, tmp_path / "damaged"), at=(14.0, -3.0)), "gaussians.ply"),
        (
            Insert("x", scene=tmp_path / "none", object="far", class_name="car", at=(14.0, -3.0)),
            "no scene in it",
        ),
        (
            Insert("x", scene=tmp_path / "run", object="tank", class_name="car", at=(14.0, -3.0)),
            "'tank'; it has",
        ),
        (Insert("x", asset=asset, at=(14.0, -20.0)), "leaves the road at 0.0 s, x 14.0 m, y -20.0 m"),
        (
            Drive("near", waypoints=((12.0, -3.0), (30.0, -3.0), (33.0, -16.0)), speeds_mps=(10.0,)),
            "edit 2 .drive near.: its way leaves the road at 2.",
        ),
        (
            Drive("near", waypoints=((400.0, 0.0), (410.0, 0.0)), speeds_mps=(1.0,)),
            "leaves the road at 0.0 s",
        ),
        (Drive("near", **straight, follow_lane=True), "follow_lane: there are no lane lines"),
        (
            Drive("near", waypoints=((15.0, 1.5), (30.0, 1.5)), speeds_mps=(10.0,)),
            "edit 2 .drive near.: near is in far at 0.[34]",
        ),
        (
            Insert("x", asset=asset, at=(12.5, 0.0)),
            "x is in near at 0.0 s; choose another place, or set allow",
        ),
        (Swap("walker", scene=tmp_path / "run", with_object="tank", class_name="car"), "'tank'; it has near"),
    ]
    for edit, told in refused:
        with pytest.raises(SpecError, match=told) as caught:
            apply_edits(graph, (Exposure(2.0), edit))
        assert "\n" not in str(caught.value)
        assert list(graph) == nodes
    assert graph.objects.ids == [thing.id for thing in THINGS]
    assert all(tensor is before[name] for name, tensor in tensors_of(graph).items())
    with pytest.raises(SpecError, match="none: train with dynamics"):
        apply_edits(street_scene(street_log(()), modelled=False), (Remove("near"),))


def test_what_is_meant_to_be_off_the_road_or_in_another_object_is_allowed(asset):
    apply_edits(
        street_scene(street_log()),
        (
            Insert("x", asset=asset, at=(14.0, -20.0), off_road=True),
            Insert("y", asset=asset, at=(12.5, 0.0), allow_collisions=True),
        ),
    )


def test_a_place_may_be_taken_that_is_left_later(asset):
    graph = edited((Insert("x", asset=asset, at=(12.5, 0.0)), Remove("near")))
    assert pose_of(graph, "x", 0.0)[0, 3] == pytest.approx(12.5)


def test_old_lists_that_put_objects_into_each_other_still_replay_but_are_told():
    edits = (Move("far", (-10.0, -1.6, 0.0)), Remove("tank"), Exposure(1.1))
    edited(edits[:1])
    found = check_edits(street_scene(street_log()), edits)
    assert [bool(each.problem) for each in found] == [True, True, False]
    assert [each.stops for each in found] == [False, True, False]
    assert "edit 1 (move far): far is in near at 0.0 s" in found[0].problem


def test_check_tells_where_the_recorded_camera_goes_through_an_object(asset):
    edits = (Move("walker", (-7.5, -3.0, 0.0)), Insert("y", asset=asset, at=(14.0, -3.0)))
    first, second = check_edits(street_scene(street_log()), edits)
    assert first.beware.startswith("edit 1 (move walker): the recorded camera is in walker at 0.2 s")
    assert not first.problem
    assert not second.beware
