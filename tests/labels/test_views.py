"""Labels of views of a street whose pictures are known in closed form."""

import numpy as np
import pytest

from gsrecon.labels.views import SKY
from gsrecon.labels.visibility import box_around, visibility_level
from tests.labels.street import (
    HEIGHT,
    START_US,
    THINGS,
    WIDTH,
    ray_cast,
    street_labeler,
    street_log,
    street_scene,
)

TIME = START_US + 130_000


@pytest.fixture(scope="module", params=[True, False], ids=["actors", "box-free"])
def street(request):
    log = street_log()
    graph = street_scene(log, modelled=request.param)
    return log, graph, street_labeler(log, graph), request.param


def shifted(log, left_m: float) -> np.ndarray:
    pose = log.frames[0].world_from_cam.copy()
    pose[1, 3] += left_m
    return pose


def drawn(street, left_m: float):
    log, graph, labeler, modelled = street
    time = TIME if modelled else START_US  # Gaussians of the background stay where they are
    lens = graph.recording.cameras["front"]
    pose = shifted(log, left_m)
    view = labeler.view(graph, lens, pose, time)
    return view, {thing.subject.id: thing for thing in view.objects}, *ray_cast(lens, pose, time)


@pytest.mark.parametrize("left_m", [0.0, 1.0, 2.0, -1.5])
def test_visible_fractions_and_modal_boxes_are_those_of_the_ray_cast_boxes(street, left_m):
    _, found, shown, alone = drawn(street, left_m)
    for number, thing in enumerate(THINGS):
        if alone[thing.id].sum() < 30:
            continue
        true = (shown == number) & alone[thing.id]
        fraction = true.sum() / alone[thing.id].sum()
        measured = found[thing.id].measured
        assert measured.visible_fraction == pytest.approx(fraction, abs=0.06)
        expected = box_around(true, (0, 0, WIDTH, HEIGHT))
        if true.sum() > 20:
            # The lowest 10 cm count as ground: 1 to 2 px here.
            np.testing.assert_allclose(measured.modal_box, expected, atol=2.0)


def test_an_object_behind_another_one_is_hidden_and_not_labelled_visible(street):
    _, found, _, alone = drawn(street, 0.0)
    assert alone["hidden"].sum() > 10
    assert found["hidden"].measured.visible_px == 0
    assert found["hidden"].measured.modal_box is None
    assert visibility_level(found["hidden"].measured.visible_fraction) == 1


def test_instance_and_semantic_pictures_name_what_is_seen(street):
    view, _, shown, _ = drawn(street, 1.0)
    numbers = np.array([0, *(k + 1 for k in range(len(THINGS)))])
    expected = numbers[shown + 1]
    assert (view.instance == expected).mean() > 0.985
    labeler = street[2]
    assert labeler.classes == ("car", "pedestrian")
    walker = view.instance == 4
    assert walker.any()
    assert set(np.unique(view.semantic[walker])) == {3}
    assert (view.semantic[:5, :] == SKY).mean() > 0.95


def test_the_amodal_box_is_the_projected_3d_box_clipped_to_the_picture(street):
    _, found, _, alone = drawn(street, 0.0)
    near = found["near"]
    around = box_around(alone["near"], (0, 0, WIDTH, HEIGHT))
    # Pixel centres lie half a pixel inside of the outline.
    assert (near.box.inside[:2] <= around[:2] + 0.5).all()
    assert (near.box.inside[2:] >= around[2:] - 0.5).all()
    np.testing.assert_allclose(near.box.inside, around, atol=1.0)
    assert near.box.truncation == 0


def test_an_object_whose_box_is_in_the_picture_but_has_no_gaussians_is_unmeasured():
    log = street_log()
    graph = street_scene(street_log(THINGS[:2]))
    view = street_labeler(log, graph).view(
        graph, graph.recording.cameras["front"], log.frames[0].world_from_cam, TIME
    )
    assert "hidden" in view.unmeasured
    assert "walker" in view.unmeasured
    assert {thing.subject.id for thing in view.objects} == {"near", "far"}


def test_what_moves_along_below_an_object_is_not_part_of_it():
    log = street_log(THINGS[:1])
    plain = street_scene(log)
    shadowed = street_scene(log)
    actors = shadowed["actors"]
    flat = actors.gaussians.means[:, 2] < -0.74
    spread = actors.gaussians.means[flat] * 2.0
    actors.gaussians.means[flat] = spread.clamp(-4, 4)
    actors.gaussians.means[flat, 2] = -0.74
    lens, pose = plain.recording.cameras["front"], log.frames[0].world_from_cam
    views = [street_labeler(log, graph).view(graph, lens, pose, TIME) for graph in (plain, shadowed)]
    boxes = [view.objects[0].measured.modal_box for view in views]
    np.testing.assert_allclose(boxes[0], boxes[1], atol=1.0)


def test_what_reaches_far_out_of_an_objects_sides_is_not_part_of_it():
    log = street_log(THINGS[:1])
    plain, shadowed = street_scene(log), street_scene(log)
    gaussians = shadowed["actors"].gaussians
    half = 0.5 * log.tracks[0].size_lwh
    # Centres stay inside the box, above the ground it stands on; now they are wide to the sides.
    wide = (gaussians.means[:, 2] < 0.2 - half[2]) & (gaussians.means[:, 1].abs() > half[1] - 0.1)
    gaussians.log_scales[wide, 1] = float(np.log(0.5))
    lens, pose = plain.recording.cameras["front"], log.frames[0].world_from_cam
    views = [street_labeler(log, graph).view(graph, lens, pose, TIME) for graph in (plain, shadowed)]
    boxes = [view.objects[0].measured.modal_box for view in views]
    np.testing.assert_allclose(boxes[0], boxes[1], atol=1.0)


def test_lane_points_behind_an_object_are_invisible_and_lie_where_they_project_to(street):
    view, _, shown, _ = drawn(street, 0.0)
    (lane,) = view.lanes
    columns, rows = np.floor(lane.pixels).astype(int).T
    covered = shown[rows, columns] >= 0
    farther = lane.points_in_cam[:, 2] > 12
    assert lane.visible[~covered].mean() > 0.95
    if (covered & farther).any():
        assert not lane.visible[covered & farther].all()
    lens = street[1].recording.cameras["front"]
    again = lane.points_in_cam @ lens.K.T
    np.testing.assert_allclose(again[:, :2] / again[:, 2:], lane.pixels, atol=1e-6)
