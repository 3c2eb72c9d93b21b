"""Views of objects from sides that nobody recorded are told of."""

from dataclasses import replace
from pathlib import Path

import pytest

from gsrecon.scene.assets import Seen, read_asset, write_asset
from gsrecon.scene.bundle import save_scene
from gsrecon.scene.edit_cast import Cast
from gsrecon.scene.edit_sides import recorded_sides
from gsrecon.scene.edited import objects_of
from gsrecon.scene.edits import Duplicate, Edit, Hide, Insert, Move, Remove, Swap, check_edits
from gsrecon.scene.groups_scene import open_scene
from tests.labels.street import street_log, street_scene
from tests.scene.edited_street import grey_car
from tests.scene.street_in_groups import street_in_groups


def seen_from(folder: Path, *sides: str) -> Path:
    """The grey car as an asset that was seen from some sides."""
    asset = read_asset(grey_car(folder))
    write_asset(replace(asset, seen=Seen(9, 9000, 2000, sides)), folder)
    return folder


def told(*edits: Edit) -> list[str]:
    return [each.beware for each in check_edits(street_scene(street_log()), edits)]


def test_the_street_is_seen_from_behind_and_its_walker_also_from_the_right():
    graph = street_scene(street_log())
    cast = Cast(graph)
    assert graph.recording is not None
    sides = {id: set(recorded_sides(cast[id], graph.recording)) for id in cast.ids}
    # The cameras drive from x = 0.5 m to 3 m: all stands ahead of them, the walker 3 m to their left.
    assert sides == {
        "near": {"rear"},
        "far": {"rear"},
        "hidden": set(),  # too small from there
        "walker": {"rear", "rear-right"},
    }


def test_an_object_that_turns_its_unknown_side_to_the_camera_is_told():
    assert told(Move("near", (1.0, 0.3, 0.0), 20.0)) == [""]
    (beware,) = told(Move("near", turn_deg=180.0))
    assert beware == (
        "edit 1 (move near): near would be looked at from front, where nobody recorded it (it was seen from "
        "rear)"
    )
    assert "from front-right, where" in told(Move("walker", turn_deg=-100.0))[0]


def test_the_last_entry_that_places_an_object_is_told_and_only_while_it_is_there():
    turned = Move("near", turn_deg=180.0)
    first, second = told(turned, Move("near", (0.0, 1.0, 0.0)))
    assert not first
    assert second.startswith("edit 2 (move near): near would be looked at from front")
    assert told(turned, Remove("near")) == ["", ""]
    assert told(turned, Hide("near")) == ["", ""]
    assert told(turned, turned) == ["", ""]


def test_a_copy_and_a_swapped_look_keep_the_sides_of_what_they_show(tmp_path):
    assert "copy would be looked at from front" in told(Duplicate("near", "copy", (0.0, -4.0, 0.0), 180.0))[0]
    asset = seen_from(tmp_path / "asset", "front", "front-left")
    assert (
        "from rear, where nobody recorded it (it was seen from front, front-left)"
        in told(Swap("near", asset=asset))[0]
    )
    assert told(Swap("near", with_object="far", allow_collisions=True)) == [""]


@pytest.mark.parametrize(
    ("sides", "heading_deg", "sees"),
    [
        (("rear",), 0.0, ""),
        (("rear-left",), 0.0, ""),  # half a side further is no surprise
        (("left",), 0.0, "rear"),
        (("rear",), 180.0, "front"),
        ((), 0.0, ""),  # nobody knows
    ],
)
def test_an_asset_tells_its_sides(tmp_path, sides, heading_deg, sees):
    asset = seen_from(tmp_path / "asset", *sides)
    if not sides:
        write_asset(replace(read_asset(asset), seen=Seen()), asset)
    (beware,) = told(
        Insert("guest", asset=asset, at=(14.0, -2.0), heading_deg=heading_deg, allow_collisions=True)
    )
    assert beware.startswith(f"edit 1 (insert guest): guest would be looked at from {sees}," if sees else "")
    assert bool(beware) == bool(sees)


def test_a_rear_that_was_only_seen_aslant_is_told_where_it_is_looked_at_squarely(tmp_path):
    asset = seen_from(tmp_path / "asset", "left", "rear-left")
    squarely, aslant = (
        told(Insert("guest", asset=asset, at=(14.0, y), allow_collisions=True))[0] for y in (0.0, -4.0)
    )
    assert "from rear, where nobody recorded it (it was seen from left, rear-left)" in squarely
    assert not aslant


def test_an_object_of_another_scene_brings_the_sides_from_its_recording(tmp_path):
    save_scene(street_scene(street_log()), tmp_path / "run")
    options = {"scene": tmp_path / "run", "object": "near", "class_name": "car", "at": (14.0, -4.0)}
    assert told(Insert("visitor", **options)) == [""]
    assert "from front" in told(Insert("visitor", **options, heading_deg=180.0))[0]


def test_scenes_in_groups_tell_the_same(tmp_path):
    scene = open_scene(street_in_groups(tmp_path / "run"))
    edits = (Move("near", turn_deg=180.0), Move("walker", turn_deg=-100.0))
    assert [each.beware for each in check_edits(objects_of(scene, edits), edits)] == told(*edits)
    assert all(told(*edits))
