"""Edit lists: read strictly, applied to objects, with labels that follow."""

from dataclasses import replace

import numpy as np
import pytest

from gsrecon.data.log import Track
from gsrecon.errors import SpecError
from gsrecon.labels.edited_tracks import edited_tracks
from gsrecon.labels.visibility import box_around
from gsrecon.scene.edits import Edit, apply_edits, read_edits
from tests.labels.street import START_US, THINGS, Thing, ray_cast, street_labeler, street_log, street_scene

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
AFTER = (
    Thing("far", "car", (4.0, 1.8, 1.5), (18.0, 2.6, 0.75)),
    Thing("hidden", "car", (1.0, 0.8, 0.5), (17.0, 0.0, 0.25)),
    Thing("walker", "pedestrian", (0.6, 0.6, 1.8), (9.0, 3.0, 0.9), 1.5),
    Thing("second walker", "pedestrian", (0.6, 0.6, 1.8), (11.0, -1.5, 0.9), 1.5),
)


def test_labels_follow_objects_that_are_removed_moved_and_doubled(tmp_path):
    (tmp_path / "edits.toml").write_text(LIST)
    edits = read_edits(tmp_path / "edits.toml")
    log = street_log()
    graph = street_scene(log)
    apply_edits(graph, edits)
    tracks: tuple[Track, ...] = edited_tracks(log.tracks, edits)
    assert {track.id for track in tracks} == {thing.id for thing in AFTER}
    labeler = street_labeler(replace(log, tracks=tracks), graph)
    lens, pose = graph.recording.cameras["front"], log.frames[0].world_from_cam
    time = START_US + 130_000
    view = labeler.view(graph, lens, pose, time)
    found = {thing.subject.id: thing for thing in view.objects}
    shown, _ = ray_cast(lens, pose, time, AFTER)
    assert set(found) == {thing.id for thing in AFTER}
    for number, thing in enumerate(AFTER):
        expected = box_around(shown == number, (0, 0, lens.width, lens.height))
        if (shown == number).sum() > 40:
            np.testing.assert_allclose(found[thing.id].measured.modal_box, expected, atol=2.0)
    # The car that was removed hides nothing any more.
    assert found["hidden"].measured.visible_fraction > 0.9


def test_an_edit_list_replays_to_the_same_scene():
    edits = (
        Edit("move", "far", (1.0, 0.0, 0.0), 30.0),
        Edit("duplicate", "near", (0.0, 3.0, 0.0), name="copy"),
    )
    graphs = [street_scene(street_log()) for _ in range(2)]
    for graph in graphs:
        apply_edits(graph, edits)
    for name, tensor in graphs[0]["actors"].tensors().items():
        assert tensor.equal(graphs[1]["actors"].tensors()[name])


def test_a_turn_is_about_the_objects_own_axis():
    log = street_log()
    graph = street_scene(log)
    apply_edits(graph, (Edit("move", "near", turn_deg=90.0),))
    pose = graph["actors"].trajectories.key_poses[0].numpy()
    np.testing.assert_allclose(pose[:3, 3], THINGS[0].place)
    np.testing.assert_allclose(pose[:3, 0], [0, 1, 0], atol=1e-12)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[[edit]]\ndo = "paint"\nobject = "near"\n', "do: expected one of remove, move, duplicate"),
        ('[[edit]]\ndo = "move"\n', "object: expected the id"),
        ('[[edit]]\ndo = "move"\nobject = "near"\nby = [1, 2]\n', "expected three numbers"),
        ('[[edit]]\ndo = "move"\nobject = "near"\ncolour = "red"\n', "unknown key 'colour'"),
        ('[[edit]]\ndo = "duplicate"\nobject = "near"\n', "the id of the copy"),
        ("[other]\n", "entries [[edit]] only"),
        ("what is this", "cannot be read"),
    ],
)
def test_a_mistake_in_a_list_is_one_clear_sentence(tmp_path, text, told):
    (tmp_path / "edits.toml").write_text(text)
    with pytest.raises(SpecError) as caught:
        read_edits(tmp_path / "edits.toml")
    assert told in str(caught.value)


def test_unknown_objects_and_taken_names_are_refused():
    graph = street_scene(street_log())
    with pytest.raises(SpecError, match="no object 'tank'; it has near, far"):
        apply_edits(graph, (Edit("remove", "tank"),))
    with pytest.raises(SpecError, match="'far' is taken"):
        apply_edits(graph, (Edit("duplicate", "near", name="far"),))
    with pytest.raises(SpecError, match="none: train with dynamics"):
        apply_edits(street_scene(street_log(()), modelled=False), (Edit("remove", "near"),))


def test_two_annotated_objects_with_one_id_are_refused():
    track = street_log().tracks[0]
    with pytest.raises(SpecError, match="two annotated objects have the id 'near'"):
        edited_tracks((track, track), ())
    with pytest.raises(SpecError, match="'far' is taken"):
        edited_tracks(street_log().tracks, (Edit("duplicate", "near", name="far"),))
