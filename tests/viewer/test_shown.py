"""What belongs to the scene that is shown: time, objects, rides, overlays; hand-computed."""

from types import SimpleNamespace

import numpy as np
import pytest

from gsrecon_viewer.layers_panel import _available
from gsrecon_viewer.overlays import box_lines, ego_place, ego_way, height_colours, linear, short_pieces
from gsrecon_viewer.riding import Ride, ridden_pose
from gsrecon_viewer.shown import Shown, ShownObject
from tests.labels.street import street_log
from tests.tiny_drive import tiny_log, tiny_scene
from tests.viewer.painted_street import painted_street


@pytest.fixture
def shown() -> Shown:
    """The street."""
    log = street_log()
    return Shown(painted_street(log), log)


def test_time_stays_within_the_recording_and_tells_of_changes_only(shown: Shown):
    told: list[float] = []
    shown.watch(lambda: told.append(shown.time_s))
    assert shown.span_s == pytest.approx((0.0, 0.508))
    shown.time_s = 0.3
    shown.time_s = 0.3
    assert told == [0.3]
    shown.time_s = 99.0
    assert shown.time_s == pytest.approx(0.508)
    shown.time_s = -1.0
    assert shown.time_s == 0.0
    assert shown.version == 3
    assert shown.timestamp_us() == 1_000_000


def test_objects_are_where_the_scene_has_them_at_the_time(shown: Shown):
    shown.time_s = 0.4
    things = {thing.id: thing for thing in shown.objects()}
    assert set(things) == {"near", "far", "hidden", "walker"}
    np.testing.assert_allclose(
        things["walker"].world_from_actor[:3, 3], [9.0 + 1.5 * 0.4, 3.0, 0.9], atol=1e-4
    )
    np.testing.assert_allclose(things["near"].size_lwh, [4.0, 1.8, 1.5], atol=1e-6)
    assert things["walker"].category == "pedestrian"


def test_objects_of_a_scene_that_does_not_model_them_are_the_annotated_ones():
    log = street_log()
    scene = painted_street(log)
    bare = type(scene)([scene["background"]], recording=scene.recording)
    things = {thing.id: thing for thing in Shown(bare, log).objects()}
    assert set(things) == {"near", "far", "hidden", "walker"}


def test_the_nearest_picture_is_that_of_the_same_camera(shown: Shown):
    shown.time_s = 0.27
    frame = shown.nearest_frame("front")
    assert frame is not None
    assert (frame.camera, frame.timestamp_us) == ("front", 1_300_000)
    assert shown.nearest_frame("nobody") is None


def test_a_ride_is_between_pictures_where_time_is(shown: Shown):
    shown.time_s = 0.25
    pose = ridden_pose(shown, Ride("front"))
    assert pose is not None
    # 5 m/s from x = 0; the camera is half a metre ahead and 1.5 m up, and looks along x.
    np.testing.assert_allclose(pose[:3, 3], [0.5 + 1.25, 0.0, 1.5], atol=1e-6)
    np.testing.assert_allclose(pose[:3, 2], [1, 0, 0], atol=1e-6)


def test_left_of_the_ride_is_the_vehicles_left_whichever_way_the_camera_looks(shown: Shown):
    for camera in ("front", "front_left"):
        straight, aside = ridden_pose(shown, Ride(camera)), ridden_pose(shown, Ride(camera, left_m=2.0))
        assert straight is not None
        assert aside is not None
        np.testing.assert_allclose(aside[:3, 3] - straight[:3, 3], [0, 2, 0], atol=1e-9)
        np.testing.assert_array_equal(aside[:3, :3], straight[:3, :3])


def test_up_is_the_worlds_up_and_a_turn_is_counter_clockwise_from_above(shown: Shown):
    pose = ridden_pose(shown, Ride("front", up_m=1.0, yaw_deg=90.0))
    assert pose is not None
    np.testing.assert_allclose(pose[:3, 3], [0.5, 0.0, 2.5], atol=1e-9)
    np.testing.assert_allclose(pose[:3, 2], [0, 1, 0], atol=1e-9)  # from ahead to the left
    np.testing.assert_allclose(pose[:3, 1], [0, 0, -1], atol=1e-9)  # down stays down


def test_nobody_rides_without_a_camera(shown: Shown):
    assert ridden_pose(shown, Ride()) is None
    assert ridden_pose(shown, Ride("nobody")) is None
    assert ridden_pose(Shown(tiny_scene()), Ride("front")) is not None, "no recording is needed"


def test_box_lines_are_its_edges_and_an_arrow_ahead():
    pose = np.eye(4)
    pose[:3, :3] = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]  # heads along y
    pose[:3, 3] = [10.0, 20.0, 1.0]
    lines = box_lines(ShownObject("a", "car", np.array([4.0, 2.0, 1.0]), pose))
    assert lines.shape == (14, 2, 3)
    edges = lines[:12].reshape(-1, 3)
    np.testing.assert_allclose(edges.min(axis=0), [9.0, 18.0, 0.5])
    np.testing.assert_allclose(edges.max(axis=0), [11.0, 22.0, 1.5])
    lengths = np.sort(np.linalg.norm(lines[:12, 0] - lines[:12, 1], axis=1))
    np.testing.assert_allclose(lengths, [1] * 4 + [2] * 4 + [4] * 4, atol=1e-5)
    tip = lines[12:, 1]
    np.testing.assert_allclose(tip, [[10.0, 22.8, 0.5]] * 2, atol=1e-5)


def test_lines_are_cut_into_short_pieces_that_join():
    pieces = short_pieces(np.array([[0.0, 0, 0], [5, 0, 0], [5, 1, 0]]))
    assert np.linalg.norm(pieces[:, 1] - pieces[:, 0], axis=1).max() <= 2.0
    np.testing.assert_allclose(pieces[1:, 0], pieces[:-1, 1])
    np.testing.assert_allclose(pieces[[0, -1], [0, 1]], [[0, 0, 0], [5, 1, 0]])


def test_the_way_of_the_vehicle_is_known_with_and_without_the_drive(shown: Shown):
    way, alone = ego_way(shown), ego_way(Shown(shown.scene))
    assert way is not None
    assert alone is not None
    np.testing.assert_allclose(way, alone, atol=1e-9)
    np.testing.assert_allclose(way[-1], [2.5, 0, 0], atol=1e-9)
    np.testing.assert_allclose(ego_place(shown), [0.5, 0, 1.5], atol=1e-9)


def test_low_points_are_blue_and_high_ones_orange():
    low, high = height_colours(np.array([-5.0, 10.0]))
    assert low.tolist() == [60, 120, 255]
    assert high.tolist() == [255, 150, 40]


def test_only_layers_that_the_drive_has_are_offered(shown: Shown):
    assert _available(shown) == {"way", "cameras", "boxes", "ids", "lanes"}, "the street has no lidar"
    tiny = tiny_scene()
    assert _available(Shown(tiny, tiny_log(tiny))) == {"way", "cameras", "lidar"}
    assert _available(Shown(tiny)) == {"way", "cameras"}
    assert _available(SimpleNamespace(recording=None, tracks=(), log=None, scene=tiny)) == set()


def test_colours_of_lines_are_told_in_linear_light():
    assert linear((0, 255, 188)).tolist() == [0, 255, 128], "188 of 255 is half the light"
    assert linear((10, 10, 10)).tolist() == [1, 1, 1]
