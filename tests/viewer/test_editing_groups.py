"""Editing a scene that is cut into groups, as the app does it."""

from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from gsrecon.errors import SpecError
from gsrecon.scene.edits import Drive, Duplicate, Move, Remove, read_edits
from gsrecon.scene.groups_scene import open_scene
from gsrecon_viewer.editing import Editing
from gsrecon_viewer.shown import Shown, modelled_objects
from gsrecon_viewer.sky_splats import sky_splats
from gsrecon_viewer.splats import BrowserSplats
from gsrecon_viewer.thumbnails import thumbnail
from tests.labels.street import street_log
from tests.scene.street_in_groups import street_in_groups


@pytest.fixture(name="run", scope="module")
def _run(tmp_path_factory) -> Path:
    return street_in_groups(tmp_path_factory.mktemp("groups") / "run")


def test_objects_of_all_groups_are_shown_moved_and_brought_back(run, tmp_path):
    shown = Shown(open_scene(run), street_log())
    editing = Editing(shown, tmp_path / "edits.toml")
    before = {thing.id: thing.world_from_actor for thing in shown.objects()}
    assert set(before) == {"near", "far", "hidden", "walker"}
    editing.do(Move("walker", (0.0, 0.5, 0.0)))
    editing.do(Duplicate("far", "far too", (0.0, 4.0, 0.0)))
    editing.do(Remove("hidden"))
    editing.do(Drive("near", waypoints=((10.0, -0.8), (20.0, -0.8)), speeds_mps=(5.0,)))
    after = {thing.id: thing for thing in shown.objects()}
    assert set(after) == {"near", "far", "walker", "far too"}
    np.testing.assert_allclose((after["walker"].world_from_actor - before["walker"])[:3, 3], (0.0, 0.5, 0.0))
    assert after["far too"].category == "car"
    assert read_edits(tmp_path / "edits.toml") == editing.history.edits
    with pytest.raises(SpecError, match="no object 'hidden'"):
        editing.do(Remove("hidden"))
    for _ in range(4):
        editing.undo()
    again = {thing.id: thing.world_from_actor for thing in shown.objects()}
    assert all(np.array_equal(pose, again[id]) for id, pose in before.items())


def test_a_picture_of_one_object_reads_its_gaussians_alone(run):
    scene = open_scene(run)
    assert {len(node.gaussians) for node, _ in modelled_objects(scene).values()} == {0}
    node, number = modelled_objects(scene, ["walker"])["walker"]
    assert thumbnail(node, number).std() > 1
    assert {len(node.gaussians) for node, _ in modelled_objects(scene).values()} == {0, len(node.gaussians)}
    assert scene.resident == []


class ToldScene:
    """Remembers the frames and splats that a browser is told of."""

    def __init__(self) -> None:
        self.frames: dict[str, SimpleNamespace] = {}
        self.colours: dict[str, np.ndarray] = {}

    def add_frame(self, name: str, **_: object) -> SimpleNamespace:
        self.frames[name] = SimpleNamespace(name=name, visible=True, position=(0.0, 0.0, 0.0))
        return self.frames[name]

    def add_gaussian_splats(self, name: str, rgbs: np.ndarray, **_: object) -> SimpleNamespace:
        self.colours[name] = rgbs
        return SimpleNamespace(name=name)


def test_splats_of_the_objects_of_every_group_are_put_where_they_are(run):
    shown, scene = Shown(open_scene(run), street_log()), ToldScene()
    camera = SimpleNamespace(position=np.zeros(3))
    client = SimpleNamespace(scene=scene, camera=camera, atomic=nullcontext)
    BrowserSplats(client, shown).show()
    found = sorted(frame.position for name, frame in scene.frames.items() if name != "/sky")
    places = [thing.world_from_actor[:3, 3] for thing in shown.objects()]
    np.testing.assert_allclose(found, sorted(tuple(place.tolist()) for place in places))
    assert len(found) == 4
    sky = shown.sky()
    assert sky is not None
    np.testing.assert_allclose(scene.colours["/sky/splats"], sky_splats(sky).rgbs)
    assert shown.node_ids()[-1] == sky.id
