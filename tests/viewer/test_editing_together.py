"""Edits by several browsers at the same time, and what all of them are shown of the chosen object."""

from collections.abc import Iterator
from contextlib import nullcontext, suppress
from pathlib import Path
from threading import Barrier, BrokenBarrierError, Thread

import numpy as np
import pytest

from gsrecon import files
from gsrecon.errors import SpecError
from gsrecon.scene.edits import Move, read_edits
from gsrecon_viewer import editing as editing_module
from gsrecon_viewer.app import Viewer
from gsrecon_viewer.editing import Editing
from gsrecon_viewer.shown import Shown
from tests.labels.street import street_log
from tests.viewer.looking import street_eye, wait_for
from tests.viewer.painted_street import painted_street
from tests.viewer.socket_client import SocketClient

GROUND = "/overlays/handles/ground"
STRAIGHT = [1.0, 0.0, 0.0, 0.0]


def drag(client: SocketClient, place: list[float]) -> None:
    client.send("TransformControlsUpdateMessage", name=GROUND, wxyz=STRAIGHT, position=place, owner="")


def test_edits_at_the_same_time_are_all_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    log, apart = street_log(), editing_module.with_edits
    shown = Shown(painted_street(log), log)
    editing = Editing(shown, tmp_path / "edits.toml")
    both = Barrier(2)

    def meeting(*args):
        # Where the second edit need not wait for the first, neither knows of the other.
        with suppress(BrokenBarrierError):
            both.wait(timeout=0.3)
        return apart(*args)

    monkeypatch.setattr(editing_module, "with_edits", meeting)
    monkeypatch.setattr(shown, "lock", nullcontext())
    edits = [Move(id, (1.0, 0.0, 0.0)) for id in ("near", "walker")]
    before = {edit.object: shown.object(edit.object).world_from_actor[0, 3] for edit in edits}
    threads = [Thread(target=editing.do, args=(edit,)) for edit in edits]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for id, x in before.items():
        assert shown.object(id).world_from_actor[0, 3] == pytest.approx(x + 1.0, abs=1e-4)
    assert set(read_edits(tmp_path / "edits.toml")) == set(edits)


def test_a_list_that_cannot_be_written_or_applied_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    log = street_log()
    shown = Shown(painted_street(log), log)
    editing = Editing(shown, tmp_path / "edits.toml")
    editing.do(Move("near", (1.0, 0.0, 0.0)))
    editing.undo()
    before, told = shown.object("near").world_from_actor, (tmp_path / "edits.toml").read_text()

    def unchanged() -> bool:
        kept = (editing.history.edits, len(editing.history.undone)) == ((), 1)
        place = shown.object("near").world_from_actor
        return kept and np.array_equal(place, before) and (tmp_path / "edits.toml").read_text() == told

    with monkeypatch.context() as full:
        full.setattr(files.os, "replace", full_disk)
        with pytest.raises(OSError, match="No space left"):
            editing.do(Move("near", (2.0, 0.0, 0.0)))
    assert unchanged()
    with monkeypatch.context() as gone:
        gone.setattr(editing_module, "with_edits", missing_asset)
        with pytest.raises(SpecError, match="asset is gone"):
            editing.redo()
    assert unchanged()
    assert editing.redo() == Move("near", (1.0, 0.0, 0.0))


def full_disk(*_: object) -> None:
    raise OSError(28, "No space left on device")


def missing_asset(*_: object) -> None:
    raise SpecError("the asset is gone")


@pytest.fixture(name="client")
def _client(viewer: Viewer) -> Iterator[SocketClient]:
    with SocketClient(viewer.address) as client:
        client.look(street_eye(viewer.shown).world_from_cam)
        client.next_picture()
        yield client


def test_what_is_dragged_is_moved_whatever_another_browser_chooses_meanwhile(
    viewer: Viewer, client: SocketClient
):
    viewer.objects.choose("near")
    client.until(lambda: GROUND in client.nodes, "handles")
    client.send("TransformControlsDragStartMessage", name=GROUND, owner="")
    drag(client, [13.0, 0.0, 0.75])
    mark = client.until(lambda: client.nodes.get("/overlays/chosen"), "the mark")
    client.until(lambda: np.allclose(mark.get("position", 0), [13, 0, 0.75]), "the mark that follows")
    far = viewer.shown.object("far").world_from_actor
    viewer.objects.choose("far")
    client.send("TransformControlsDragEndMessage", name=GROUND, owner="")
    wait_for(lambda: viewer.editing.history.edits, "the edit")
    assert viewer.editing.history.edits[0].object == "near"
    np.testing.assert_allclose(viewer.shown.object("near").world_from_actor[:3, 3], [13, 0, 0.75], atol=2e-3)
    np.testing.assert_array_equal(viewer.shown.object("far").world_from_actor, far)


def test_handles_follow_after_drags_as_quick_as_can_be(viewer: Viewer, client: SocketClient):
    viewer.objects.choose("walker")
    client.until(lambda: GROUND in client.nodes, "handles")
    for _ in range(20):
        client.send("TransformControlsDragStartMessage", name=GROUND, owner="")
        drag(client, [9.0, 3.0, 0.9])
        client.send("TransformControlsDragEndMessage", name=GROUND, owner="")
    client.choose("Time [s]", 0.4)
    for node in ("chosen", "handles/ground", "handles/up"):
        told = client.nodes[f"/overlays/{node}"]
        client.until(lambda t=told: np.allclose(t.get("position", 0), [9.6, 3, 0.9], atol=0.02), node)
    assert not viewer.editing.history.edits, "nothing has moved"


def test_the_chosen_object_s_picture_has_the_colours_it_was_given(client: SocketClient):
    def picture() -> str | None:
        told = (str(control.get("content")) for control in client.controls.values())
        return next((html for html in told if "<b>near</b>" in html and "<img" in html), None)

    client.choose("Object", "near")
    before = client.until(picture, "the picture")
    client.choose("Brightness", 0.2)
    client.press("Expose the chosen one")
    darker = client.until(lambda: picture() not in (None, before) and picture(), "another picture")
    client.press("Undo")
    client.until(lambda: picture() == before, "the first picture")
    assert darker != before
