"""Edit lists, applied to objects bit for bit."""

from pathlib import Path

import numpy as np
import pytest
import torch

from gsrecon.errors import SpecError
from gsrecon.scene.bundle import load_scene, save_scene
from gsrecon.scene.edits import (
    ACTIONS,
    Drive,
    Duplicate,
    Exposure,
    Hide,
    Move,
    Recolour,
    Remove,
    Retime,
    Surroundings,
    Swap,
    apply_edits,
    fresh_copy,
    read_edits,
    write_edits,
)
from gsrecon.scene.figures import Way, shifted
from gsrecon.scene.graph import SceneGraph
from tests.labels.street import THINGS, street_log, street_scene
from tests.scene.edited_street import (
    edited,
    every_kind_of_edit,
    grey_car,
    pose_of,
    require_same_scene,
    tensors_of,
)
from tests.scene.moving_things import stir, two_cars

NEAR = THINGS[0]


@pytest.fixture(name="asset", scope="module")
def _asset(tmp_path_factory) -> Path:
    return grey_car(tmp_path_factory.mktemp("assets") / "grey-car")


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


def test_a_turn_is_about_the_objects_own_axis():
    graph = edited((Move("near", turn_deg=90.0),))
    pose = graph["actors"].trajectories.key_poses[0].numpy()
    np.testing.assert_allclose(pose[:3, 3], NEAR.place)
    np.testing.assert_allclose(pose[:3, 0], [0, 1, 0], atol=1e-12)


@pytest.mark.parametrize(
    ("by", "turn_deg"), [((5.0, 0.0, 0.2), 0.0), ((0.0, 0.0, 0.0), 180.0), ((2.0, 1.0, 0.0), 70.0)]
)
def test_a_moved_object_keeps_what_training_found_out_about_its_way(by, turn_deg, generator):
    ways = two_cars(generator).trajectories
    ways.translations[:] = 0.2 * torch.randn(ways.translations.shape, generator=generator)
    ways.rotations[:] = 0.05 * torch.randn(ways.rotations.shape, generator=generator)
    way, motion = Way.of(ways, 0), shifted(by, turn_deg)
    times = torch.tensor([0.0, 0.3, 1.0, 1.7], dtype=torch.float64)
    assert torch.allclose(way.moved(motion).at(times), way.at(times) @ motion, atol=1e-6)


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
    drive = Drive("near", waypoints=((8.0, -3.0), (18.0, -3.0)), speeds_mps=(20.0,))
    assert pose_of(edited((lifted, drive)), "near", 0.3)[2, 3] == pytest.approx(0.95, abs=0.01)
    # So does one that training lifted.
    graph = street_scene(street_log())
    graph["actors"].trajectories.translations[:, 2] = 0.2
    apply_edits(graph, (drive,))
    assert pose_of(graph, "near", 0.3)[2, 3] == pytest.approx(0.95, abs=0.01)
