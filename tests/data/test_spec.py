"""Scene specs: the packaged ones parse, every mistake is named, drives open by name."""

from dataclasses import replace

import numpy as np
import pytest

from gsrecon.data.folder import write_folder
from gsrecon.data.selection import FrameRange
from gsrecon.data.spec import (
    SceneSpec,
    TestSplit,
    find_spec,
    open_drive,
    parse_spec,
    read_spec,
    scene_folder,
    spec_to_table,
)
from gsrecon.errors import SpecError


@pytest.mark.parametrize("path", sorted(scene_folder().glob("*.toml")), ids=lambda path: path.stem)
def test_every_packaged_spec_parses_and_says_what_it_is(path):
    spec = find_spec(path.stem)
    assert spec.name == path.stem
    assert spec.description
    assert parse_spec(spec_to_table(spec), "x", "x") == spec


def test_kitti_0001_holds_out_frames_2_6_10_of_both_cameras(shared_data):
    folder = shared_data / "kitti_raw/2011_09_26/2011_09_26_drive_0001_sync"
    log, spec = open_drive("kitti-0001", data=folder)
    held_out = spec.test_frames(log)
    assert [frame.index for frame in held_out[:4]] == [2, 2, 6, 6]
    assert len(held_out) == 36
    assert len(spec.train_frames(log)) == 108


def test_a_spec_without_its_data_says_what_to_give():
    with pytest.raises(
        SpecError, match=r"kitti-0001: the recording's folder is missing; give it as --data PATH \("
    ):
        open_drive("kitti-0001")


def test_data_given_to_a_drive_that_names_its_folder_is_refused():
    with pytest.raises(SpecError, match="leave --data out"):
        open_drive("folder:here", data="there")


def test_drives_open_by_kind_and_path_with_selection_and_scale(log, tmp_path):
    folder = write_folder(log, tmp_path / "drive")
    whole, spec = open_drive(f"folder:{folder}")
    assert spec == SceneSpec(name="drive", drive=f"folder:{folder}")
    assert len(whole.frames) == 6
    path = tmp_path / "part.toml"
    path.write_text(
        f"drive = 'folder:{folder}'\ncameras = ['right']\nstart = 1\nimage_scale = 0.5\n"
        "[test]\nevery = 2\noffset = 0\n"
    )
    part, spec = open_drive(str(path))
    assert [(f.camera, f.index) for f in part.frames] == [("right", 1), ("right", 2)]
    assert part.image(part.frames[0]).shape == (4, 6, 3)
    assert [frame.index for frame in spec.test_frames(part)] == [2]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("colour = 1", r"s\.toml: the key colour is unknown; allowed are name, drive, "),
        (
            "test = {evry = 4}",
            r"s\.toml: the key test\.evry is unknown; allowed are test\.every, test\.offset, test\.counted",
        ),
        ("scene = 'scene-0061'", r"scene: only a drive = .nuscenes:PATH. has scenes, got 'folder:x'"),
        ("start = 1\nstart_keyframe = 2", r"start_keyframe: expected at least 0, and no start beside it"),
        ("limit = 0", r"limit: expected at least 1, got 0"),
        ("image_crop = [4]", r"image_crop: expected \[width, height\], got \[4\]"),
        ("image_crop = [4, 0]", r"image_crop: expected at least 1 x 1, got \[4, 0\]"),
        ("image_crop = ['a', 'b']", r"image_crop: expected \[width, height\], got"),
        ("test = {counted = 'all'}", r"test\.counted: expected .recording. or .selection., got 'all'"),
        ("stride = 'two'", r"s\.toml: stride: expected a whole number, got 'two'; correct that line"),
        ("stride = true", r"stride: expected a whole number, got True"),
        ("cameras = [1]", r"cameras: expected a list of camera names"),
        ("stride = 0", r"stride: expected at least 1, got 0"),
        ("image_scale = 2", r"image_scale: expected above 0 and at most 1, got 2.0"),
        ("test = {every = 4, offset = 4}", r"test\.offset: expected 0 to test\.every - 1 \(3\), got 4"),
        ("start = 5\nstop = 5", r"stop: expected above start \(5\), got 5"),
        ("toy = {seed = 1}", r"toy: only a drive = \"toy\" has these settings"),
        ("start = ", r"s\.toml: the scene spec is no valid TOML .*line 2"),
    ],
)
def test_each_mistake_names_file_key_and_what_is_allowed(tmp_path, line, sentence):
    path = tmp_path / "s.toml"
    path.write_text(f"drive = 'folder:x'\n{line}\n")
    with pytest.raises(SpecError, match=sentence):
        read_spec(path)


def test_unknown_names_drives_and_cameras_list_what_there_is(log, tmp_path):
    with pytest.raises(SpecError, match=r"nowhere: no such scene; give one of kitti-0001, .*, toy"):
        find_spec("nowhere")
    with pytest.raises(SpecError, match=r"gone\.toml: there is no such scene spec"):
        find_spec("gone.toml")
    with pytest.raises(SpecError, match=r"drive: expected one of kitti:PATH"):
        parse_spec({"drive": "waymo:x"}, "s", "s.toml")
    with pytest.raises(SpecError, match="the key drive is missing"):
        parse_spec({}, "s", "s.toml")
    folder = write_folder(log, tmp_path / "drive")
    with pytest.raises(SpecError, match="cameras: the drive has no rear; it has left, right"):
        open_drive(SceneSpec(name="s", drive=f"folder:{folder}", cameras=("rear",)))
    with pytest.raises(SpecError, match="select no frame of the drive's 3"):
        open_drive(SceneSpec(name="s", drive=f"folder:{folder}", start=7))


@pytest.mark.parametrize("name", ["toy:street", "kitti:", "folder:", "nuscenes:"])
def test_a_drive_has_a_path_unless_it_is_the_toy(name):
    with pytest.raises(SpecError, match=f"{name}: expected one of kitti:PATH, .*, toy; correct"):
        find_spec(name)


def test_a_split_of_period_zero_holds_nothing_out():
    assert not any(TestSplit(every=0).holds_out(i) for i in range(20))
    assert [i for i in range(10) if TestSplit(4, 2).holds_out(i)] == [2, 6]


def keyed(log, keys):
    """The noise drive with the key frames of its two cameras numbered."""
    frames = [replace(frame, key_frame=keys[frame.camera][frame.index]) for frame in log.frames]
    return replace(log, frames=tuple(frames))


def test_every_camera_starts_at_its_own_frame_of_the_key_frame_and_runs_for_the_limit(log):
    drive = keyed(log, {"left": (0, None, 1), "right": (0, 1, None)})
    chosen = FrameRange(start_keyframe=1).of(drive, None, "s")
    assert {(f.camera, f.index) for f in chosen.frames} == {("left", 2), ("right", 1), ("right", 2)}
    limited = FrameRange(start_keyframe=1, limit=1).of(drive, None, "s")
    assert {(f.camera, f.index) for f in limited.frames} == {("left", 2), ("right", 1)}
    with pytest.raises(SpecError, match="s: start_keyframe: left has 2 key frames, so none is number 2"):
        FrameRange(start_keyframe=2).of(drive, None, "s")
    with pytest.raises(SpecError, match="left has 0 key frames"):
        FrameRange(start_keyframe=0).of(log, None, "s")


def test_a_stride_counts_from_the_first_chosen_frame_and_a_limit_counts_what_is_left(log):
    assert [f.index for f in FrameRange(start=1, stride=2).of(log, ["left"], "s").frames] == [1]
    assert [f.index for f in FrameRange(stride=2, limit=2).of(log, ["left"], "s").frames] == [0, 2]


def test_a_split_of_the_selection_counts_pictures_camera_by_camera(log):
    spec = SceneSpec(name="s", drive="toy", test=TestSplit(every=2, offset=0, counted="selection"))
    part = FrameRange(start=1).of(log, ["right", "left"], "s")
    # Listed: right 1, right 2, left 1, left 2; numbers 0 and 2 are held out.
    assert {(f.camera, f.index) for f in spec.test_frames(part)} == {("right", 1), ("left", 1)}
    assert {(f.camera, f.index) for f in spec.train_frames(part)} == {("right", 2), ("left", 2)}


def test_of_240_pictures_listed_camera_by_camera_each_camera_holds_out_every_fourth_of_its_40(log):
    cameras = {f"c{k}": replace(log.cameras["left"], name=f"c{k}") for k in range(6)}
    frames = [
        replace(log.frames[0], camera=name, index=120 + k + i, timestamp_us=1000 * i + k)
        for k, name in enumerate(cameras)
        for i in range(40)
    ]
    drive = replace(log, cameras=cameras, frames=tuple(frames))
    held_out = TestSplit(every=4, offset=0, counted="selection").test_frames(drive)
    assert len(held_out) == 60
    for k, name in enumerate(cameras):
        assert [f.index - 120 - k for f in held_out if f.camera == name] == list(range(0, 40, 4))


def test_a_scene_is_named_after_the_path_or_by_its_own_key_but_once(tmp_path):
    direct = find_spec("nuscenes:data/nuscenes#scene-0061")
    assert direct == SceneSpec(name="scene-0061", drive="nuscenes:data/nuscenes", scene="scene-0061")
    in_file = parse_spec({"drive": "nuscenes:x#scene-0061"}, "s", "s.toml")
    assert (in_file.drive, in_file.scene) == ("nuscenes:x", "scene-0061")
    with pytest.raises(SpecError, match="scene: drive already names scene-0061, got 'scene-0103'"):
        parse_spec({"drive": "nuscenes:x#scene-0061", "scene": "scene-0103"}, "s", "s.toml")
    odd = tmp_path / "disk#1"
    odd.mkdir()
    assert find_spec(f"nuscenes:{odd}").drive == f"nuscenes:{odd}"


def test_a_crop_keeps_the_middle_of_pictures_and_masks_and_moves_the_principal_point(log, tmp_path):
    folder = write_folder(log, tmp_path / "drive")
    spec = SceneSpec(name="s", drive=f"folder:{folder}", image_crop=(8, 4), image_scale=0.5)
    part, _ = open_drive(replace(spec, image_scale=1.0))
    whole, _ = open_drive(f"folder:{folder}")
    assert np.array_equal(part.image(part.frames[0]), whole.image(whole.frames[0])[2:6, 2:10])
    assert part.valid(part.frames[0]).all(), "the mask's rows 6 and 7 are cut away"
    assert part.cameras["left"].K[:2, 2].tolist() == [4, 2]
    small, _ = open_drive(spec)
    assert small.image(small.frames[0]).shape == (2, 4, 3)
    assert small.cameras["left"].K[0].tolist() == [5, 0, 2]
    with pytest.raises(SpecError, match=r"s: image_crop: 16 x 4 is larger than left \(12 x 8\)"):
        open_drive(replace(spec, image_crop=(16, 4)))
    with pytest.raises(ValueError, match="expected a log as it was recorded"):
        part.cropped(4, 4)


def test_the_own_car_is_looked_for_in_the_chosen_cameras_where_the_spec_asks(log, tmp_path, monkeypatch):
    folder = write_folder(log, tmp_path / "drive")
    seen = []

    def find(drive):
        seen.append(list(drive.cameras))
        mask = np.ones((8, 12), np.uint8)
        return replace(drive, frames=tuple(replace(frame, masks={"ego": mask}) for frame in drive.frames))

    monkeypatch.setattr("gsrecon.data.own_car.with_own_car", find)
    spec = SceneSpec(name="s", drive=f"folder:{folder}", cameras=("right",), start=1, find_own_car=True)
    part, _ = open_drive(spec)
    assert seen == [["right"]]
    assert not any(part.valid(frame).any() for frame in part.frames)


def test_the_published_protocols_are_what_the_packaged_specs_say():
    s = find_spec("nuscenes-s-0164")
    assert (s.scene, s.start_keyframe, s.limit, len(s.cameras)) == ("scene-0164", 20, 40, 6)
    assert s.test == TestSplit(every=4, offset=0, counted="selection")
    city = find_spec("kitti-city")
    assert (city.image_crop, city.test) == ((1216, 368), TestSplit(every=10, offset=0))
    ddad = find_spec("nuscenes-ddad")
    assert [ddad.test.holds_out(i) for i in range(3)] == [False, True, False]
    assert ddad.image_scale == 0.5
