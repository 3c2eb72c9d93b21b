"""Edit lists: read strictly, applied to objects bit for bit, with labels that follow."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from gsrecon.data.log import Track
from gsrecon.errors import SpecError
from gsrecon.labels.edited_tracks import edited_tracks
from gsrecon.scene.assets import Asset, write_asset
from gsrecon.scene.bundle import load_scene, save_scene
from gsrecon.scene.edits import (
    ACTIONS,
    Drive,
    Duplicate,
    Edit,
    EditHistory,
    Exposure,
    Hide,
    Insert,
    Move,
    Recolour,
    Remove,
    Retime,
    Surroundings,
    Swap,
    apply_edits,
    check_edits,
    fresh_copy,
    read_edits,
    write_edits,
)
from gsrecon.scene.graph import SceneGraph
from tests.labels.street import START_US, THINGS, Thing, ray_cast, street_labeler, street_log, street_scene
from tests.scene.moving_things import stir, two_cars

LIST = """\
[[edit]]
do = "remove"
object = "near"

[[edit]]
do = "move"
object = "far"
by = [-4.0, 1.0, 0.0]
turn_deg = 0.0

[[edit]]
do = "duplicate"
object = "walker"
as = "second walker"
by = [2.0, -4.5, 0.0]
"""
NEAR, FAR, HIDDEN, WALKER = THINGS
AFTER_LIST = (
    replace(FAR, place=(18.0, 2.6, 0.75)),
    HIDDEN,
    WALKER,
    replace(WALKER, id="second walker", place=(11.0, -1.5, 0.9)),
)
BESIDE = ((20.0, -3.0), (26.0, -3.0), (34.0, -2.0))


@pytest.fixture(name="asset", scope="module")
def _asset(tmp_path_factory) -> Path:
    """The car `near`, painted grey, as an asset."""
    node = street_scene(street_log())["actors"]
    rows = node.rows_of("near")
    gaussians = type(node.gaussians)(**{name: t[rows] for name, t in node.gaussians.named().items()})
    folder = tmp_path_factory.mktemp("assets") / "grey-car"
    write_asset(
        Asset("grey car", "vehicle.car", (4.0, 1.8, 1.5), replace(gaussians, sh0=0 * gaussians.sh0)), folder
    )
    return folder


def edited(edits, things=THINGS) -> SceneGraph:
    graph = street_scene(street_log(things))
    apply_edits(graph, edits)
    return graph


def tensors_of(graph: SceneGraph) -> dict[str, torch.Tensor]:
    return {f"{node.id}/{name}": tensor for node in graph for name, tensor in node.tensors().items()}


def require_same_scene(a: SceneGraph, b: SceneGraph) -> None:
    first, second = tensors_of(a), tensors_of(b)
    assert list(first) == list(second)
    for name, tensor in first.items():
        assert tensor.equal(second[name]), name
    assert a.objects.ids == b.objects.ids


def pose_of(graph: SceneGraph, id: str, time_s: float) -> np.ndarray | None:
    """Where an object is; None where it is not there."""
    for node in graph.gaussian_nodes:
        if id in node.object_ids:
            number, time = node.object_ids.index(id), torch.tensor([time_s], dtype=torch.float64)
            shown = bool(node.trajectories.present(time)[0, number])
            return node.trajectories.at(time)[0, number].numpy() if shown else None
    raise AssertionError(f"no object {id}")


def as_drawn(thing: Thing) -> Thing:
    (l, w, h), (x, y, z) = thing.size_lwh, thing.place
    return replace(thing, size_lwh=(l + 0.06, w + 0.06, h - 0.04), place=(x, y, z + 0.05))


def require_labels(
    edits, things: tuple[Thing, ...], time_us: int = START_US + 130_000, least: float = 0.9
) -> None:
    """Every object's label covers the pixels on which the object is, and nothing else is labelled.

    The street's Gaussians reach about 3 cm beyond the faces they are on, and labels take the lowest 10 cm of
    a box for the ground that it stands on.
    """
    log = street_log()
    graph = edited(edits)
    tracks: tuple[Track, ...] = edited_tracks(log.tracks, edits, graph)
    labeler = street_labeler(replace(log, tracks=tracks), graph)
    lens, pose = graph.recording.cameras["front"], log.frames[0].world_from_cam
    view = labeler.view(graph, lens, pose, time_us)
    found = {thing.subject.id: thing for thing in view.objects}
    shown, _ = ray_cast(lens, pose, time_us, [as_drawn(thing) for thing in things])
    assert set(found) == {thing.id for thing in things}
    for number, thing in enumerate(things):
        expected, mask = shown == number, view.instance == found[thing.id].subject.number
        if expected.sum() > 400:
            overlap = (expected & mask).sum() / (expected | mask).sum()
            assert overlap > least, (thing.id, overlap)
        assert found[thing.id].subject.category == thing.category
        np.testing.assert_allclose(found[thing.id].world_from_actor, thing.pose(time_us), atol=0.03)


def test_labels_follow_objects_that_are_removed_moved_and_doubled(tmp_path):
    (tmp_path / "edits.toml").write_text(LIST)
    require_labels(read_edits(tmp_path / "edits.toml"), AFTER_LIST)


def test_labels_follow_an_object_on_a_new_way():
    edits = (Drive("near", waypoints=((8.0, -3.0), (18.0, -3.0)), speeds_mps=(10.0,)),)
    after = replace(NEAR, place=(8.0, -3.0, 0.75), speed=10.0)
    require_labels(edits, (after, FAR, HIDDEN, WALKER), START_US + 250_000)


def test_labels_follow_an_asset_that_is_inserted(asset):
    edits = (Insert("guest", asset=asset, at=(14.0, -3.0)),)
    guest = Thing("guest", "vehicle.car", NEAR.size_lwh, (14.0, -3.0, 0.75))
    require_labels(edits, (*THINGS, guest))


def test_labels_follow_an_object_that_is_swapped(asset):
    edits = (Remove("near"), Swap("hidden", asset=asset), Move("hidden", (-3.0, -2.5, 0.0)))
    shown = Thing("hidden", "vehicle.car", NEAR.size_lwh, (14.0, -2.5, 0.75))
    require_labels(edits, (FAR, shown, WALKER))


def test_hidden_and_retimed_objects_have_labels_only_where_they_are_shown():
    edits = (Hide("near", to_s=0.2), Retime("walker", shift_s=-0.1))
    walker = replace(WALKER, place=(9.15, 3.0, 0.9))
    require_labels(edits, (FAR, HIDDEN, walker))
    require_labels(edits, (NEAR, FAR, HIDDEN, walker), START_US + 250_000)


def every_kind_of_edit(asset: Path, run: Path) -> tuple[Edit, ...]:
    return (
        Insert("guest", asset=asset, at=(14.0, -4.5), heading_deg=30.0),
        Insert(
            "visitor", scene=run, object="far", class_name="car", waypoints=BESIDE, times_s=(0.1, 0.2, 0.5)
        ),
        Move("guest", (0.1, -0.2, 0.0), 1.0 / 3.0),
        Duplicate("far", "far too", (-1.0, 5.0, 0.0)),
        Remove("near"),
        Hide("walker", 0.1, 0.2),
        Retime("walker", 0.05, 1.5),
        Swap("hidden", asset=asset, fit=True),
        Recolour("far", (1.2, 0.3, 0.1)),
        Exposure(0.9),
        Exposure(1.1, "guest"),
        Drive("far too", waypoints=((20.0, 8.0), (35.0, 8.0)), speeds_mps=(3.0, 9.0), off_road=True),
    )


def test_every_action_goes_through_its_file_and_replays_to_the_same_scene_bit_for_bit(asset, tmp_path):
    save_scene(street_scene(street_log()), tmp_path / "run")
    edits = every_kind_of_edit(asset, tmp_path / "run")
    assert {edit.do for edit in edits} == set(ACTIONS)
    write_edits(tmp_path / "lists" / "edits.toml", edits)
    again = read_edits(tmp_path / "lists" / "edits.toml")
    assert again == edits
    original = street_scene(street_log())
    before = {name: tensor.clone() for name, tensor in tensors_of(original).items()}
    first, second = fresh_copy(original), fresh_copy(original)
    apply_edits(first, edits)
    apply_edits(second, again)
    require_same_scene(first, second)
    # The edited scene can be stored, and the one it was made from is as it was.
    save_scene(first, tmp_path / "edited")
    require_same_scene(load_scene(tmp_path / "edited"), first)
    assert set(tensors_of(original)) == set(before)
    assert all(tensor.equal(before[name]) for name, tensor in tensors_of(original).items())
    assert original.objects.ids == [thing.id for thing in THINGS]


def test_an_asset_inside_the_lists_folder_moves_with_it(asset, tmp_path):
    inside = tmp_path / "a" / "car"
    write_asset(Asset("car", "car", (4.0, 1.8, 1.5), street_scene(street_log())["actors"].gaussians), inside)
    write_edits(tmp_path / "a" / "edits.toml", (Insert("x", asset=inside, at=(1.0, 2.0)),))
    (tmp_path / "a").rename(tmp_path / "b")
    (edit,) = read_edits(tmp_path / "b" / "edits.toml")
    assert edit.asset == tmp_path / "b" / "car"


def test_a_turn_is_about_the_objects_own_axis():
    graph = edited((Move("near", turn_deg=90.0),))
    pose = graph["actors"].trajectories.key_poses[0].numpy()
    np.testing.assert_allclose(pose[:3, 3], NEAR.place)
    np.testing.assert_allclose(pose[:3, 0], [0, 1, 0], atol=1e-12)


def test_rows_stay_where_they_are_when_an_object_only_moves():
    graph = street_scene(street_log())
    node, background = graph["actors"], graph["background"]
    apply_edits(graph, (Move("far", (1.0, 0.0, 0.0)),))
    assert graph["actors"].gaussians is node.gaussians
    assert graph["background"] is background


def test_numbers_of_objects_are_appended_and_never_used_again():
    graph = edited((Duplicate("near", "copy", (0.0, -4.0, 0.0)), Remove("copy"), Remove("far")))
    assert graph.objects.ids == [*(thing.id for thing in THINGS), "copy"]
    for taken in ("far", "copy"):
        with pytest.raises(SpecError, match=f"the id '{taken}' is taken"):
            apply_edits(graph, (Duplicate("near", taken, (0.0, 4.0, 0.0)),))


def test_a_retimed_object_is_where_it_was_at_another_time():
    graph, plain = edited((Retime("walker", shift_s=0.1, rate=2.0),)), street_scene(street_log())
    # It starts at -0.1 s; that is now 0.0 s, and every second after it is two of its own.
    for time in (0.05, 0.2):
        np.testing.assert_allclose(
            pose_of(graph, "walker", time), pose_of(plain, "walker", -0.1 + 2 * time), atol=1e-9
        )
    assert pose_of(graph, "walker", -0.05) is None


def test_what_is_hidden_is_transparent_and_comes_back():
    graph = edited((Hide("near", 0.1, 0.3), Hide("far")))
    for time, shown in ((0.05, True), (0.1, False), (0.29, False), (0.3, True)):
        splats = graph.splats_at(torch.tensor([time]))
        own = splats.opacities[splats.object_index == graph.objects.number("near")]
        assert bool((own > 0.5).all() if shown else (own == 0).all())
        assert bool((splats.opacities[splats.object_index == graph.objects.number("far")] == 0).all())


def test_colours_are_multiplied():
    graph, plain = edited((Recolour("near", (2.0, 0.5, 0.0)), Exposure(0.5))), street_scene(street_log())

    def colours(of: SceneGraph, id: str) -> torch.Tensor:
        node = of["actors"]
        return 0.5 + 0.28209479177387814 * node.gaussians.sh0[node.rows_of(id)]

    gains = torch.tensor([1.0, 0.25, 0.0])
    torch.testing.assert_close(colours(graph, "near"), colours(plain, "near") * gains, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(colours(graph, "far"), colours(plain, "far") * 0.5, atol=1e-5, rtol=1e-5)
    assert graph.sky.texels.equal(plain.sky.texels * 0.5)
    assert not graph["background"].gaussians.sh0.equal(plain["background"].gaussians.sh0)


def test_a_swapped_object_stands_where_the_other_stood(asset):
    graph = edited((Swap("hidden", with_object="walker"), Swap("far", asset=asset, fit=True)))
    assert pose_of(graph, "hidden", 0.0)[2, 3] == pytest.approx(0.9)
    assert pose_of(graph, "far", 0.0)[2, 3] == pytest.approx(0.75)
    assert len(graph["actors"].rows_of("hidden")) == len(graph["actors"].rows_of("walker"))


def test_objects_that_deform_are_removed_doubled_and_retimed_with_their_networks():
    generator = torch.Generator().manual_seed(1)
    node = two_cars(generator, deforming=True)
    stir(node.deformation, generator)
    node.trajectories.spans_s[1, 0] = 0.0
    graph = SceneGraph([node])
    for id in node.object_ids:
        graph.objects.append(id)
    edits = (
        Remove("car"),
        Duplicate("walker", "late", (5.0, 0.0, 0.0)),
        Retime("late", 1.0),
    )
    apply_edits(changed := fresh_copy(graph), edits)
    then, later = (torch.tensor([t]) for t in (0.5, 1.5))
    rows = node.rows_of("walker")
    expected = node.splats_at(then)
    now = changed["actors"].splats_at(then)
    own = changed["actors"].rows_of("walker")
    for name in ("means", "quats", "scales", "opacities"):
        torch.testing.assert_close(getattr(now, name)[own], getattr(expected, name)[rows])
    # The copy does a second later what the other does now.
    shifted = changed["actors"].splats_at(later)
    own = changed["actors"].rows_of("late")
    torch.testing.assert_close(shifted.means[own], expected.means[rows])
    assert not torch.allclose(node.splats_at(later).means[rows], expected.means[rows])


def test_undo_and_redo_work_on_the_file(tmp_path):
    history = EditHistory.open(tmp_path / "edits.toml")
    for edit in (Remove("near"), Move("far", (1.0, 0.0, 0.0)), Hide("walker")):
        history.add(edit)
    assert history.undo() == Hide("walker")
    assert history.undo() == Move("far", (1.0, 0.0, 0.0))
    history.save()
    assert read_edits(tmp_path / "edits.toml") == (Remove("near"),)
    again = EditHistory.open(tmp_path / "edits.toml")
    assert again.redo() == Move("far", (1.0, 0.0, 0.0))
    assert again.edits == (Remove("near"), Move("far", (1.0, 0.0, 0.0)))
    again.add(Exposure(1.5))
    assert again.redo() is None
    again.save()
    assert EditHistory.open(tmp_path / "edits.toml").undone == ()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[[edit]]\ndo = "paint"\nobject = "near"\n', "edit 1: do: expected one of remove, hide, move"),
        ('[[edit]]\ndo = "move"\n', "object: expected a word, got nothing"),
        ('[[edit]]\ndo = "move"\nobject = "near"\nby = [1, 2]\n', "by: expected three numbers, got [1, 2]"),
        ('[[edit]]\ndo = "move"\nobject = "near"\nby = [1, 2, nan]\n', "by: expected three numbers"),
        ('[[edit]]\ndo = "move"\nobject = "near"\ncolour = "red"\n', "unknown key 'colour'; move has object"),
        ('[[edit]]\ndo = "duplicate"\nobject = "near"\n', "as: expected a word, got nothing"),
        ('[[edit]]\ndo = "drive"\nobject = "near"\n', "waypoints: expected at least two places"),
        ('[[edit]]\ndo = "drive"\nobject = "near"\nwaypoints = [[0, 0], [1, 0]]\n', "speeds_mps, times_s"),
        (
            '[[edit]]\ndo = "drive"\nobject = "near"\nwaypoints = [[0, 0], [1, 0]]\ntimes_s = [2, 1]\n',
            "times_s: expected an ascending time",
        ),
        (
            '[[edit]]\ndo = "drive"\nobject = "near"\nwaypoints = [[0, 0], [1, 0]]\nspeeds_mps = [0, 0]\n',
            "no two zeros in a row",
        ),
        ('[[edit]]\ndo = "insert"\nas = "x"\nat = [0, 0]\n', "asset, scene: expected"),
        ('[[edit]]\ndo = "insert"\nas = "x"\nasset = "a"\n', "at, waypoints: expected one of them"),
        (
            '[[edit]]\ndo = "insert"\nas = "x"\nscene = "r"\nobject = "o"\nat = [0, 0]\n',
            "class: expected one",
        ),
        ('[[edit]]\ndo = "swap"\nobject = "near"\n', "with, asset: expected one of them"),
        ('[[edit]]\ndo = "retime"\nobject = "near"\nrate = 0\n', "rate: expected 0.01 to 100"),
        (
            '[[edit]]\ndo = "hide"\nobject = "near"\nfrom_s = 2\nto_s = 1\n',
            "from_s and to_s: expected the later",
        ),
        ('[[edit]]\ndo = "exposure"\ngain = -1\n', "gain: expected 0 to 20"),
        ('[[edit]]\ndo = "recolour"\nobject = "near"\ntint = [1, 1, 99]\n', "tint: expected three numbers"),
        ("[other]\n", "entries [[edit]] only"),
        ("what is this", "cannot be read"),
    ],
)
def test_a_mistake_in_a_list_is_one_clear_sentence(tmp_path, text, told):
    (tmp_path / "edits.toml").write_text(text)
    with pytest.raises(SpecError) as caught:
        read_edits(tmp_path / "edits.toml")
    assert told in str(caught.value)
    assert "\n" not in str(caught.value).replace(str(caught.value.__cause__), "")


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
    assert first.problem == "edit 1 (move walker): the recorded camera is in walker at 0.2 s"
    assert not first.stops
    assert not second.problem


def test_lane_lines_make_more_road_and_can_be_followed():
    lines = [np.array([[0.0, y, 0.0], [50.0, y, 0.0]]) for y in (3.5, 7.0, 10.5)]
    graph = street_scene(street_log())
    surroundings = Surroundings(graph, lines)
    edits = (Drive("near", waypoints=((10.0, 8.0), (30.0, 8.4)), speeds_mps=(40.0,), follow_lane=True),)
    with pytest.raises(SpecError, match="no lane lines"):
        apply_edits(fresh_copy(graph), edits)
    apply_edits(graph, edits, surroundings)
    for time in (0.05, 0.25, 0.45):
        assert pose_of(graph, "near", time)[1, 3] == pytest.approx(8.75, abs=0.02)


def test_a_box_that_was_annotated_above_the_ground_stays_so_on_its_new_way():
    lifted = Move("near", (0.0, 0.0, 0.2))
    graph = edited((lifted, Drive("near", waypoints=((8.0, -3.0), (18.0, -3.0)), speeds_mps=(20.0,))))
    assert pose_of(graph, "near", 0.3)[2, 3] == pytest.approx(0.95, abs=0.01)


def test_two_annotated_objects_with_one_id_are_refused():
    track, graph = street_log().tracks[0], street_scene(street_log())
    with pytest.raises(SpecError, match="two annotated objects have the id 'near'"):
        edited_tracks((track, track), (), graph)
    with pytest.raises(SpecError, match="'far' is taken"):
        edited_tracks(street_log().tracks, (Duplicate("near", "far"),), graph)
