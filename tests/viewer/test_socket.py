"""The app as browsers meet it: over the socket, in viser's own format."""

import http.client
import logging
import re
import socket
import threading
from pathlib import Path

import numpy as np
import pytest

from gsrecon.evaluation.path_file import read_path_file
from gsrecon_viewer import client_view, sky_splats, takeaway_panel
from gsrecon_viewer.app import Viewer
from gsrecon_viewer.painter import colour_of, paint, paint_with_depth
from tests.viewer.looking import far_apart, regions, street_eye, wait_for
from tests.viewer.painted_street import GROUND
from tests.viewer.socket_client import SocketClient

JPEG = 12.0
"""JPEG, and a size of another rounding, change the mean of a region by less than this."""


def test_the_picture_that_arrives_is_the_one_that_the_scene_shows(viewer: Viewer):
    eye = street_eye(viewer.shown)
    with SocketClient(viewer.address) as client:
        client.look(eye.world_from_cam)
        picture = client.picture_where(lambda p: p.shape == (90, 160, 3), "the sharp picture")
    assert far_apart(picture, paint(viewer.shown, eye, "colours")) < JPEG
    assert regions(picture)[0].std(axis=0).max() < 8, "the upper edge is plain sky"
    np.testing.assert_allclose(regions(picture)[5], np.tile(np.array(GROUND) * 255, (8, 1)), atol=JPEG)


def test_every_kind_of_picture_is_the_one_that_was_asked_for(viewer: Viewer):
    eye = street_eye(viewer.shown)
    with SocketClient(viewer.address) as client:
        client.look(eye.world_from_cam)
        client.next_picture()
        for kind in ("depth", "alpha", "objects", "classes", "colours"):
            wanted = paint(viewer.shown, eye, kind)
            client.choose("Show", kind)
            client.picture_where(lambda p, w=wanted: far_apart(p, w) < JPEG, f"the picture of {kind}")


def test_a_moving_camera_gets_coarse_pictures_and_a_still_one_a_sharp_one(viewer: Viewer):
    with SocketClient(viewer.address) as client:
        client.look(street_eye(viewer.shown).world_from_cam)
        client.picture_where(lambda p: p.shape == (90, 160, 3), "the sharp picture")
        viewer.loop.views()[0].pace.scale = lambda pixels, moving: 0.5 if moving else 1.0
        client.look(street_eye(viewer.shown, left_m=1.0).world_from_cam)
        client.picture_where(lambda p: p.shape == (45, 80, 3), "the coarse picture")
        client.picture_where(lambda p: p.shape == (90, 160, 3), "the sharp picture again")
        arrived = client.pictures
        client.read_for(0.5)
        assert client.pictures == arrived, "a still camera needs no more pictures"


def test_a_window_larger_than_the_largest_picture_gets_the_largest_picture(viewer: Viewer, monkeypatch):
    monkeypatch.setattr(client_view, "LARGEST", 120)
    with SocketClient(viewer.address, 240, 80) as client:
        client.look(street_eye(viewer.shown).world_from_cam)
        client.picture_where(lambda p: p.shape == (40, 120, 3), "the sharp picture")


def test_two_browsers_see_through_their_own_cameras_at_one_time(viewer: Viewer):
    ahead, aside = street_eye(viewer.shown, "front"), street_eye(viewer.shown, "front_left")
    with SocketClient(viewer.address) as one, SocketClient(viewer.address) as other:
        one.look(ahead.world_from_cam)
        other.look(aside.world_from_cam)
        assert far_apart(one.next_picture(), other.next_picture()) > 3 * JPEG
        one.choose("Time [s]", 0.4)
        wait_for(lambda: viewer.shown.time_s == pytest.approx(0.4), "the new time")
        for client, eye in ((one, ahead), (other, aside)):
            wanted = paint(viewer.shown, eye, "colours")
            client.picture_where(lambda p, w=wanted: far_apart(p, w) < JPEG, "a picture of the new time")
        slider = other.control("Time [s]")
        other.until(lambda: other.controls[slider]["value"] == pytest.approx(0.4), "the slider's new place")


def test_how_one_browser_wants_to_see_is_not_how_the_other_does(viewer: Viewer):
    eye = street_eye(viewer.shown)
    with SocketClient(viewer.address) as one, SocketClient(viewer.address) as other:
        for client in (one, other):
            client.look(eye.world_from_cam)
            client.next_picture()
        one.choose("Show", "depth")
        depth = paint(viewer.shown, eye, "depth")
        one.picture_where(lambda p: far_apart(p, depth) < JPEG, "the depth")
        viewer.shown.changed()
        assert far_apart(other.next_picture(), paint(viewer.shown, eye, "colours")) < JPEG


def test_playing_moves_time_boxes_and_pictures_until_it_is_paused(viewer: Viewer):
    with SocketClient(viewer.address) as client:
        client.look(street_eye(viewer.shown).world_from_cam)
        client.next_picture()
        before = np.array(client.nodes["/overlays/boxes"]["points"])
        client.press("Play")
        client.until(lambda: viewer.shown.time_s > 0.2, "time that runs")
        client.until(
            lambda: not np.array_equal(client.nodes["/overlays/boxes"]["points"], before), "boxes that move"
        )
        button = client.control("Pause")
        client.press("Pause")
        client.until(lambda: client.controls[button]["label"] == "Play", "the pause")
        client.read_for(0.3)
        paused, pictures = viewer.shown.time_s, client.pictures
        client.read_for(0.4)
        assert viewer.shown.time_s == paused
        assert client.pictures == pictures


def test_playing_once_ends_at_the_last_moment(viewer: Viewer):
    with SocketClient(viewer.address) as client:
        client.look(street_eye(viewer.shown).world_from_cam)
        client.choose("Repeat", False)
        client.press("Play")
        client.until(lambda: viewer.shown.time_s == viewer.shown.span_s[1], "the end")
        wait_for(lambda: not viewer.playback.playing, "the pause at the end")


def test_playing_again_at_the_end_begins_at_the_start(viewer: Viewer):
    start, end = viewer.shown.span_s
    moments: list[float] = []
    with SocketClient(viewer.address) as client:
        client.look(street_eye(viewer.shown).world_from_cam)
        client.choose("Repeat", False)
        viewer.shown.time_s = end
        viewer.shown.watch(lambda: moments.append(viewer.shown.time_s))
        client.press("Play")
        wait_for(lambda: moments and not viewer.playback.playing, "the end of the second pass")
    assert start in moments
    assert any(start < moment < end for moment in moments)


def test_a_ride_takes_the_camera_along(viewer: Viewer):
    with SocketClient(viewer.address) as client:
        client.look(street_eye(viewer.shown, "front_left").world_from_cam)
        client.next_picture()
        client.choose("Camera", "front")
        client.until(lambda: client.counts.get("SetCameraPositionMessage", 0) > 1, "a camera that is moved")
        here = street_eye(viewer.shown, "front")
        wanted = paint(viewer.shown, viewer.loop.views()[0].eye() or here, "colours", "front")
        client.picture_where(lambda p: far_apart(p, wanted) < JPEG, "what the camera ahead sees")
        np.testing.assert_allclose(client.camera_told["Position"], here.world_from_cam[:3, 3], atol=1e-6)


def test_a_browser_that_leaves_while_its_picture_is_drawn_disturbs_nobody(
    viewer: Viewer, monkeypatch, caplog: pytest.LogCaptureFixture
):
    drawing, go_on = threading.Event(), threading.Event()
    first_thread: list[int] = []

    def slow(*args, **options):
        if not first_thread:
            first_thread.append(1)
            drawing.set()
            assert go_on.wait(20)
        return paint_with_depth(*args, **options)

    monkeypatch.setattr(client_view, "paint_with_depth", slow)
    leaver = SocketClient(viewer.address)
    leaver.look(street_eye(viewer.shown).world_from_cam)
    assert drawing.wait(20)
    leaver.close()
    wait_for(lambda: not viewer.loop.views(), "the browser's leaving")
    go_on.set()
    with SocketClient(viewer.address) as client, caplog.at_level(logging.WARNING):
        client.look(street_eye(viewer.shown).world_from_cam)
        client.picture_where(lambda p: p.shape == (90, 160, 3), "the sharp picture")
    assert not caplog.records


def test_a_browser_that_does_not_read_holds_up_nobody_and_fills_no_memory(viewer: Viewer):
    eyes = [street_eye(viewer.shown, left_m=0.2 * k) for k in range(5)]
    with SocketClient(viewer.address, 960, 540, reads=False) as slow, SocketClient(viewer.address) as quick:
        slow.look(eyes[0].world_from_cam)
        quick.look(eyes[0].world_from_cam)
        quick.next_picture()
        held = next(v for v in viewer.loop.views() if v.client.camera.image_width == 960)
        viewer.playback.toggle()
        # More than a socket's buffers take.
        wait_for(lambda: held.pictures > 60, "pictures for the slow one", 60)
        quick.read_for(0.2)
        for eye in eyes:
            quick.look(eye.world_from_cam)
            quick.next_picture()
        waiting = held.client._websock_connection.get_message_buffer().message_from_id
        kinds = [type(message).__name__ for message in list(waiting.values())]
        assert kinds.count("BackgroundImageMessage") <= 1, "only the newest picture waits"
        assert len(kinds) < 200
        broadcast = viewer.server._websock_server.get_message_buffer().message_from_id
        assert len(broadcast) < 500
        viewer.playback.toggle()
        slow.picture_where(lambda p: p.shape == (540, 960, 3), "the sharp picture in the end")
        assert slow.pictures < held.pictures


def test_a_hundred_browsers_come_and_go_and_leave_nothing_behind(viewer: Viewer):
    eye = street_eye(viewer.shown)
    for number in range(100):
        client = SocketClient(viewer.address, 64, 36)
        if number % 3:
            client.look(eye.world_from_cam)
        if number % 10 == 0:
            client.look(eye.world_from_cam)
            client.next_picture()
        client.vanish() if number % 2 else client.close()
    wait_for(lambda: not viewer.loop.views() and not viewer.server.get_clients(), "everybody's leaving")
    wait_for(lambda: not viewer._splats, "nobody's splats")
    assert threading.active_count() < 60
    with SocketClient(viewer.address) as client:
        client.look(eye.world_from_cam)
        client.picture_where(lambda p: p.shape == (90, 160, 3), "the sharp picture")


@pytest.mark.parametrize(
    ("label", "value"),
    [
        ("Show", "../../nonsense"),
        ("Camera", "nobody"),
        ("Sharpness", 1e9),
        ("Left [m]", float("nan")),
    ],
)
def test_nonsense_from_one_browser_leaves_the_others_their_pictures(
    viewer: Viewer, label: str, value: object
):
    eye = street_eye(viewer.shown)
    with SocketClient(viewer.address) as bad, SocketClient(viewer.address) as good:
        for client in (bad, good):
            client.look(eye.world_from_cam)
            client.next_picture()
        bad.choose(label, value)
        bad.look(eye.world_from_cam, fov_y=0.0)
        bad.press("Picture (PNG)")
        for k in range(3):
            good.look(street_eye(viewer.shown, left_m=float(k + 1)).world_from_cam)
            good.next_picture()


def test_a_browser_whose_wishes_make_no_sense_leaves_the_others_their_pictures(viewer: Viewer):
    def senseless(playing: bool) -> None:
        raise ValueError("no sense")

    eye = street_eye(viewer.shown)
    with SocketClient(viewer.address) as bad, SocketClient(viewer.address) as good:
        bad.look(eye.world_from_cam)
        bad.next_picture()
        viewer.loop.views()[0].wanted = senseless
        bad.until(lambda: bad.notifications, "word that there is no picture")
        for k in range(3):
            good.look(street_eye(viewer.shown, left_m=float(k + 1)).world_from_cam)
            good.next_picture()


def test_files_are_written_below_the_folder_whatever_they_are_called(viewer: Viewer, tmp_path: Path):
    with SocketClient(viewer.address) as client:
        client.look(street_eye(viewer.shown).world_from_cam)
        client.next_picture()
        client.press("Add this view")
        client.until(lambda: viewer.takeaway.recorder.keyframes, "the keyframe")
        for name in ("../../x", "/tmp/x", "..", "a/b\\c", ".hidden", "n" * 5000):
            client.choose("Name", name)
            said = len(client.notifications)
            client.press("Save path")
            client.until(lambda n=said: len(client.notifications) > n, f"word of {name[:20]}")
        client.choose("Show", "../../../y")
        client.press("Picture (PNG)")
        client.read_for(0.5)
    written = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert "run/viewer/paths/x.toml" in written
    assert all(path.startswith("run/viewer/") for path in written), written
    assert not Path("/tmp/x.toml").exists()


def test_a_saved_path_is_one_that_rendering_reads(viewer: Viewer, tmp_path: Path):
    eyes = [street_eye(viewer.shown), street_eye(viewer.shown, left_m=2.0)]
    with SocketClient(viewer.address) as client:
        for count, eye in enumerate(eyes, 1):
            client.look(eye.world_from_cam)
            client.next_picture()
            wait_for(
                lambda e=eye: np.allclose(
                    viewer.loop.views()[0].client.camera.position, e.world_from_cam[:3, 3]
                ),
                "the camera",
            )
            client.press("Add this view")
            client.until(lambda c=count: len(viewer.takeaway.recorder.keyframes) == c, "the keyframe")
        client.press("Save path")
        client.until(lambda: client.notifications, "word of the file")
    path = read_path_file(tmp_path / "run" / "viewer" / "paths" / "path.toml")
    assert len(path) == 51, "two seconds at 25 pictures a second, both ends included"
    np.testing.assert_allclose(path.world_from_cam[0].numpy(), eyes[0].world_from_cam, atol=1e-6)
    np.testing.assert_allclose(path.world_from_cam[-1].numpy(), eyes[1].world_from_cam, atol=1e-6)


@pytest.mark.filterwarnings("ignore:Queued a")  # else a message to the server that ended would end the film
def test_a_film_that_is_being_rendered_is_given_up_when_the_viewer_ends(viewer: Viewer, tmp_path: Path):
    eye = street_eye(viewer.shown)
    films = tmp_path / "run" / "viewer" / "films"
    with SocketClient(viewer.address) as client:
        client.look(eye.world_from_cam)
        client.next_picture()
        client.choose("Seconds apart", 60.0)
        for count in (1, 2):
            client.press("Add this view")
            client.until(lambda c=count: len(viewer.takeaway.recorder.keyframes) == c, "the keyframe")
        client.press("Render film")
        wait_for(lambda: list(films.glob("*")), "the film's beginning")
        viewer.stop()
    assert not list(films.glob("*")), "1,501 pictures were wanted: none of them are left behind"


def test_the_end_of_a_film_is_told_to_nobody_where_its_browser_has_gone(
    viewer: Viewer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    told = []
    monkeypatch.setattr(takeaway_panel, "say", lambda client, *words: told.append(words))
    began, gone = threading.Event(), threading.Event()

    def rendered(shown, path, target, *others) -> Path:
        began.set()
        assert gone.wait(20)
        return target

    monkeypatch.setattr(takeaway_panel, "render_film", rendered)
    with SocketClient(viewer.address) as client:
        client.look(street_eye(viewer.shown).world_from_cam)
        client.next_picture()
        client.press("Add this view")
        client.until(lambda: viewer.takeaway.recorder.keyframes, "the keyframe")
        client.press("Render film")
        wait_for(began.is_set, "the film's beginning")
    wait_for(lambda: not viewer.loop.views(), "the browser's going")
    gone.set()
    viewer.stop()
    assert told == []


def test_splats_for_the_browser_are_the_scene_and_follow_the_objects(viewer: Viewer):
    with SocketClient(viewer.address) as client:
        client.look(street_eye(viewer.shown).world_from_cam)
        client.next_picture()
        client.choose("Drawn by", "browser")
        client.until(lambda: "/splats/0/background" in client.own, "the background's splats")
        client.until(
            lambda: client.counts.get("GaussianSplatsMessage", 0) == 6, "background, objects and sky"
        )
        client.until(lambda: client.picture is None, "no picture behind the splats")
        numbers = {name: len(node["buffer"]) // 8 for name, node in client.own.items() if "buffer" in node}
        assert numbers.pop("/sky/splats") == sky_splats.COUNT
        assert sum(numbers.values()) == len(viewer.shown.scene)
        walker = "/splats/0/actors/3"
        client.until(lambda: "position" in client.own[walker], "the place of an object")
        before = np.array(client.own[walker]["position"])
        client.choose("Time [s]", 0.4)
        client.until(lambda: not np.allclose(client.own[walker]["position"], before), "a frame that moves")
        np.testing.assert_allclose(np.array(client.own[walker]["position"]) - before, [0.6, 0, 0], atol=0.02)
        client.choose("Drawn by", "server")
        client.until(lambda: "/splats/0/background" not in client.own, "the splats' going")
        client.until(lambda: client.picture is not None, "a picture again")


def test_an_object_is_chosen_moved_and_put_back_for_everybody(viewer: Viewer, tmp_path: Path):
    def place() -> list[float]:
        thing = viewer.shown.object("near")
        assert thing is not None
        return thing.world_from_actor[:3, 3].tolist()

    eye = street_eye(viewer.shown)
    with SocketClient(viewer.address) as one, SocketClient(viewer.address) as other:
        for client in (one, other):
            client.look(eye.world_from_cam)
            client.next_picture()
        before = np.array(other.nodes["/overlays/boxes"]["points"])
        one.press("Move")
        one.until(lambda: one.notifications, "word that nothing is chosen")
        assert one.notifications[-1][0] == "That did not work"
        one.choose("Object", "near")
        one.choose("Forward, left, up [m]", [1.0, -2.0, 0.0])
        one.press("Move")
        one.until(lambda: one.notifications[-1][0] == "Done", "the move")
        np.testing.assert_allclose(
            viewer.shown.object("near").world_from_actor[:3, 3], [13, -2, 0.75], atol=1e-4
        )
        other.until(
            lambda: not np.array_equal(other.nodes["/overlays/boxes"]["points"], before), "boxes that follow"
        )
        wanted = paint(viewer.shown, eye, "colours")
        other.picture_where(lambda p: far_apart(p, wanted) < JPEG, "the moved object for the other")
        assert (tmp_path / "run" / "viewer" / "edits.toml").is_file()
        one.press("Undo")
        wait_for(
            lambda: viewer.shown.object("near").world_from_actor[1, 3] == pytest.approx(0, abs=1e-4), "undo"
        )
        other.until(
            lambda: np.allclose(other.nodes["/overlays/boxes"]["points"], before, atol=1e-5),
            "boxes as before",
        )


def test_the_sheet_of_all_objects_has_those_that_are_there_as_they_look_now(viewer: Viewer):
    with SocketClient(viewer.address) as client:

        def sheet() -> dict[str, str]:
            contents = (told.get("content") or "" for told in client.controls.values())
            rows = re.findall(r"<div[^>]*>(<img[^>]*>)<br/><small>([^<]*)</small>", "".join(contents))
            return {id: picture for picture, id in rows}

        client.look(street_eye(viewer.shown).world_from_cam)
        client.next_picture()
        client.until(lambda: sorted(sheet()) == ["far", "hidden", "near", "walker"], "the first sheet")
        before = sheet()
        client.choose("Object", "near")
        client.until(lambda: viewer.objects.chosen == "near", "the choice")
        client.press("Copy")
        client.until(lambda: "near-2" in sheet(), "the copy")
        client.choose("Tint", [255, 40, 40])
        client.press("Recolour")
        client.until(lambda: sheet()["near"] != before["near"], "the other colour")
        assert sheet()["far"] == before["far"]
        client.press("Undo")
        client.press("Undo")
        client.until(lambda: sheet() == before, "the first sheet again")


def test_what_will_not_look_right_is_done_and_told(viewer: Viewer):
    near, far = (viewer.shown.object(id).world_from_actor[:3, 3] for id in ("near", "far"))
    with SocketClient(viewer.address) as client:
        client.look(street_eye(viewer.shown).world_from_cam)
        client.choose("Object", "near")
        client.choose("Forward, left, up [m]", (far - near).tolist())
        client.press("Move")
        client.until(lambda: any(title == "Beware" for title, _ in client.notifications), "a warning")
    told = dict(client.notifications)
    assert "near is in far at" in told["Beware"]
    assert "Done" in told
    np.testing.assert_allclose(viewer.shown.object("near").world_from_actor[:3, 3], far, atol=1e-4)


def test_everything_or_one_object_is_exposed_otherwise(viewer: Viewer):
    eye = street_eye(viewer.shown)
    recorded = paint(viewer.shown, eye, "colours").astype(int)
    own = paint(viewer.shown, eye, "objects")
    near = (own == colour_of("near")).all(axis=2)
    assert near.sum() > 100
    with SocketClient(viewer.address) as client:
        client.look(eye.world_from_cam)
        client.choose("Brightness", 0.5)
        client.choose("Object", "near")
        client.press("Expose the chosen one")
        client.until(lambda: client.notifications, "word of the one")
        darker = recorded - paint(viewer.shown, eye, "colours")
        assert darker[near].mean() > 20
        assert np.abs(darker[:20]).mean() < 1  # the sky
        client.press("Expose everything")
        client.until(lambda: len(client.notifications) > 1, "word of everything")
    assert {title for title, _ in client.notifications} == {"Done"}
    darker = recorded - paint(viewer.shown, eye, "colours")
    assert darker[:20].mean() > 20


def test_only_this_machine_gets_in_unless_it_is_told_otherwise(viewer: Viewer):
    port = viewer.server.get_port()
    assert viewer.address == f"http://127.0.0.1:{port}"
    with pytest.raises(ConnectionRefusedError):  # 127.0.0.2 is this machine under another address
        socket.create_connection(("127.0.0.2", port), timeout=5).close()


@pytest.mark.parametrize("path", ["/../../../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd"])
def test_no_file_of_the_machine_is_served(viewer: Viewer, path: str):
    connection = http.client.HTTPConnection("127.0.0.1", viewer.server.get_port(), timeout=10)
    connection.request("GET", path)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    assert answer.status == 404
    assert b"root" not in content
