"""Boxes in pictures, connected parts, lines, lidar and trust."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from gsrecon.labels.components import components, without_specks
from gsrecon.labels.lanes import dense
from gsrecon.labels.lidar import LidarSpec, sweep
from gsrecon.labels.project import box_outline, project_box
from gsrecon.labels.recorded_sides import RecordedSides
from gsrecon.labels.subjects import subjects
from gsrecon.labels.trust import Trust
from gsrecon.scene.recording import RecordedCamera
from tests.labels.street import (
    START_US,
    THINGS,
    ray_cast,
    street_labeler,
    street_log,
    street_scene,
    world_from_ego,
)

LENS = RecordedCamera("a", np.array([[100.0, 0, 80], [0, 100, 45], [0, 0, 1]]), 160, 90, np.eye(4))


def at(x: float, y: float, z: float) -> np.ndarray:
    """A box with its length along the camera's z."""
    pose = np.eye(4)
    pose[:3, :3] = np.array([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]])
    pose[:3, 3] = (x, y, z)
    return pose


def test_a_box_straight_ahead_has_the_rectangle_of_its_front_face():
    box = project_box(LENS, np.eye(4), np.array([4.0, 2.0, 1.0]), at(0, 0, 12))
    np.testing.assert_allclose(box.whole, [80 - 10, 45 - 5, 80 + 10, 45 + 5])
    assert box.truncation == 0


def test_a_box_at_the_edge_is_cut_and_truncated_by_the_share_that_is_outside():
    box = project_box(LENS, np.eye(4), np.array([1e-6, 2.0, 1.0]), at(8.0, 0, 10))
    np.testing.assert_allclose(box.whole, [150, 40, 170, 50], atol=1e-4)
    np.testing.assert_allclose(box.inside, [150, 40, 160, 50], atol=1e-4)
    assert box.truncation == pytest.approx(0.5, abs=1e-4)


def test_a_box_that_reaches_behind_the_camera_keeps_what_lies_in_front():
    box = project_box(LENS, np.eye(4), np.array([10.0, 2.0, 1.0]), at(1.5, 0, 2.0))
    assert np.isfinite(box.whole).all()
    assert box.inside[2] == 160
    assert box.inside[0] == pytest.approx(80 + 100 * 0.5 / 7)
    assert project_box(LENS, np.eye(4), np.array([2.0, 2.0, 1.0]), at(0, 0, -5)) is None


def test_outlines_are_those_of_rays_that_meet_the_box():
    log = street_log()
    scene = street_scene(log)
    lens, pose = scene.recording.cameras["front"], log.frames[0].world_from_cam
    _, alone = ray_cast(lens, pose, START_US)
    for thing in THINGS:
        (left, top, right, bottom), mask = box_outline(
            lens, pose, np.array(thing.size_lwh), thing.pose(START_US)
        )
        whole = np.zeros((lens.height, lens.width), dtype=bool)
        whole[top:bottom, left:right] = mask
        np.testing.assert_array_equal(whole, alone[thing.id])


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 10_000))
def test_connected_parts_are_scipys(height, width, seed):
    mask = np.random.default_rng(seed).random((height, width)) < 0.4
    expected, count = ndimage.label(mask, np.ones((3, 3)))
    found = components(mask)
    assert found.max(initial=0) == count
    pairs = set(zip(found.ravel().tolist(), expected.ravel().tolist(), strict=True))
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})


def test_specks_go_and_large_parts_stay():
    mask = np.zeros((20, 40), dtype=bool)
    mask[2:12, 2:12] = mask[2:12, 20:26] = True
    mask[18, 38] = True
    kept = without_specks(mask)
    assert kept.sum() == 160
    assert not kept[18, 38]
    assert not without_specks(np.zeros((3, 3), dtype=bool)).any()


def test_lines_get_points_at_most_half_a_metre_apart_and_keep_theirs():
    line = np.array([[0.0, 0, 0], [3, 0, 0], [3, 0.2, 0]])
    found = dense(line)
    assert np.linalg.norm(np.diff(found, axis=0), axis=1).max() <= 0.5 + 1e-9
    for point in line:
        assert np.linalg.norm(found - point, axis=1).min() < 1e-9


def test_lidar_points_lie_on_what_they_hit_and_name_it():
    log = street_log()
    scene = street_scene(log)
    labeler = street_labeler(log, scene)
    spec = LidarSpec(beams=32, azimuths=720)
    drawn = sweep(
        scene,
        labeler.subjects,
        labeler.adaptor,
        spec,
        world_from_ego(START_US) @ spec.ego_from_lidar,
        START_US,
    )
    in_world = drawn.points[:, :3] + np.array(spec.place)
    ground = (drawn.instance == 0) & (np.abs(in_world[:, 0]) < 30) & (in_world[:, 2] < 0.3)
    assert ground.sum() > 1000
    # Depth is that of a disc's centre: the discs of this ground are 0.3 m apart.
    assert np.median(np.abs(in_world[ground, 2])) < 0.06
    for number, thing in enumerate(THINGS[:2], start=1):
        own = in_world[drawn.instance == number]
        assert len(own) >= 15
        away = np.abs(own - thing.pose(START_US)[:3, 3]) - 0.5 * np.array(thing.size_lwh)
        assert np.quantile(away.max(axis=1), 0.95) < 0.1
    distance = np.linalg.norm(drawn.points[:, :3], axis=1)
    assert distance.max() < spec.farthest_m
    assert distance.min() > spec.nearest_m


def test_beams_out_of_range_are_refused():
    with pytest.raises(ValueError, match="beams, azimuths"):
        LidarSpec(beams=0)
    with pytest.raises(ValueError, match="lowest_deg"):
        LidarSpec(lowest_deg=20.0, highest_deg=10.0)


def test_trust_falls_with_the_distance_from_the_recorded_way():
    log = street_log()
    scene = street_scene(log)
    labeler = street_labeler(log, scene)
    assert labeler.sides is not None
    trust = Trust(scene, labeler.sides)
    lens = scene.recording.cameras["front"]
    scores, unobserved = [], []
    for left in (0.0, 1.0, 3.0):
        pose = log.frames[0].world_from_cam.copy()
        pose[1, 3] += left
        view = labeler.view(scene, lens, pose, START_US)
        judged = trust.view(lens, pose, view.depth, view.alpha, view.semantic == 1)
        assert judged.distance_m == pytest.approx(left, abs=1e-6)
        scores.append(judged.score)
        unobserved.append(judged.unobserved)
    assert scores[0] > 0.9
    assert scores[0] > scores[1] > scores[2]
    assert unobserved[0] < 0.02 < unobserved[2]


def test_an_objects_trust_is_that_of_the_side_it_is_seen_from():
    log = street_log()
    scene = street_scene(log)
    labeler = street_labeler(log, scene)
    things = subjects(log.tracks)
    sides = RecordedSides(scene.recording, things, labeler.adaptor)
    box = THINGS[0].pose(START_US)
    recorded = log.frames[0].world_from_cam
    behind = recorded.copy()
    behind[0, 3] = 30.0
    assert sides.nearest("near", box, recorded)[0] < 1
    assert sides.nearest("near", box, behind)[0] > 120
    nearer = recorded.copy()
    nearer[0, 3] = 9.0
    assert sides.nearest("near", box, nearer)[1] < 0.5


def test_an_object_behind_a_fence_keeps_all_its_parts():
    mask = np.zeros((10, 100), dtype=bool)
    mask[:, ::4] = True
    assert without_specks(mask).sum() == mask.sum()


def test_holes_below_the_horizon_are_no_sky_and_lower_the_trust():
    log = street_log()
    scene = street_scene(log)
    background = scene["background"].gaussians
    background.logit_opacities[background.means[:, 2] < 0.01] = -20.0  # the ground is gone
    labeler = street_labeler(log, scene)
    lens, pose = scene.recording.cameras["front"], log.frames[0].world_from_cam
    view = labeler.view(scene, lens, pose, START_US)
    assert (view.semantic[-30:] == 1).sum() == 0
    assert (view.semantic[:10] == 1).all()
    judged = Trust(scene, labeler.sides).view(lens, pose, view.depth, view.alpha, view.semantic == 1)
    assert judged.unobserved > 0.3
    assert judged.score < 0.5
