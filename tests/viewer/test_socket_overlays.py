"""What is drawn over the scene, as browsers are told of it: hidden, covered, marked, picked."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gsrecon_viewer.app import Viewer
from gsrecon_viewer.comparing import captioned, compare, letterboxed
from gsrecon_viewer.occlusion import FARTHEST_M, depth_to_send
from gsrecon_viewer.overlays import box_lines
from gsrecon_viewer.painter import paint_with_depth
from gsrecon_viewer.sky_splats import FOLLOWS_AFTER_M
from tests.viewer.looking import far_apart, street_eye, wait_for
from tests.viewer.socket_client import SocketClient

JPEG = 12.0
OVER = "/overlays"


def at_the_start(viewer: Viewer, client: SocketClient, **ride: float) -> None:
    """Looks ahead from the first place, until a picture is there."""
    client.look(street_eye(viewer.shown, **ride).world_from_cam)
    client.next_picture()


def compared(viewer: Viewer, how: str) -> np.ndarray:
    """What a browser shows of a comparison from the camera ahead."""
    both = compare(viewer.shown, viewer.shown.nearest_frame("front"), how)
    return letterboxed(captioned(both, how), 160 / 90)


def test_a_still_picture_comes_with_all_its_depths(viewer: Viewer):
    eye = street_eye(viewer.shown)
    with SocketClient(viewer.address) as client:
        client.look(eye.world_from_cam)
        client.until(lambda: client.depth is not None and client.depth.shape == (90, 160), "depths")
    wanted = depth_to_send(paint_with_depth(viewer.shown, eye, "colours").depth, coarse=False)
    np.testing.assert_allclose(client.depth, wanted, atol=2e-5)
    assert client.depth[0, 0] == pytest.approx(FARTHEST_M)
    assert client.depth[48, 80] < 10.5, "the near car"


def test_a_moving_camera_gets_coarse_depths_and_all_of_them_when_it_rests(viewer: Viewer):
    with SocketClient(viewer.address) as client:
        at_the_start(viewer, client)
        viewer.loop.views()[0].pace.scale = lambda pixels, moving: 1.0
        client.look(street_eye(viewer.shown, left_m=1.0).world_from_cam)
        client.until(lambda: client.depth is not None and client.depth.shape == (22, 40), "coarse depths")
        assert client.picture.shape == (90, 160, 3)
        client.until(lambda: client.depth is not None and client.depth.shape == (90, 160), "all of them")


def test_boxes_show_through_where_that_is_wanted_and_in_no_other_browser(viewer: Viewer):
    with SocketClient(viewer.address) as one, SocketClient(viewer.address) as other:
        for client in (one, other):
            at_the_start(viewer, client)
        one.choose("Show through", True)
        one.until(lambda: one.depth is None, "a picture without depth")
        viewer.shown.changed()
        other.next_picture()
        assert other.depth is not None
        one.choose("Show through", False)
        one.until(lambda: one.depth is not None, "depths again")


def test_ids_are_hidden_with_their_boxes(viewer: Viewer):
    with SocketClient(viewer.address) as client:
        labels = client.until(lambda: [n for n in client.nodes if n.startswith(f"{OVER}/labels/")], "labels")
        assert all(client.nodes[name]["depth_test"] for name in labels)


def test_a_comparison_hides_the_overlays_in_its_own_browser_until_it_ends(viewer: Viewer):
    with SocketClient(viewer.address) as one, SocketClient(viewer.address) as other:
        for client in (one, other):
            at_the_start(viewer, client)
        for how in ("side by side", "wipe", "error"):
            one.choose("Compare", how)
            wanted = compared(viewer, how)
            one.picture_where(lambda p, w=wanted: far_apart(p, w) < JPEG, how)
            assert one.depth is None
            assert one.own[OVER]["visible"] is False
        other.read_for(0.2)
        assert OVER not in other.own
        assert other.nodes[OVER]["visible"] is not False
        one.choose("Drawn by", "browser")
        one.until(lambda: OVER not in one.own, "overlays over splats")
        one.choose("Drawn by", "server")
        one.until(lambda: OVER in one.own, "the comparison again")
        one.choose("Compare", "off")
        one.until(lambda: OVER not in one.own, "the overlays")
        assert f"{OVER}/boxes" in one.nodes


@pytest.mark.parametrize(
    ("how", "x", "y", "id"),
    [
        # The near car is at (0.5, 0.56) of the recorded picture, the walker at (0.28, 0.53); 320 x 180 is the
        # browser's shape, so that only side by side has bars: a quarter of the height above and below.
        ("wipe", 0.5, 0.56, "near"),
        ("error", 0.28, 0.53, "walker"),
        ("side by side", 0.25, 0.53, "near"),
        ("side by side", 0.75, 0.53, "near"),
        ("side by side", 0.64, 0.515, "walker"),
        ("side by side", 0.5, 0.56, None),
        ("side by side", 0.25, 0.2, None),
    ],
)
def test_a_click_in_a_comparison_picks_what_is_there(
    viewer: Viewer, how: str, x: float, y: float, id: str | None
):
    other = "far"
    with SocketClient(viewer.address) as client:
        at_the_start(viewer, client)
        client.choose("Compare", how)
        wanted = compared(viewer, how)
        client.picture_where(lambda p: far_apart(p, wanted) < JPEG, how)
        viewer.objects.choose(other)
        client.click(x, y)
        wait_for(lambda: viewer.objects.chosen != other, "the click")
        assert viewer.objects.chosen == id


def test_places_are_not_clicked_in_a_comparison(viewer: Viewer):
    with SocketClient(viewer.address) as client:
        at_the_start(viewer, client)
        client.choose("Clicks are places", True)
        client.choose("Compare", "wipe")
        client.until(lambda: OVER in client.own, "the comparison")
        client.click(0.5, 0.9)
        client.until(lambda: client.notifications, "why not")
        assert "switch 'Compare' off first" in client.notifications[-1][1]
        assert "/overlays/waypoints" not in client.nodes


def test_a_saved_picture_is_the_comparison_that_is_shown(viewer: Viewer, tmp_path: Path):
    with SocketClient(viewer.address) as client:
        at_the_start(viewer, client)
        client.choose("Compare", "side by side")
        wanted = compared(viewer, "side by side")
        client.picture_where(lambda p: far_apart(p, wanted) < JPEG, "the comparison")
        client.press("Picture (PNG)")
        client.until(lambda: client.notifications, "word of the file")
    (saved,) = (tmp_path / "run" / "viewer" / "pictures").iterdir()
    assert saved.name == "side-by-side-0.00s.png"
    np.testing.assert_array_equal(np.asarray(Image.open(saved)), wanted)


def test_a_path_s_file_is_not_overwritten_by_another_path(viewer: Viewer, tmp_path: Path):
    paths = tmp_path / "run" / "viewer" / "paths"
    with SocketClient(viewer.address) as client:
        at_the_start(viewer, client)

        def save() -> tuple[str, str]:
            said = len(client.notifications)
            client.press("Save path")
            client.until(lambda: len(client.notifications) > said, "word of the file")
            return client.notifications[-1]

        for count in (1, 2):
            client.press("Add this view")
            client.until(lambda c=count: len(viewer.takeaway.recorder.keyframes) == c, "the keyframe")
            if count == 1:
                assert save() == ("Saved", str(paths / "path.toml"))
                first = (paths / "path.toml").read_text()
                assert save() == ("Saved", str(paths / "path.toml")), "the same is not written again"
        assert save() == ("Saved under a free name", str(paths / "path-2.toml"))
    assert (paths / "path.toml").read_text() == first
    assert sorted(path.name for path in paths.iterdir()) == ["path-2.toml", "path.toml"]


def test_the_chosen_object_is_marked_for_everybody_and_has_level_handles(viewer: Viewer):
    place = f"{OVER}/chosen"
    with SocketClient(viewer.address) as one, SocketClient(viewer.address) as other:
        for client in (one, other):
            at_the_start(viewer, client)
        one.choose("Object", "walker")
        for client in (one, other):
            client.until(lambda c=client: c.nodes.get(place, {}).get("position") is not None, "the mark")
            client.until(lambda c=client: np.allclose(c.nodes[place]["position"], [9, 3, 0.9]), "its place")
            client.until(lambda c=client: f"{OVER}/handles/up" in c.nodes, "handles")
            edges = client.nodes[f"{place}/edges"]["points"].reshape(-1, 3)
            np.testing.assert_allclose(np.ptp(edges[:-8], axis=0)[1:], [0.66, 1.86], atol=1e-5)
            ground, up = (client.nodes[f"{OVER}/handles/{name}"] for name in ("ground", "up"))
            assert list(ground["active_axes"]) == [True, True, False]
            assert list(up["active_axes"]) == [False, False, True]
            assert not ground["depth_test"]
        one.choose("Time [s]", 0.4)
        other.until(lambda: np.allclose(other.nodes[place]["position"], [9.6, 3, 0.9], atol=0.02), "its way")
        one.choose("Object", "none")
        for client in (one, other):
            client.until(lambda c=client: c.nodes[place].get("visible") is False, "no mark")
            client.until(lambda c=client: c.nodes[f"{OVER}/handles/up"]["visible"] is False, "no handles")


def test_dragging_a_handle_takes_the_mark_along_and_letting_go_moves_the_object(
    viewer: Viewer, tmp_path: Path
):
    name, mark = f"{OVER}/handles/ground", f"{OVER}/chosen"
    edits = tmp_path / "run" / "viewer" / "edits.toml"
    with SocketClient(viewer.address) as one, SocketClient(viewer.address) as other:
        for client in (one, other):
            at_the_start(viewer, client)
        one.choose("Object", "near")
        one.until(lambda: f"{OVER}/handles/up" in one.nodes, "handles")
        turn = [float(np.cos(np.pi / 8)), 0.0, 0.0, float(np.sin(np.pi / 8))]  # by 45 degrees
        one.send("TransformControlsDragStartMessage", name=name, owner="")
        one.send(
            "TransformControlsUpdateMessage", name=name, wxyz=turn, position=[13.0, -2.0, 0.75], owner=""
        )
        for node in (mark, f"{OVER}/handles/up"):
            other.until(
                lambda n=node: np.allclose(other.nodes.get(n, {}).get("position", 0), [13, -2, 0.75]),
                f"{node} follows",
            )
        assert not edits.exists(), "nothing is edited until the handle is let go"
        one.send("TransformControlsDragEndMessage", name=name, owner="")
        wait_for(edits.exists, "the edit list")
        pose = viewer.shown.object("near").world_from_actor
        np.testing.assert_allclose(pose[:3, 3], [13, -2, 0.75], atol=2e-3)
        assert np.degrees(np.arctan2(pose[1, 0], pose[0, 0])) == pytest.approx(45, abs=0.01)
        lines = box_lines(viewer.shown.object("near"))
        told = f"{OVER}/boxes"
        other.until(
            lambda: (
                np.isclose(other.nodes[told]["points"].reshape(-1, 3), lines[0, 0], atol=1e-4)
                .all(axis=1)
                .any()
            ),
            "boxes that follow",
        )


def test_the_sky_of_splats_stays_around_the_camera_and_goes_with_its_node(viewer: Viewer):
    with SocketClient(viewer.address) as client:
        at_the_start(viewer, client)
        client.choose("Drawn by", "browser")
        client.until(lambda: "/sky/splats" in client.own, "the sky")
        moved = street_eye(viewer.shown).world_from_cam.copy()
        moved[:3, 3] += [FOLLOWS_AFTER_M + 20, 0, 0]
        client.look(moved)
        client.until(
            lambda: np.allclose(client.own["/sky"].get("position", 0), moved[:3, 3]), "its new place"
        )
        client.choose("sky", False)
        client.until(lambda: "/sky/splats" not in client.own, "no sky")
        client.choose("sky", True)
        client.until(lambda: "/sky/splats" in client.own, "the sky again")
