"""What is drawn over the scene in a real browser: hidden, covered, marked, dragged; rides; saved as seen."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gsrecon.scene.edits import EditHistory
from gsrecon_viewer.comparing import captioned, compare, letterboxed
from gsrecon_viewer.painter import colour_of
from gsrecon_viewer.riding import Ride, ridden_pose
from tests.viewer.chromium_tab import CLOSE, NEEDS_CHROMIUM, Tab
from tests.viewer.looking import agreeing, centre_of, count_of, far_apart, regions, rgb
from tests.viewer.painted_street import COLOURS, SKY

pytestmark = NEEDS_CHROMIUM
RED = rgb(COLOURS["near"])
MARK = np.array([228.0, 214.0, 106.0])
"""The mark's yellow as browsers show it, whose tones are a little compressed."""


def box_pixels(picture: np.ndarray, around: np.ndarray) -> int:
    """Pixels of a car's box within the near car's middle, where its own box has no lines."""
    x, y = around.astype(int)
    return count_of(picture[y - 12 : y + 12, x - 25 : x + 25], np.array(colour_of("car")))


def compared(tab: Tab, how: str) -> np.ndarray:
    """What the tab should show of a comparison."""
    both = compare(tab.viewer.shown, tab.viewer.shown.nearest_frame("front"), how)
    eye = tab.view.eye()
    return letterboxed(captioned(both, how), eye.width / eye.height)


def test_boxes_are_hidden_by_what_is_in_front_of_them_unless_they_show_through(tab):
    first = tab()
    opaque = first.shows("hidden")
    middle = centre_of(opaque, RED)
    first.seen_where(lambda p: box_pixels(p, middle) == 0, "hidden")
    first.page.get_by_label("Show through", exact=True).check()
    through = first.seen_where(lambda p: box_pixels(p, middle) > 10, "through")
    assert agreeing(through, first.wanted(), CLOSE) > 0.7
    first.page.get_by_label("Show through", exact=True).uncheck()
    first.seen_where(lambda p: box_pixels(p, middle) == 0, "hidden again")


def test_a_comparison_shows_nothing_but_itself_and_the_overlays_come_back(tab):
    one, other = tab(), tab()
    with_boxes = other.shows("other before")
    assert far_apart(with_boxes, other.wanted()) > CLOSE, "boxes and labels"
    for how in ("side by side", "wipe", "error"):
        one.choose("Compare", how)
        wanted = compared(one, how)
        one.seen_where(lambda p, w=wanted: agreeing(p, w, 2 * CLOSE) == 1, how)
    assert far_apart(other.seen("other meanwhile"), with_boxes) < CLOSE
    one.choose("Compare", "off")
    back = one.shows("off")
    assert far_apart(back, one.wanted()) > CLOSE, "boxes and labels"


def test_a_click_in_a_comparison_chooses_what_is_under_it(tab):
    first = tab()
    first.shows("before")
    first.choose("Compare", "side by side")
    wanted = compared(first, "side by side")
    shown = first.seen_where(lambda p: agreeing(p, wanted, 2 * CLOSE) == 1, "compared")
    right = shown.copy()
    right[:, : right.shape[1] // 2] = 0
    x, y = centre_of(right, rgb(COLOURS["walker"]))
    first.page.mouse.click(x, y)
    first.until(lambda: first.viewer.objects.chosen == "walker", "the walker")


def test_the_chosen_object_is_marked_also_among_splats_of_the_browser(tab):
    one, other = tab(), tab()
    other.choose("Drawn by", "browser")
    before = other.seen_where(lambda p: count_of(p, RED) > 100, "none")
    one.page.get_by_role("tab", name="Objects").click()
    one.choose("Object", "near")
    x, y = centre_of(before, RED).astype(int)

    def mark(picture: np.ndarray) -> int:
        return count_of(picture[y - 70 : y + 70, x - 90 : x + 90], MARK)

    assert not mark(before)
    for tab_, name in ((one, "chosen"), (other, "chosen among splats")):
        picture = tab_.seen_where(lambda p: mark(p) > 150, name)
        assert count_of(picture, RED) > 100, "one still sees the car"


def test_handles_are_dragged_over_the_road_and_the_edit_list_and_the_boxes_follow(tab, tmp_path: Path):
    first = tab()
    first.shows("before")
    first.page.get_by_role("tab", name="Objects").click()
    first.choose("Object", "near")
    first.seen_where(lambda p: count_of(p, MARK) > 150, "chosen")
    edits = tmp_path / "run" / "viewer" / "edits.toml"
    # The arrow to the left begins at the middle of the car, and is two metres long.
    first.drag(first.place_of((12.0, 1.5, 0.75)), first.place_of((12.0, 3.0, 0.75)))
    first.until(edits.exists, "the edit list")
    moved = first.viewer.shown.object("near").world_from_actor[:3, 3]
    np.testing.assert_allclose(moved, [12, 1.5, 0.75], atol=0.2)
    (edit,) = EditHistory.open(edits).edits
    np.testing.assert_allclose(edit.by, moved - [12, 0, 0.75], atol=2e-3)
    wanted = first.place_of(moved - [2, 0, 0])  # one sees its back
    first.seen_where(lambda p: np.abs(centre_of(p, RED) - wanted).max() < 12, "dragged to the left")
    lines = first.viewer.overlays._handles["boxes"].points.reshape(-1, 3)
    assert np.any(np.abs(lines - (moved + np.array([-2, 0.9, 0.75]))).max(axis=1) < 1e-3), (
        "the box is around it"
    )
    up = np.array([0.0, 0.0, 1.0])
    # The upright arrow belongs to handles of its own, and has come along.
    first.drag(first.place_of(moved + 1.5 * up), first.place_of(moved + 2.5 * up))
    first.until(lambda: len(EditHistory.open(edits).edits) == 2, "the second edit")
    lifted = first.viewer.shown.object("near").world_from_actor[:3, 3]
    np.testing.assert_allclose(lifted, moved + up, atol=0.2)
    first.seen_where(
        lambda p: np.abs(centre_of(p, RED) - first.place_of(lifted - [2, 0, 0])).max() < 12, "lifted"
    )


@pytest.mark.parametrize(
    ("label", "value", "ride", "towards"),
    [
        ("Left [m]", 2.0, Ride("front", left_m=2.0), (1, 0)),
        ("Up [m]", 1.5, Ride("front", up_m=1.5), (0, 1)),
        ("Turn [deg]", 10.0, Ride("front", yaw_deg=10.0), (1, 0)),
    ],
)
def test_a_ride_beside_the_rig_shows_the_scene_from_there(
    tab, label: str, value: float, ride: Ride, towards: tuple[int, int]
):
    first = tab()
    first.choose("Camera", "front")
    before = first.shows("riding")
    first.fill(label, value)
    wanted = ridden_pose(first.viewer.shown, ride)
    first.until(lambda: np.allclose(first.view.eye().world_from_cam, wanted, atol=1e-4), "the offset")
    place = centre_of(first.wanted(), RED)
    after = first.seen_where(
        lambda p: agreeing(p, first.wanted(), CLOSE) > 0.7 and np.abs(centre_of(p, RED) - place).max() < 8,
        "beside",
    )
    moved = centre_of(after, RED) - centre_of(before, RED)
    assert moved @ towards > 20, "the car goes the other way"
    assert abs(moved @ towards[::-1]) < 12, "and no other"


def test_a_picture_with_boxes_is_what_the_browser_shows(tab, tmp_path: Path):
    first = tab()
    first.shows("before")
    first.page.get_by_role("tab", name="Export").click()
    first.page.get_by_label("With boxes", exact=True).check()
    first.page.get_by_role("button", name="Picture (PNG)").click()
    first.page.get_by_text("Saved", exact=True).wait_for()
    (saved,) = (tmp_path / "run" / "viewer" / "pictures").iterdir()
    picture = np.asarray(Image.open(saved))
    height = first.view.client.camera.image_height
    assert picture.shape == (height, first.view.client.camera.image_width, 3)
    assert far_apart(picture, first.wanted()) > CLOSE, "boxes and labels"
    assert agreeing(picture, first.wanted(), CLOSE) > 0.7


def test_a_picture_of_the_browser_s_splats_has_their_sky_and_no_boxes(tab, tmp_path: Path):
    first = tab()
    first.shows("before")
    first.choose("Drawn by", "browser")
    first.seen_where(
        lambda p: np.abs(regions(p)[0, 3] - rgb(SKY)).max() < CLOSE and count_of(p, RED) > 100, "splats"
    )
    first.page.get_by_role("tab", name="Export").click()
    first.page.get_by_role("button", name="Picture (PNG)").click()
    first.page.get_by_text("Saved", exact=True).wait_for()
    (saved,) = (tmp_path / "run" / "viewer" / "pictures").iterdir()
    picture = np.asarray(Image.open(saved))
    assert agreeing(picture, first.wanted(), 2 * CLOSE) > 0.9
    assert not count_of(picture, np.array([255, 255, 255])), "labels are white"
    first.seen_where(lambda p: count_of(p, np.array([255, 255, 255])) > 50, "labels still there")


def test_the_sky_of_splats_is_there_wherever_one_looks(tab):
    first = tab()
    first.page.get_by_label("Boxes", exact=True).uncheck()
    first.choose("Drawn by", "browser")
    first.choose("Camera", "front")
    first.fill("Up [m]", 8)
    for turn in (0, 120, -120):
        first.fill("Turn [deg]", turn)
        wanted = ridden_pose(first.viewer.shown, Ride("front", up_m=8.0, yaw_deg=turn))
        first.until(lambda w=wanted: np.allclose(first.view.eye().world_from_cam, w, atol=1e-4), "the turn")
        picture = first.wanted()
        assert np.abs(regions(picture)[0] - rgb(SKY)).max() < CLOSE, "there is sky to be seen"
        first.seen_where(lambda p, w=picture: agreeing(p, w, 2 * CLOSE) > 0.9, f"sky at {turn} degrees")
