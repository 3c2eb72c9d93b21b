"""What pictures of the scene show: kinds, comparisons, thumbnails, films; and how large they are."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gsrecon.data.video import extract_pictures
from gsrecon.evaluation.path_file import read_path_file
from gsrecon.geometry.rigid import rotmat_to_quat
from gsrecon.scene.graph import SceneGraph
from gsrecon_viewer.comparing import (
    COMPARISONS,
    captioned,
    compare,
    letterboxed,
    place_in_frame,
    recorded_picture,
)
from gsrecon_viewer.lens import Eye, pose_of, wxyz_of
from gsrecon_viewer.pace import MOVING_S, SCALES, Pace
from gsrecon_viewer.painter import FARTHEST_M, KINDS, colour_of, depth_colours, id_colours, object_at, paint
from gsrecon_viewer.path_recorder import PathRecorder, render_film
from gsrecon_viewer.shown import Shown, modelled_objects
from gsrecon_viewer.thumbnails import HEIGHT, WIDTH, as_html, thumbnail
from tests.labels.street import street_log
from tests.viewer.looking import far_apart, regions, street_eye
from tests.viewer.painted_street import COLOURS, GROUND, SKY, painted_street


def test_every_kind_of_picture_is_as_large_as_it_was_asked_for(street_shown: Shown):
    eye = street_eye(street_shown)
    for kind in KINDS:
        picture = paint(street_shown, eye, kind)
        assert picture.shape == (90, 160, 3)
        assert picture.dtype == np.uint8


def test_colours_are_those_of_the_scene(street_shown: Shown):
    told = regions(paint(street_shown, street_eye(street_shown), "colours"))
    np.testing.assert_allclose(told[0, 4], np.array(SKY) * 255, atol=4)
    np.testing.assert_allclose(told[5, 4], np.array(GROUND) * 255, atol=8)


def test_alpha_is_white_where_gaussians_are_and_black_in_the_sky(street_shown: Shown):
    told = regions(paint(street_shown, street_eye(street_shown), "alpha"))
    assert told[0].max() < 5
    assert told[5].min() > 240


def test_near_is_warm_and_far_is_cool_and_where_nothing_is_it_is_black():
    colours = depth_colours(np.array([[0.0, 0.01, 5.0, 20.0, FARTHEST_M, 1e6]], dtype=np.float32))[0]
    assert colours[0].tolist() == [0, 0, 0]
    assert colours[1, 0] > 200 > colours[1, 2], "near is yellow"
    assert (np.diff(colours[1:5].sum(axis=1).astype(int)) < 0).all(), "the farther, the darker"
    assert colours[4].tolist() == [15, 15, 60] == colours[5].tolist()


def test_numbers_of_an_id_picture_get_the_colours_of_their_names():
    picture = np.array([[-1, 0, 1, 2]], dtype=np.int32)
    colours = id_colours(picture, ["a", "b"])[0]
    assert colours[0].tolist() == [0, 0, 0]
    assert colours[1].tolist() == [56, 56, 60]
    assert colours[2].tolist() == list(colour_of("a"))
    assert colours[3].tolist() == list(colour_of("b"))
    by_class = id_colours(picture, ["a", "b"], {"a": "car", "b": "car"})[0]
    assert by_class[2].tolist() == by_class[3].tolist() == list(colour_of("car"))


def test_the_picture_of_objects_and_the_pick_name_what_is_there(street_shown: Shown):
    eye = street_eye(street_shown, size=(320, 180))
    colours, objects = paint(street_shown, eye, "colours"), paint(street_shown, eye, "objects")
    for id in ("near", "walker", "far"):
        there = (np.abs(colours.astype(int) - np.array(COLOURS[id]) * 255) < 30).all(axis=2)
        assert there.sum() > 20, f"{id} is to be seen"
        assert (objects[there] == colour_of(id)).all(axis=1).mean() > 0.9
        rows, columns = np.nonzero(there)
        middle = np.argmin(np.hypot(rows - rows.mean(), columns - columns.mean()))
        x, y = (columns[middle] + 0.5) / 320, (rows[middle] + 0.5) / 180
        assert object_at(street_shown, eye, x, y) == id
    assert object_at(street_shown, eye, 0.5, 0.99) is None, "the road is nobody's"
    assert object_at(street_shown, eye, 0.5, 0.0) is None, "nor is the sky"
    assert object_at(street_shown, eye, 1.0, 1.0) is None, "the last corner is a pixel, too"


def test_another_moment_can_be_painted_without_showing_it(street_shown: Shown):
    eye, before = street_eye(street_shown), street_shown.time_s
    later = paint(street_shown, eye, "colours", time_s=0.5)
    assert street_shown.time_s == before
    assert np.abs(later.astype(int) - paint(street_shown, eye, "colours")).max() > 50
    street_shown.time_s = 0.5
    np.testing.assert_array_equal(later, paint(street_shown, eye, "colours"))
    street_shown.time_s = before


def test_a_recording_and_the_scene_stand_side_by_side(street_shown: Shown):
    frame = street_shown.nearest_frame("front")
    assert frame is not None
    both = compare(street_shown, frame, "side by side")
    assert both is not None
    assert both.shape == (180, 640, 3)
    assert (both[:, :320] == 120).all(), "the recording is grey"
    np.testing.assert_allclose(regions(both[:, 320:])[0, 4], np.array(SKY) * 255, atol=4)


@pytest.mark.parametrize(("wipe", "grey"), [(0.0, 0), (0.25, 79), (1.0, 319)])
def test_the_wipe_shows_the_recording_left_of_it(street_shown: Shown, wipe: float, grey: int):
    frame = street_shown.nearest_frame("front")
    assert frame is not None
    mixed = compare(street_shown, frame, "wipe", wipe)
    assert mixed is not None
    assert mixed.shape == (180, 320, 3)
    assert (mixed[:, :grey] == 120).all()
    if wipe < 1:
        assert (mixed[0, grey + 2 :] != 120).any(axis=1).all(), "the sky is not grey"


def test_the_error_is_dark_where_both_agree_and_red_where_they_do_not(street_shown: Shown):
    frame = street_shown.nearest_frame("front")
    assert frame is not None
    told = regions(compare(street_shown, frame, "error"))
    sky, road = told[0, 4], told[5, 4]
    assert sky[0] > sky[2] + 30, "the sky is not grey"
    assert road[0] < sky[0], "the road nearly is"


def test_without_the_recording_there_is_no_comparison(street_shown: Shown):
    alone = Shown(street_shown.scene)
    frame = alone.nearest_frame("front")
    assert frame is not None
    assert recorded_picture(alone, frame) is None
    assert all(compare(alone, frame, how) is None for how in COMPARISONS)


@pytest.mark.parametrize(("aspect", "shape"), [(2.0, (100, 200)), (4.0, (100, 400)), (1.0, (200, 200))])
def test_letterboxes_keep_the_picture_in_their_middle(aspect: float, shape: tuple[int, int]):
    picture = np.full((100, 200, 3), 200, np.uint8)
    boxed = letterboxed(picture, aspect)
    assert boxed.shape[:2] == shape
    assert boxed.sum() == picture.sum()
    middle = boxed[shape[0] // 2 - 50 : shape[0] // 2 + 50, shape[1] // 2 - 100 : shape[1] // 2 + 100]
    np.testing.assert_array_equal(middle, picture)


@pytest.mark.parametrize(
    ("how", "aspect", "place", "wanted"),
    [
        ("wipe", 2.0, (0.25, 0.75), (0.25, 0.75)),
        ("error", 4.0, (0.5, 0.5), (0.5, 0.5)),  # bars of a quarter of the width on both sides
        ("wipe", 4.0, (0.26, 0.5), (0.02, 0.5)),
        ("wipe", 4.0, (0.24, 0.5), None),
        ("wipe", 4.0, (0.76, 0.5), None),
        ("side by side", 4.0, (0.25, 0.5), (0.5, 0.5)),
        ("side by side", 4.0, (0.75, 0.5), (0.5, 0.5)),
        ("side by side", 2.0, (0.1, 0.3), (0.2, 0.1)),  # bars of a quarter of the height above and below
        ("side by side", 2.0, (0.1, 0.2), None),
        ("side by side", 2.0, (0.1, 0.8), None),
    ],
)
def test_places_of_a_comparison_are_places_of_the_recorded_picture(how, aspect, place, wanted):
    found = place_in_frame(how, 200, 100, aspect, *place)
    if wanted is None:
        assert found is None
    else:
        assert found == pytest.approx(wanted, abs=1e-9)


def test_a_comparison_says_which_picture_is_which():
    picture = np.full((180, 640, 3), 120, np.uint8)
    for how, columns in (("side by side", (0, 320)), ("wipe", (0, 540)), ("error", (0,))):
        changed = (captioned(picture, how) != 120).any(axis=2)
        assert not changed[40:].any(), "above, where the sky is"
        for column in columns:
            assert changed[:40, column : column + 100].any()
        assert not changed[:, :4].any()
        assert not changed[:, -4:].any(), "nothing is cut"
    assert (picture == 120).all(), "the picture itself is left alone"


def test_a_thumbnail_shows_its_object_and_nothing_else(street_shown: Shown):
    found = modelled_objects(street_shown.scene)
    assert set(found) == set(COLOURS)
    for id, colour in COLOURS.items():
        picture = thumbnail(*found[id])
        assert picture.shape == (HEIGHT, WIDTH, 3)
        np.testing.assert_allclose(picture[HEIGHT // 2, WIDTH // 2], np.array(colour) * 255, atol=12)
        assert (picture[:4, :4] == picture[0, 0]).all(), "behind it is plain grey"
        assert picture[0, 0].max() - picture[0, 0].min() == 0


def test_a_thumbnail_travels_inside_its_html():
    picture = np.full((HEIGHT, WIDTH, 3), (200, 30, 30), np.uint8)
    html = as_html(picture)
    content = html.split("base64,")[1].split('"')[0]
    told = np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))
    assert far_apart(told, picture) < 4


def test_a_film_of_a_recorded_path_has_all_its_pictures(street_shown: Shown, tmp_path: Path):
    recorder = PathRecorder()
    recorder.seconds_apart = 0.4
    recorder.add(street_eye(street_shown), 0.0)
    recorder.add(street_eye(street_shown, left_m=1.0), 0.3)
    recorder.add(street_eye(street_shown), 0.1)
    path = read_path_file(recorder.save(tmp_path / "paths" / "p.toml"))
    assert len(path) == 21, "twice 0.4 s at 25 pictures a second, both ends included"
    np.testing.assert_allclose(path.times_s[[0, 10, 20]].numpy(), [0.0, 0.3, 0.1], atol=1e-6)
    done: list[float] = []
    target = render_film(
        street_shown, path, tmp_path / "films" / "f.mp4", (81, 45), 0.8, "colours", done.append
    )
    assert done[-1] == 1.0
    assert len(done) == 21
    pictures = extract_pictures(target, tmp_path, 25.0)
    assert len(pictures) == 21
    first = np.asarray(Image.open(pictures[0][0]))
    assert first.shape == (44, 80, 3)
    wanted = paint(street_shown, Eye(path.world_from_cam[0].numpy(), 0.8, 80, 44), "colours", time_s=0.0)
    assert far_apart(first, wanted) < 12


def test_a_path_without_keyframes_is_not_saved(tmp_path: Path):
    with pytest.raises(ValueError, match="there is no keyframe yet"):
        PathRecorder().save(tmp_path / "p.toml")
    assert not list(tmp_path.iterdir())


def test_hidden_parts_are_missing_in_pictures_and_come_back():
    log = street_log()
    shown = Shown(painted_street(log), log)
    eye = street_eye(shown)
    whole = paint(shown, eye, "colours")
    shown.hide_nodes(frozenset({"sky"}))
    assert regions(paint(shown, eye, "colours"))[0].max() < 3
    shown.hide_nodes(frozenset({"actors"}))
    red = np.array(COLOURS["near"]) * 255
    assert (np.abs(whole - red) < 20).all(axis=2).any()
    assert not (np.abs(paint(shown, eye, "colours") - red) < 20).all(axis=2).any()
    shown.hide_nodes(frozenset())
    np.testing.assert_array_equal(paint(shown, eye, "colours"), whole)


def test_still_pictures_are_whole_whatever_they_cost():
    pace = Pace()
    pace.drawn(100, 50.0)
    assert pace.scale(1_000_000, moving=False) == 1.0


def test_moving_pictures_are_as_large_as_fits_the_time():
    pace = Pace()
    assert pace.scale(10**6, moving=True) == 0.5, "nothing is known yet"
    pace.drawn(10**6, MOVING_S)
    assert pace.scale(10**6, moving=True) == 1.0
    assert pace.scale(4 * 10**6, moving=True) == 0.5
    assert pace.scale(10**9, moving=True) == SCALES[-1], "never smaller than the smallest"


def test_pace_learns_that_pictures_have_become_dearer():
    pace = Pace()
    pace.drawn(10**6, MOVING_S)
    for _ in range(100):
        pace.drawn(10**6, 5 * MOVING_S)
    assert pace.scale(10**6, moving=True) == 0.375  # 0.44 is where a fifth of the pixels remains


def test_pixels_are_not_saved_where_the_scene_itself_is_what_takes_the_time():
    pace = Pace()
    for _ in range(3):
        for scale in SCALES:
            pace.drawn(round(10**6 * scale**2), 0.1 + 0.01 * scale**2)
    assert pace.seconds(0) == pytest.approx(0.1, rel=0.01)
    assert pace.scale(10**6, moving=True) == 1.0, "a small one would take as long"
    for _ in range(100):
        pace.drawn(10**6, 0.11)
    assert pace.scale(10**6, moving=True) == 1.0, "which is not forgotten while the size stays"


def test_poses_survive_the_way_to_viser_and_back(generator: torch.Generator):
    rotation = torch.linalg.qr(torch.randn(3, 3, generator=generator, dtype=torch.float64))[0]
    rotation = rotation * torch.linalg.det(rotation)
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation.numpy(), [1.0, -2.0, 3.0]
    np.testing.assert_allclose(pose_of(np.array(wxyz_of(pose)), pose[:3, 3]), pose, atol=1e-12)
    assert abs(np.dot(wxyz_of(pose), rotmat_to_quat(rotation).numpy())) == pytest.approx(1.0)


def test_the_field_of_view_is_the_vertical_one():
    cameras = Eye(np.eye(4), 2 * np.arctan(0.5), 200, 100).cameras()
    assert cameras.Ks[0, 0, 0] == pytest.approx(100.0), "half the height is seen at half the distance"
    assert cameras.Ks[0, 1, 1] == pytest.approx(100.0)
    assert cameras.Ks[0, :2, 2].tolist() == [100.0, 50.0]
    assert Eye(np.eye(4), 1.0, 200, 100).scaled(0.01).width == 16, "never next to nothing"


def test_a_scene_without_a_drive_is_shown_at_time_zero():
    log = street_log()
    scene = painted_street(log)
    bare = SceneGraph([scene["background"]])
    shown = Shown(bare)
    assert shown.span_s == (0.0, 0.0)
    assert shown.objects() == []
    shown.time_s = 5.0
    assert shown.time_s == 0.0
    assert paint(shown, street_eye(Shown(scene, log)), "colours").max() > 0
