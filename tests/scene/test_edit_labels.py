"""Labels follow edit lists."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gsrecon.data.log import Track
from gsrecon.errors import SpecError
from gsrecon.labels.edited_tracks import edited_tracks
from gsrecon.scene.edits import (
    Drive,
    Duplicate,
    Hide,
    Insert,
    Move,
    Remove,
    Retime,
    Swap,
    read_edits,
)
from tests.labels.street import START_US, THINGS, Thing, ray_cast, street_labeler, street_log, street_scene
from tests.scene.edited_street import (
    edited,
    grey_car,
)

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


@pytest.fixture(name="asset", scope="module")
def _asset(tmp_path_factory) -> Path:
    return grey_car(tmp_path_factory.mktemp("assets") / "grey-car")


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


def test_two_annotated_objects_with_one_id_are_refused():
    track, graph = street_log().tracks[0], street_scene(street_log())
    with pytest.raises(SpecError, match="two annotated objects have the id 'near'"):
        edited_tracks((track, track), (), graph)
    with pytest.raises(SpecError, match="'far' is taken"):
        edited_tracks(street_log().tracks, (Duplicate("near", "far"),), graph)
