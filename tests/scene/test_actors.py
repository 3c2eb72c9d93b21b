from dataclasses import replace

import pytest
import torch

from gsrecon.gaussians.resample import Resample
from gsrecon.scene.actors import RigidActors
from gsrecon.scene.bundle import load_scene, save_scene
from gsrecon.scene.graph import SceneGraph
from gsrecon.scene.objects import ObjectTable
from gsrecon.scene.render import camera_at, render
from gsrecon.scene.static import StaticGroup
from tests.scene.moving_things import some_gaussians, stir, two_cars
from tests.tiny_drive import tiny_recording

FRONT = tiny_recording().cameras["front"]


def camera():
    return camera_at(FRONT, torch.from_numpy(FRONT.ego_from_cam))


def scene(actors: RigidActors, generator: torch.Generator) -> SceneGraph:
    behind = some_gaussians(5, generator)
    behind.means[:, 0] += 30
    return SceneGraph([StaticGroup("background", behind), actors], ObjectTable(["gone", "walker", "car"]))


def ids_at(graph: SceneGraph, time_s: float) -> torch.Tensor:
    settings = replace(graph.settings, ids=True)
    return render(graph, camera(), torch.tensor([time_s]), settings).ids[0]


def test_objects_carry_their_numbers_and_poses(generator):
    actors = two_cars(generator)
    splats = scene(actors, generator).splats_at(torch.tensor([1.0]))
    assert splats.object_index.tolist() == [0] * 5 + [3, 2, 3, 3, 2, 2, 3, 2, 3]
    assert splats.world_from_object[0, 3, :3, 3].tolist() == [9.0, 0.0, 1.0]
    assert torch.equal(splats.world_from_object[0, 1], torch.eye(4, dtype=torch.float64))
    assert torch.equal(splats.means[5:], actors.gaussians.means)


def test_an_object_is_drawn_within_its_span_only(generator):
    graph = scene(two_cars(generator), generator)
    shown = {time_s: set(ids_at(graph, time_s).unique().tolist()) for time_s in (1.0, 2.5, 3.5)}
    assert (3 in shown[1.0], 2 in shown[1.0]) == (True, False)
    assert (3 in shown[2.5], 2 in shown[2.5]) == (False, False)
    assert (3 in shown[3.5], 2 in shown[3.5]) == (False, True)


def test_an_object_that_is_there_for_one_of_two_cameras_shows_in_that_one(generator):
    graph = scene(two_cars(generator), generator)
    one = camera()
    both = replace(one, viewmats=one.viewmats.repeat(2, 1, 1), Ks=one.Ks.repeat(2, 1, 1))
    settings = replace(graph.settings, ids=True)
    ids = render(graph, both, torch.tensor([1.0, 2.5]), settings).ids
    assert torch.equal(ids[0], ids_at(graph, 1.0))
    assert torch.equal(ids[1], ids_at(graph, 2.5))


def test_the_picture_moves_with_the_object(generator):
    """Driving 3 m ahead looks like the camera driving 3 m back."""
    graph = SceneGraph([two_cars(generator)], ObjectTable(["car", "walker"]))
    later = render(graph, camera(), torch.tensor([1.0])).image
    back = torch.from_numpy(FRONT.ego_from_cam).clone()
    back[0, 3] -= 3
    earlier = render(graph, camera_at(FRONT, back), torch.tensor([0.0])).image
    torch.testing.assert_close(later, earlier, atol=1e-4, rtol=0)


def test_gradients_reach_gaussians_and_trajectory(generator):
    graph = scene(two_cars(generator), generator)
    graph.trainable()
    render(graph, camera(), torch.tensor([1.0])).image.square().sum().backward()
    found = graph.parameters()
    assert found["actors/means"].grad.abs().sum() > 0
    assert found["actors/actor_translations"].grad.abs().sum() > 0
    assert found["actors/actor_rotations"].grad.isfinite().all()


def test_children_stay_with_their_parents_object(generator):
    actors = two_cars(generator, deforming=True)
    change = Resample(torch.tensor([1, 1, 0]), torch.tensor([False, True, False]))
    named = actors.resample(change)
    assert actors.object_of_row.tolist() == [1, 1, 0]
    assert len(actors.gaussians) == len(named["state"]) == 3


def test_only_what_is_not_rigid_deforms_inside_its_box(generator):
    actors = two_cars(generator, deforming=True)
    stir(actors.deformation, generator)
    still = actors.gaussians.means
    moved = actors.splats_at(torch.tensor([3.2])).means
    changed = (still != moved).any(dim=1)
    assert torch.equal(changed, actors.object_of_row == 1)
    # The walker is not there at 1 s: no network runs.
    assert torch.equal(actors.splats_at(torch.tensor([1.0])).means, still)


def test_stored_objects_render_to_the_same_bits(generator, tmp_path):
    actors = two_cars(generator, deforming=True)
    stir(actors.deformation, generator)
    actors.trajectories.translations = torch.rand(3, 3, generator=generator)[
        : len(actors.trajectories.knot_times_s)
    ]
    graph = scene(actors, generator)
    save_scene(graph, tmp_path / "scene")
    again = load_scene(tmp_path / "scene")
    for time_s in (0.7, 3.3):
        times = torch.tensor([time_s])
        assert torch.equal(render(graph, camera(), times).image, render(again, camera(), times).image)
    assert again["actors"].object_ids == ("car", "walker")


def test_gaussians_outside_of_their_box_are_measured(generator):
    actors = two_cars(generator)
    assert actors.outside() == 0
    actors.gaussians.means[0] = torch.tensor([3.2, 0.0, 0.0])
    # The car is 4 m long; a tenth larger its half is 2.2 m: 1 m too far, over nine Gaussians.
    assert actors.outside().item() == pytest.approx(1 / 9, rel=1e-5)


def test_rows_of_an_object_are_found_by_its_id(generator):
    actors = two_cars(generator)
    assert actors.rows_of("walker").tolist() == [1, 4, 5, 7]
    with pytest.raises(ValueError, match=r"object_id: expected one of \['car', 'walker'\], got 'tram'"):
        actors.rows_of("tram")


def test_parts_that_do_not_belong_together_are_refused(generator):
    actors = two_cars(generator)
    with pytest.raises(ValueError, match="expected 2 different ones"):
        RigidActors(["a", "a"], actors.gaussians, actors.object_of_row, actors.sizes_lwh, actors.trajectories)
    with pytest.raises(ValueError, match="expected one for each of 9 Gaussians, got 8"):
        RigidActors(
            ["a", "b"], actors.gaussians, actors.object_of_row[1:], actors.sizes_lwh, actors.trajectories
        )
