"""Scene specs: the packaged ones parse, every mistake is named, drives open by name."""

import pytest

from gsrecon.data.folder import write_folder
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
    assert [spec.is_test(frame) for frame in part.frames] == [False, True]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("colour = 1", r"s\.toml: the key colour is unknown; allowed are name, drive, "),
        (
            "test = {evry = 4}",
            r"s\.toml: the key test\.evry is unknown; allowed are test\.every, test\.offset",
        ),
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
    with pytest.raises(SpecError, match=r"nowhere: no such scene; give one of kitti-0001, toy"):
        find_spec("nowhere")
    with pytest.raises(SpecError, match=r"gone\.toml: there is no such scene spec"):
        find_spec("gone.toml")
    with pytest.raises(SpecError, match=r"drive: expected .kitti:PATH"):
        parse_spec({"drive": "waymo:x"}, "s", "s.toml")
    with pytest.raises(SpecError, match="the key drive is missing"):
        parse_spec({}, "s", "s.toml")
    folder = write_folder(log, tmp_path / "drive")
    with pytest.raises(SpecError, match="cameras: the drive has no rear; it has left, right"):
        open_drive(SceneSpec(name="s", drive=f"folder:{folder}", cameras=("rear",)))
    with pytest.raises(SpecError, match="select no frame of the drive's 3"):
        open_drive(SceneSpec(name="s", drive=f"folder:{folder}", start=7))


def test_a_split_of_period_zero_holds_nothing_out():
    assert not any(TestSplit(every=0).holds_out(i) for i in range(20))
    assert [i for i in range(10) if TestSplit(4, 2).holds_out(i)] == [2, 6]
