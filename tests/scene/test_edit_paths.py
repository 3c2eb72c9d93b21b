"""New ways: smooth, timed, in their lane, on the ground."""

import numpy as np
import pytest

from gsrecon.scene.edit_paths import at_speeds, at_times, curve_through, in_lane, on_ground
from gsrecon.scene.ground import Ground, Surroundings, distance_to_line, fit_ground
from tests.labels.street import street_log, street_scene

BEND = ((0.0, 0.0), (20.0, 0.0), (30.0, 6.0), (30.0, 30.0))


def speeds_of(timed) -> np.ndarray:
    return np.linalg.norm(np.diff(timed.places, axis=0), axis=1) / np.diff(timed.times_s)


def sloping_ground(slope: float, bank: float) -> Ground:
    x, y = np.mgrid[-10.0:40.0, -10.0:20.0]
    return Ground(np.array([-10.0, -10.0]), slope * x + bank * y)


def test_a_curve_goes_through_its_waypoints_and_turns_smoothly():
    curve = curve_through(BEND)
    np.testing.assert_allclose(curve.points[curve.waypoints], BEND, atol=1e-9)
    headings = np.unwrap(np.arctan2(curve.tangents[:, 1], curve.tangents[:, 0]))
    assert np.abs(np.diff(headings)).max() < 0.1
    assert headings[0] == pytest.approx(0.0, abs=0.02)
    # It neither loops nor swings far out.
    assert curve.arc[-1] < 1.05 * np.linalg.norm(np.diff(BEND, axis=0), axis=1).sum()
    assert curve.points[:, 0].max() < 31.5


def test_one_speed_is_kept_all_along():
    timed = at_speeds(curve_through(BEND), [5.0], 2.0)
    assert timed.times_s[0] == 2.0
    np.testing.assert_allclose(speeds_of(timed), 5.0, rtol=0.01)


def test_a_car_brakes_evenly_to_a_stop():
    timed = at_speeds(curve_through(((0.0, 0.0), (20.0, 0.0))), [10.0, 0.0], 0.0)
    assert timed.times_s[-1] == pytest.approx(4.0)
    np.testing.assert_allclose(timed.places[-1], [20.0, 0.0], atol=1e-9)
    np.testing.assert_allclose(np.diff(speeds_of(timed)) / np.diff(timed.times_s)[:-1], -2.5, atol=1e-6)


def test_times_are_kept_and_nothing_goes_back():
    times = (1.0, 3.0, 6.0, 8.0)
    timed = at_times(curve_through(BEND), times)
    for time, place in zip(times, BEND, strict=True):
        at = np.array([np.interp(time, timed.times_s, axis) for axis in timed.places.T])
        np.testing.assert_allclose(at, place, atol=0.15)
    assert speeds_of(timed).min() > 0
    assert np.abs(np.diff(speeds_of(timed))).max() < 1.5


@pytest.mark.parametrize("offset", [0.0, 0.8])
def test_a_way_is_moved_into_the_middle_of_its_lane_whatever_it_began_as(offset):
    s = np.arange(0.0, 80.0, 2.0)
    middle = np.stack([s, 8 * np.sin(s / 30)], axis=1)
    lines = [middle + np.array([0, side]) for side in (-1.75, 1.75, 5.25)]
    way = [(x, y + offset) for x, y in middle[5:35:6]]
    followed = in_lane(curve_through(way), lines)
    away = distance_to_line(followed.points[20:-20], middle)
    assert away.max() < 0.1
    assert in_lane(curve_through(way), lines[:1]) is None


def test_a_stop_line_across_the_lane_is_no_lane_line():
    lines = [np.array([[-5.0, y], [40.0, y]]) for y in (-1.75, 1.75)]
    stop = np.array([[15.0, -1.75], [15.0, 1.75]])
    followed = in_lane(curve_through(((0.0, 0.5), (30.0, 0.5))), [*lines, stop])
    np.testing.assert_allclose(followed.points[:, 1], 0.0, atol=1e-6)


def test_a_box_stands_on_a_slope_as_its_wheels_do():
    ground = sloping_ground(0.1, -0.05)
    places, tangents = np.array([[5.0, 2.0]]), np.array([[1.0, 0.0]])
    (pose,) = on_ground(places, tangents, (4.0, 2.0, 1.5), ground)
    np.testing.assert_allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-12)
    assert pose[2, 0] / pose[0, 0] == pytest.approx(0.1)
    normal = np.array([-0.1, 0.05, 1.0]) / np.linalg.norm([-0.1, 0.05, 1.0])
    np.testing.assert_allclose(pose[:3, 2], normal, atol=1e-9)
    np.testing.assert_allclose(pose[:3, 3], [5.0, 2.0, 0.4] + 0.75 * normal, atol=1e-9)


def test_ground_is_found_under_the_car_and_not_where_nothing_is():
    rng = np.random.default_rng(0)
    road = np.stack(
        [rng.uniform(-5, 65, 40_000), rng.uniform(-12, 12, 40_000), rng.normal(0, 0.03, 40_000)], 1
    )
    road[:, 2] += 0.05 * road[:, 0]
    hole = (np.abs(road[:, 0] - 30) < 4) & (np.abs(road[:, 1] + 7) < 4)
    roofs = np.stack([rng.uniform(-5, 65, 20_000), rng.uniform(3, 6, 20_000), rng.uniform(1.2, 3, 20_000)], 1)
    way = np.stack([np.arange(0.0, 60, 2), np.zeros(30), 1.6 + 0.05 * np.arange(0.0, 60, 2)], axis=1)
    ground = fit_ground(np.concatenate([road[~hole], roofs]), way)
    places = np.array([[10.0, 0.0], [30.0, -1.0], [50.5, -6.2]])
    np.testing.assert_allclose(ground.height(places), 0.05 * places[:, 0], atol=0.06)
    assert np.isnan(ground.height(np.array([[30.0, -7.0], [30.0, 200.0]]))).all()
    assert ground.nearest(np.array([[30.0, -7.0]]))[0] == pytest.approx(1.5, abs=0.4)
    assert fit_ground(roofs, way) is None


def test_what_is_road_follows_the_cars_way_and_the_lane_lines():
    graph = street_scene(street_log())
    plain = Surroundings(graph)
    assert plain.on_road(np.array([[2.0, 0.0], [20.0, -5.0]])).all()
    assert not plain.on_road(np.array([[2.0, -9.0], [300.0, 0.0]])).any()
    lines = Surroundings(graph, [np.array([[0.0, -9.0, 0.0], [40.0, -9.0, 0.0]])])
    assert lines.on_road(np.array([[2.0, -9.0], [2.0, 0.0]])).all()
    assert not lines.on_road(np.array([[2.0, -5.0]])).any()
