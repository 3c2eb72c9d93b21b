"""The real app in a real browser without a screen; what it shows is judged by the colours of regions."""

from pathlib import Path

import numpy as np
from PIL import Image

from tests.viewer.chromium_tab import CLOSE, NEEDS_CHROMIUM
from tests.viewer.looking import centre_of, changed, count_of, far_apart, has_colour, regions, rgb
from tests.viewer.painted_street import COLOURS, GROUND, LEFT_WALL, RIGHT_WALL, SKY

pytestmark = NEEDS_CHROMIUM


def test_the_app_loads_and_shows_the_scene_from_where_the_drive_begins(tab):
    first = tab()
    told = regions(first.shows("loaded"))
    np.testing.assert_allclose(told[0, 3], rgb(SKY), atol=CLOSE)
    np.testing.assert_allclose(told[2, 0], rgb(LEFT_WALL), atol=CLOSE)
    np.testing.assert_allclose(told[2, 7], rgb(RIGHT_WALL), atol=CLOSE)
    np.testing.assert_allclose(told[5], np.tile(rgb(GROUND), (8, 1)), atol=CLOSE)
    start = first.viewer.shown.nearest_frame("front").world_from_cam[:3, 3]
    np.testing.assert_allclose(first.view.client.camera.position, start, atol=1e-3)


def test_the_app_plays_and_pauses(tab):
    first = tab()
    before = first.shows("before")
    first.page.get_by_label("Repeat", exact=True).uncheck()
    first.page.get_by_role("button", name="Play", exact=True).click()
    first.until(lambda: first.viewer.shown.time_s > 0.1, "time that runs")
    first.seen("playing")
    first.page.get_by_role("button", name="Play", exact=True).wait_for()
    paused = first.shows("paused")
    walked = centre_of(paused, rgb(COLOURS["walker"])) - centre_of(before, rgb(COLOURS["walker"]))
    assert walked[0] > 3, "the walker is on the left and goes away from here, towards the middle"


def test_layers_are_switched_on_and_off(tab):
    first = tab()
    with_boxes = first.shows("boxes")
    first.page.get_by_label("Boxes", exact=True).uncheck()
    wanted = first.wanted()
    # The boxes' lines are too thin for means of regions, and may go after their labels.
    bare = first.at_rest_where(lambda p: far_apart(p, wanted) < CLOSE, "no boxes")
    assert far_apart(with_boxes, wanted) > 2 * CLOSE, "labels are white"
    first.page.get_by_label("Lanes", exact=True).check()
    white = rgb((1, 1, 1))
    lanes = first.at_rest_where(lambda p: count_of(p, white) > count_of(bare, white) + 150, "lanes")
    new = changed(lanes, bare)
    height, width = new.shape
    assert not new[: height // 3].any(), "lanes lie on the road"
    assert new[:, : width // 2].sum() > 10 * new[:, width // 2 :].sum(), "on the left"


def test_depth_is_shown_in_colours(tab):
    first = tab()
    first.shows("colours")
    first.choose("Show", "depth")
    told = regions(first.shows("depth", "depth"))
    assert told[5, 3, 0] > told[1, 3, 0] + 100, "near is warm, far is cool"
    assert told[0, 3].max() < CLOSE, "the sky has no depth"


def test_the_browser_draws_the_splats_itself(tab):
    first = tab()
    first.page.get_by_label("Boxes", exact=True).uncheck()
    by_server = first.shows("server")
    first.choose("Drawn by", "browser")

    def drawn(picture: np.ndarray) -> bool:
        """Road and sky are where they were, and so are the objects, which come last."""
        told = regions(picture)
        sky, road = np.abs(told[0, 3] - rgb(SKY)).max(), np.abs(told[5] - rgb(GROUND)).max()
        there = all(has_colour(picture, rgb(COLOURS[id])) for id in ("near", "walker"))
        return bool(sky < CLOSE and road < 2 * CLOSE and there)

    picture = first.seen_where(drawn, "splats")
    for id in ("near", "walker"):
        apart = centre_of(picture, rgb(COLOURS[id])) - centre_of(by_server, rgb(COLOURS[id]))
        assert np.abs(apart).max() < 5, f"{id} is where the server draws it"
    first.choose("Drawn by", "server")
    first.shows("server again")


def test_a_picture_is_saved_as_it_is_seen(tab, tmp_path: Path):
    first = tab()
    first.shows("before")
    first.page.get_by_role("tab", name="Export").click()
    first.page.get_by_role("button", name="Picture (PNG)").click()
    first.page.get_by_text("Saved", exact=True).wait_for()
    first.seen("saved")
    (saved,) = (tmp_path / "run" / "viewer" / "pictures").iterdir()
    np.testing.assert_array_equal(np.asarray(Image.open(saved)), first.wanted())


def test_two_browsers_have_their_own_cameras_and_one_scene(tab):
    one, other = tab(), tab()
    other.choose("Camera", "front_left")
    assert far_apart(one.shows("ahead"), other.shows("aside")) > 2 * CLOSE
    one.page.get_by_text("Parts of the scene").click()
    one.page.get_by_label("sky", exact=True).uncheck()
    one.until(lambda: one.viewer.shown.hidden_nodes == {"sky"}, "a scene without sky")
    for tab_, name in ((one, "ahead without sky"), (other, "aside without sky")):
        assert regions(tab_.shows(name))[0, 3].max() < CLOSE
    other.page.get_by_text("Parts of the scene").click()
    assert not other.page.get_by_label("sky", exact=True).is_checked()


def test_an_actor_is_picked_and_moved_and_its_box_follows(tab):
    first = tab()
    red = rgb(COLOURS["near"])
    before = first.shows("before")
    x, y = centre_of(before, red)
    first.page.get_by_role("tab", name="Objects").click()
    first.page.mouse.click(x, y + 10)
    chosen = first.page.get_by_label("Object", exact=True)
    first.until(lambda: chosen.input_value() == "near", "the actor that was clicked")
    handles = first.seen_where(lambda p: np.abs(p.astype(int) - before).max(axis=2).max() > 100, "picked")
    assert (
        np.abs(handles.astype(int) - before)[int(y) - 60 : int(y) + 60, int(x) - 60 : int(x) + 60].max() > 100
    )
    aside = first.page.get_by_label("Forward, left, up [m]", exact=True).locator(
        "xpath=ancestor::*[contains(@class, 'Flex-root')][1]//input"
    )
    aside.nth(1).fill("-2")
    aside.nth(1).press("Enter")
    first.page.get_by_role("button", name="Move", exact=True).click()
    first.until(lambda: first.viewer.shown.object("near").world_from_actor[1, 3] < -1.9, "the move")
    first.seen_where(lambda p: centre_of(p, red)[0] > x + 40, "moved")  # two metres to the right
    first.shows("moved")
    lines = first.viewer.overlays._handles["boxes"].points
    assert np.any(np.abs(lines[..., 1] + 2.9) < 0.05), "the box's right side is where the car's is"
    first.page.get_by_role("button", name="Undo").click()
    first.until(lambda: first.viewer.shown.object("near").world_from_actor[1, 3] > -0.1, "the way back")
    first.seen_where(lambda p: np.abs(centre_of(p, red) - [x, y]).max() < 4, "undone")
