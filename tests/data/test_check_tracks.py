"""The preflight of boxes: even motion is left in peace, and each planted fault is placed."""

from dataclasses import replace

import numpy as np

from gsrecon.data.check import check
from gsrecon.data.check_tracks import track_findings
from gsrecon.data.log import Track
from tests.data.conftest import shifted


def track(places, step_us=500_000, length=4.0, name="a"):
    """A car at places along x [m], keyed every half second from the log's start."""
    times = 1_000_000 + step_us * np.arange(len(places))
    return Track(name, "car", np.array([length, 2.0, 1.5]), times, np.stack([shifted(x) for x in places]))


def warnings(log, *tracks):
    return [finding for finding in track_findings(replace(log, tracks=tracks)) if finding.severity != "note"]


def test_even_motion_and_hard_braking_are_left_in_peace(log):
    braking = [0.0, 7.5, 12.5, 15.0, 15.0]  # 10 m/s2 down to rest
    findings = track_findings(replace(log, tracks=(track([0, 5, 10, 15]), track(braking, name="b"))))
    assert [finding.severity for finding in findings] == ["note"]
    assert findings[0].message == "2 tracks, 2 of them move"


def test_boxes_drawn_ten_times_a_second_may_wobble_by_a_decimetre(log):
    assert warnings(log, track([0, 1.15, 1.9, 3.1, 4.0], step_us=100_000)) == []


def test_a_box_that_jumps_is_placed_at_its_worst_key(log):
    (found,) = warnings(log, track([0, 5, 18, 15, 20]))
    assert found.where == "track a (car)"
    assert found.message == "at 1.00 s the box jumps: 8.0 m off an even motion past it"


def test_a_jump_between_two_keys_only_is_a_speed(log):
    (found,) = warnings(log, track([0, 60]))
    assert found.message == "at 0.50 s the box jumps: 120 m/s from the key before"


def test_a_car_that_turns_over_is_named_and_a_pedestrian_may(log):
    turned = track([0, 0.1, 0.2])
    turned.world_from_actor[1, :3, :3] = np.diag([-1.0, -1.0, 1.0])
    (found,) = warnings(log, turned)
    assert found.message == "at 0.50 s the box turns by 180 deg in 0.5 s"
    assert warnings(log, replace(turned, size_lwh=np.array([0.6, 0.6, 1.8]))) == []


def test_single_keys_and_logs_without_boxes_are_notes(log):
    (found,) = track_findings(replace(log, tracks=(track([3]), track([0, 5], name="b"))))
    assert found.severity == "note"
    assert found.message.startswith("2 tracks, 1 of them move; 1 have a single key")
    (none,) = track_findings(replace(log, tracks=()))
    assert (none.severity, none.where) == ("note", "tracks")


def test_broken_boxes_are_errors_and_do_not_stop_the_rest(log):
    flat = replace(track([0, 1], name="flat"), size_lwh=np.array([4.0, 0.0, 1.5]))
    twice = replace(track([0, 1], name="twice"), timestamps_us=np.array([1_000_000, 1_000_000]))
    mirrored = track([0, 1], name="mirrored")
    mirrored.world_from_actor[1, 0, 0] = -1.0
    found = warnings(log, flat, twice, mirrored, track([0, 60], name="fast"))
    assert [finding.severity for finding in found] == ["error", "error", "error", "warning"]
    assert [finding.where.split()[1] for finding in found] == ["flat", "twice", "mirrored", "fast"]


def test_many_jumps_are_counted(log):
    found = warnings(log, *(track([0, 60], name=str(number)) for number in range(13)))
    assert len(found) == 11
    assert found[-1].message == "3 more boxes jump or turn over"


def test_the_preflight_reports_tracks(log):
    assert any(finding.where == "tracks" for finding in check(log))
