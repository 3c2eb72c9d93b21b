"""The drive folder: exact round trips, the documentation's examples, and one sentence for each mistake."""

import json
import re
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from PIL import Image

import gsrecon.data
from gsrecon.data.folder import read_folder, write_folder
from gsrecon.data.kitti import read_kitti_raw
from gsrecon.errors import DatasetError

SCHEMA = json.loads((Path(gsrecon.data.__file__).parent / "drive.schema.json").read_text())
DOCUMENT = Path(__file__).parents[2] / "docs" / "drive-folder.md"


def require_equal(one, other):
    """Every number, picture and mask of two logs, bit for bit."""
    assert list(one.cameras) == list(other.cameras)
    for name, camera in one.cameras.items():
        twin = other.cameras[name]
        assert (camera.width, camera.height, camera.model) == (twin.width, twin.height, twin.model)
        assert camera.distortion == twin.distortion
        np.testing.assert_array_equal(camera.K, twin.K)
        np.testing.assert_array_equal(camera.ego_from_cam, twin.ego_from_cam)
    assert len(one.frames) == len(other.frames)
    for frame, twin in zip(one.frames, other.frames, strict=True):
        assert (frame.camera, frame.index, frame.timestamp_us) == (twin.camera, twin.index, twin.timestamp_us)
        assert frame.key_frame == twin.key_frame
        np.testing.assert_array_equal(frame.world_from_cam, twin.world_from_cam)
        np.testing.assert_array_equal(one.image(frame), other.image(twin))
        assert set(frame.masks) == set(twin.masks)
        for mask in frame.masks:
            np.testing.assert_array_equal(one.mask(frame, mask), other.mask(twin, mask))
            np.testing.assert_array_equal(one.ids(frame, mask) != 0, other.ids(twin, mask) != 0)
    for sweep, twin in zip(one.sweeps, other.sweeps, strict=True):
        assert (sweep.timestamp_us, sweep.key_frame) == (twin.timestamp_us, twin.key_frame)
        np.testing.assert_array_equal(sweep.world_from_lidar, twin.world_from_lidar)
        np.testing.assert_array_equal(one.points(sweep), other.points(twin))
    for track, twin in zip(one.tracks, other.tracks, strict=True):
        assert (track.id, track.category, track.reach_us) == (twin.id, twin.category, twin.reach_us)
        np.testing.assert_array_equal(track.size_lwh, twin.size_lwh)
        np.testing.assert_array_equal(track.timestamps_us, twin.timestamps_us)
        np.testing.assert_array_equal(track.world_from_actor, twin.world_from_actor)
    for lane, twin in zip(one.lanes, other.lanes, strict=True):
        assert (lane.id, lane.kind) == (twin.id, twin.kind)
        np.testing.assert_array_equal(lane.points_in_world, twin.points_in_world)
    np.testing.assert_array_equal(one.ego_timestamps_us, other.ego_timestamps_us)
    np.testing.assert_array_equal(one.world_from_ego, other.world_from_ego)
    np.testing.assert_array_equal(one.source_from_world, other.source_from_world)
    assert (one.name, one.licence, one.convention) == (other.name, other.licence, other.convention)


def test_a_log_in_memory_reads_back_equal(log, tmp_path):
    ids = np.arange(96, dtype=np.uint16).reshape(8, 12) * 500
    semantic = replace(log.frames[0], masks={**log.frames[0].masks, "instance": ids})
    log = replace(log, frames=(semantic, *log.frames[1:]))
    folder = write_folder(log, tmp_path / "drive")
    back = read_folder(folder)
    require_equal(log, back)
    np.testing.assert_array_equal(back.ids(back.frames[0], "instance"), ids)
    jsonschema.validate(json.loads((folder / "drive.json").read_text()), SCHEMA)
    require_equal(back, read_folder(write_folder(back, tmp_path / "again")))


def test_annotated_moments_are_kept(log, tmp_path):
    sweeps = (replace(log.sweeps[0], key_frame=2), *log.sweeps[1:])
    tracks = (replace(log.tracks[0], reach_us=48_000), *log.tracks[1:])
    frames = (replace(log.frames[0], key_frame=0), *log.frames[1:])
    log = replace(log, sweeps=sweeps, tracks=tracks, frames=frames)
    folder = write_folder(log, tmp_path / "drive")
    require_equal(log, read_folder(folder))
    jsonschema.validate(json.loads((folder / "drive.json").read_text()), SCHEMA)


def test_a_resized_log_is_written_at_its_size(log, tmp_path):
    small = log.at_scale(0.5)
    require_equal(small, read_folder(write_folder(small, tmp_path / "small")))
    require_equal(small, read_folder(write_folder(small, tmp_path / "small again")))


def test_a_kitti_drive_reads_back_equal_as_a_folder(kitti_drive, tmp_path):
    log = read_kitti_raw(kitti_drive)
    require_equal(log, read_folder(write_folder(log, tmp_path / "folder")))


def test_nothing_is_overwritten_and_nothing_is_left_half_written(log, tmp_path):
    write_folder(log, tmp_path / "drive")
    with pytest.raises(DatasetError, match="drive: exists already; remove it"):
        write_folder(log, tmp_path / "drive")
    broken = replace(log, frames=(replace(log.frames[0], image=tmp_path / "gone.png"), *log.frames[1:]))
    with pytest.raises(DatasetError, match=r"gone\.png: the file is missing"):
        write_folder(broken, tmp_path / "other")
    assert [path.name for path in tmp_path.iterdir()] == ["drive"]


def write_example(text, folder):
    """A documented example with the files it names."""
    document = json.loads(text)
    for frame in document["frames"]:
        camera = document["cameras"][frame["camera"]]
        for place in (frame["image"], *frame.get("masks", {}).values()):
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (camera["width"], camera["height"])).save(folder / place)
    for sweep in document.get("lidar", []):
        (folder / sweep["points"]).parent.mkdir(parents=True, exist_ok=True)
        np.save(folder / sweep["points"], np.ones((4, 3), np.float32))
    (folder / "drive.json").write_text(text)


@pytest.mark.parametrize("number", [0, 1])
def test_the_documented_examples_read_and_fit_the_schema(tmp_path, number):
    text = re.findall(r"```json\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)[number]
    jsonschema.validate(json.loads(text), SCHEMA)
    write_example(text, tmp_path)
    log = read_folder(tmp_path)
    assert log.cameras["front"].K[0, 2] == 320.0
    assert len(log.frames) == 2
    np.testing.assert_allclose(log.world_from_ego[0, :3, 3], 0)
    if number == 1:
        # 10 ms of 1 m in 100 ms, the camera 1.6 m ahead of the ego.
        np.testing.assert_allclose(log.frames[0].world_from_cam[:3, 3], [1.7, 0, 1.5])


def test_world_moves_to_the_first_ego_pose_and_keeps_the_way_back(log, tmp_path):
    folder = write_folder(log, tmp_path / "drive")
    document = json.loads((folder / "drive.json").read_text())
    for entry in document["ego"]:
        entry["world_from_ego"][0][3] += 500.0
    for entry in document["frames"]:
        entry["world_from_cam"][0][3] += 500.0
    (folder / "drive.json").write_text(json.dumps(document))
    moved = read_folder(folder)
    np.testing.assert_allclose(moved.frames[0].world_from_cam, log.frames[0].world_from_cam)
    assert moved.source_from_world[0, 3] == log.source_from_world[0, 3] + 500


MISTAKES = [
    (lambda d: d.update(colour=1), r"drive\.json: colour: unknown key; allowed here are format_version"),
    (lambda d: d["frames"][1].update(time=1), r"frames\[1\]\.time: unknown key; allowed here are camera"),
    (lambda d: d.pop("pixel_centers"), r"pixel_centers: the key is missing; add it"),
    (lambda d: d.update(format_version=2), r"format_version: expected one of 1, got 2; correct"),
    (
        lambda d: d["cameras"]["left"].update(width="12"),
        r"cameras\.left\.width: expected a whole number, got",
    ),
    (lambda d: d["cameras"]["left"].update(K=[1, 2]), r"cameras\.left\.K: expected 3 x 3 numbers as nested"),
    (
        lambda d: d["cameras"]["left"].update(distortion=[0] * 4),
        r"left\.distortion: expected none for a pinhole",
    ),
    (
        lambda d: d["frames"][0].update(image="no.png"),
        r"frames\[0\]\.image: there is no file .*no\.png; restore",
    ),
    (
        lambda d: d["frames"][0].update(camera="rear"),
        r"frames\[0\]\.camera: expected one of \"left\", \"right\"",
    ),
    (
        lambda d: d["frames"][0].update(timestamp_us=1.5),
        r"frames\[0\]\.timestamp_us: expected a whole number",
    ),
    (
        lambda d: d["frames"][0].update(world_from_cam=np.diag([2, 2, 2, 1]).tolist()),
        r"frames\[0\]\.world_from_cam: expected a rigid 4 x 4 motion",
    ),
    (lambda d: d["ego"].reverse(), r"ego\[1\]\.timestamp_us: expected a time after the entry before"),
    (lambda d: d["tracks"][0].update(size_lwh=[1, 0, 1]), r"tracks\[0\]\.size_lwh: expected length, width"),
    (lambda d: d["lidar"][0].update(points="x.npy"), r"lidar\[0\]\.points: there is no file .*x\.npy"),
    (
        lambda d: d["frames"][0].update(timestamp_us=10**30),
        r"frames\[0\]\.timestamp_us: expected a whole number of at most 64 bits",
    ),
    (
        lambda d: d["frames"][0]["world_from_cam"][0].__setitem__(3, 10**400),
        r"frames\[0\]\.world_from_cam: expected 4 x 4 finite numbers",
    ),
    (
        lambda d: [frame.update(index=3) for frame in d["frames"]],
        r"frames\[\d\]\.index: expected an index that no other frame of (left|right) has \(3\)",
    ),
    (lambda d: d.update(frames=[]), r"frames: expected at least one frame"),
]


@pytest.mark.parametrize(("make", "sentence"), MISTAKES)
def test_each_mistake_is_one_sentence_with_file_and_json_path(log, tmp_path, make, sentence):
    folder = write_folder(log, tmp_path / "drive")
    document = json.loads((folder / "drive.json").read_text())
    make(document)
    (folder / "drive.json").write_text(json.dumps(document))
    with pytest.raises(DatasetError, match=sentence) as caught:
        read_folder(folder)
    assert "\n" not in str(caught.value)
    assert "drive.json" in str(caught.value)


def test_no_json_and_no_folder_are_said_plainly(tmp_path):
    with pytest.raises(DatasetError, match=r"drive\.json: the file is missing; write it as docs"):
        read_folder(tmp_path)
    (tmp_path / "drive.json").write_text('{"format_version": 1,}')
    with pytest.raises(DatasetError, match=r"drive\.json: is no valid JSON .*line 1"):
        read_folder(tmp_path)
