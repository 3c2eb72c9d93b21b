"""Drives in nuScenes' layout: the devkit reads them, our reader gives back what was written."""

import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import ExifTags, Image

from gsrecon.data.check import check
from gsrecon.data.log import LidarSweep, Track
from gsrecon.data.nuscenes import read_nuscenes
from gsrecon.datasets.nuscenes import NuscenesSettings, channel_names, write_nuscenes
from gsrecon.datasets.nuscenes_boxes import BoxRules
from gsrecon.datasets.nuscenes_vocabulary import attribute, token
from gsrecon.errors import DatasetError
from tests.datasets.small_drives import devkit, rows, toy_log

PNG = NuscenesSettings(pictures="png")


@pytest.fixture(scope="module")
def log():
    return toy_log()


@pytest.fixture(scope="module")
def root(log, tmp_path_factory):
    return write_nuscenes(log, tmp_path_factory.mktemp("nuscenes") / "toy", settings=PNG)


@pytest.fixture(scope="module")
def back(root):
    return read_nuscenes(root)


@pytest.fixture(scope="module")
def nusc(root):
    return devkit(root)


def test_cameras_times_poses_and_pixels_read_back(log, back):
    channels = channel_names(log, {})
    assert list(back.cameras) == list(channels.values())
    for name, camera in log.cameras.items():
        other = back.cameras[channels[name]]
        assert np.abs(other.K - camera.K).max() < 1e-12
        assert np.abs(other.ego_from_cam - camera.ego_from_cam).max() < 1e-12
        assert (other.width, other.height) == (camera.width, camera.height)
    assert len(back.frames) == len(log.frames)
    for ours, theirs in zip(log.frames, back.frames, strict=True):
        assert theirs.camera == channels[ours.camera]
        assert (theirs.index, theirs.timestamp_us) == (ours.index, ours.timestamp_us)
        assert np.abs(theirs.world_from_cam - ours.world_from_cam).max() < 1e-9
        assert np.array_equal(back.image(theirs), log.image(ours))


def test_sweeps_trajectory_and_lanes_read_back(log, back):
    for ours, theirs in zip(log.sweeps, back.sweeps, strict=True):
        assert theirs.timestamp_us == ours.timestamp_us
        assert np.abs(theirs.world_from_lidar - ours.world_from_lidar).max() < 1e-9
        assert np.array_equal(back.points(theirs), log.points(ours))
    assert back.start_us == log.start_us
    assert np.abs(back.world_from_ego[: len(log.world_from_ego)] - log.world_from_ego).max() < 1e-9
    assert np.abs(back.source_from_world - log.source_from_world).max() < 1e-9
    assert [(lane.id, lane.kind) for lane in back.lanes] == [(lane.id, lane.kind) for lane in log.lanes]
    for ours, theirs in zip(log.lanes, back.lanes, strict=True):
        assert np.abs(theirs.points_in_world[:, :2] - ours.points_in_world[:, :2]).max() < 1e-9


def test_boxes_read_back_at_the_samples_and_move_evenly_between_them(log, back):
    times = sorted({int(t) for track in back.tracks for t in track.timestamps_us})
    found = {track.id: track for track in back.tracks}
    for ours in log.tracks:
        theirs = found[token("scene-0001", "instance", ours.id)]
        assert theirs.size_lwh.tolist() == ours.size_lwh.tolist()
        for time in times:
            expected = ours.world_from_actor_at(time)
            if expected is not None:
                assert np.abs(theirs.world_from_actor_at(time) - expected).max() < 1e-9
        between = (times[0] + times[1]) // 2
        assert (
            np.linalg.norm((theirs.world_from_actor_at(between) - ours.world_from_actor_at(between))[:3, 3])
            < 0.05
        )
    assert {track.category for track in back.tracks} == {"vehicle.car", "human.pedestrian.adult"}


def test_samples_are_half_a_second_apart_and_the_last_is_the_end(log, back):
    times = sorted({sweep.timestamp_us for sweep in back.sweeps if sweep.key_frame is not None})
    assert [time - log.start_us for time in times] == [0, 500_000, 1_000_000, 1_250_000]
    assert [f.index for f in back.frames if f.camera == "CAM_BACK" and f.key_frame is not None] == [
        0,
        4,
        8,
        10,
    ]


def test_the_layout_has_every_table_and_valid_chains(root, nusc):
    for table in ("sample", "sample_data", "sample_annotation"):
        by_token = {row["token"]: row for row in rows(root, table)}
        assert all(re.fullmatch("[0-9a-f]{32}", key) for key in by_token)
        for row in by_token.values():
            if row["next"]:
                following = by_token[row["next"]]
                assert following["prev"] == row["token"]
        firsts = [row for row in by_token.values() if not row["prev"]]
        assert len(firsts) == {"sample": 1, "sample_data": 7, "sample_annotation": len(nusc.instance)}[table]
    scene = nusc.scene[0]
    assert scene["nbr_samples"] == len(nusc.sample) == 4
    assert {row["channel"] for row in nusc.sensor} == {*nusc.sample[0]["data"]}
    for row in nusc.sample_data:
        assert (root / row["filename"]).is_file()
        assert row["filename"].startswith("samples/" if row["is_key_frame"] else "sweeps/")
        assert row["filename"].split("__")[1] == row["channel"]


def test_the_devkit_interpolates_boxes_to_the_same_places_as_our_tracks(nusc, back):
    tracks = {track.id: track for track in back.tracks}
    row = next(row for row in nusc.sample_data if row["channel"] == "CAM_FRONT" and not row["is_key_frame"])
    boxes = nusc.get_boxes(row["token"])
    assert len(boxes) == len(back.tracks)
    for box in boxes:
        instance = nusc.get("sample_annotation", box.token)["instance_token"]
        pose = back.source_from_world @ tracks[instance].world_from_actor_at(row["timestamp"])
        assert np.abs(pose[:3, 3] - box.center).max() < 1e-6
        assert np.abs(pose[:3, :3] - box.orientation.rotation_matrix).max() < 1e-6
        assert tracks[instance].size_lwh[[1, 0, 2]].tolist() == box.wlh.tolist()


def test_the_devkit_projects_the_lidar_to_the_same_pixels(nusc, back):
    data = nusc.sample[0]["data"]
    points, depth, picture = nusc.explorer.map_pointcloud_to_image(data["LIDAR_TOP"], data["CAM_FRONT"])
    picture.close()
    frame = next(frame for frame in back.frames if frame.camera == "CAM_FRONT")
    pixels, z = back.depth_points(frame)
    # The devkit counts pixel centres at integers and drops a pixel's margin and what is nearer than 1 m.
    ours = {tuple(np.round(p - 0.5, 2)): d for p, d in zip(pixels, z, strict=True)}
    theirs = [(tuple(np.round(p, 2)), d) for p, d in zip(points[:2].T, depth, strict=True)]
    near = [min(np.hypot(*(np.array(p) - q)) for q in ours) for p, _ in theirs[::20]]
    assert len(theirs) > 100
    assert max(near) < 0.02


def test_lidar_points_are_counted_as_the_devkit_counts_them(nusc):
    from nuscenes.utils.data_classes import LidarPointCloud
    from nuscenes.utils.geometry_utils import points_in_box

    sample = nusc.sample[1]
    file, boxes, _ = nusc.get_sample_data(sample["data"]["LIDAR_TOP"])
    points = LidarPointCloud.from_file(file).points[:3]
    counts = {box.token: int(points_in_box(box, points).sum()) for box in boxes}
    written = {key: nusc.get("sample_annotation", key)["num_lidar_pts"] for key in sample["anns"]}
    assert max(written.values()) > 20
    assert all(abs(written[key] - counts[key]) <= 1 for key in written)


def test_lidar_files_hold_five_columns_with_intensity_to_255(root, log):
    first = min((root / "samples" / "LIDAR_TOP").iterdir())
    rows = np.fromfile(first, dtype="<f4").reshape(-1, 5)
    assert np.allclose(rows[:, 3], np.minimum(log.sweeps[0].points[:, 3] * 255, 255))
    assert 1 < rows[:, 3].max() <= 255
    assert (rows[:, 4] == 0).all()


def test_pictures_become_jpegs_near_the_originals_and_jpeg_files_stay_bit_for_bit(log, tmp_path):
    part = log.select(cameras=["front"], stop=2)
    back = read_nuscenes(write_nuscenes(part, tmp_path / "jpeg"))
    assert back.frames[0].image.suffix == ".jpg"
    error = back.image(back.frames[0]).astype(float) - log.image(part.frames[0])
    assert np.abs(error).mean() < 3
    again = read_nuscenes(write_nuscenes(back, tmp_path / "again", settings=PNG))
    assert again.frames[1].image.read_bytes() == back.frames[1].image.read_bytes()


def test_a_picture_that_exif_turns_is_written_upright(log, tmp_path):
    part = log.select(cameras=["front"], stop=2)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    stored = np.ascontiguousarray(np.rot90(part.image(part.frames[0])))
    Image.fromarray(stored).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    frames = (replace(part.frames[0], image=tmp_path / "turned.jpg"), *part.frames[1:])
    back = read_nuscenes(write_nuscenes(replace(part, frames=frames), tmp_path / "written"))
    with Image.open(back.frames[0].image) as written:
        assert written.size == stored.shape[:2]
        assert not written.getexif()


def test_a_nuscenes_scene_keeps_its_instances_samples_and_name_when_written_again(back, tmp_path):
    again = read_nuscenes(write_nuscenes(back, tmp_path / "again", settings=PNG))
    assert again.name == back.name
    assert [track.id for track in again.tracks] == [track.id for track in back.tracks]
    assert [frame.key_frame for frame in again.frames] == [frame.key_frame for frame in back.frames]
    for ours, theirs in zip(back.tracks, again.tracks, strict=True):
        assert theirs.timestamps_us.tolist() == ours.timestamps_us.tolist()
        assert np.abs(theirs.world_from_actor - ours.world_from_actor).max() < 1e-9


def test_a_resized_log_is_written_at_its_size(log, tmp_path):
    small = log.select(cameras=["front"], stop=1).at_scale(0.5)
    back = read_nuscenes(write_nuscenes(small, tmp_path / "small", settings=PNG))
    assert np.array_equal(back.image(back.frames[0]), small.image(small.frames[0]))
    assert np.abs(back.cameras["CAM_FRONT"].K - small.cameras["front"].K).max() < 1e-12


def test_several_drives_are_scenes_of_one_data_set(log, tmp_path):
    part = log.select(cameras=["front"], stop=5)
    moved = replace(part, tracks=part.tracks[:1])
    root = write_nuscenes([part, moved], tmp_path / "two", settings=PNG)
    assert [row["name"] for row in rows(root, "scene")] == ["scene-0001", "scene-0002"]
    first, second = read_nuscenes(root), read_nuscenes(root, "scene-0002")
    assert len(first.tracks) == len(part.tracks)
    assert len(second.tracks) == 1
    assert first.frames[0].image != second.frames[0].image
    assert len(devkit(root).sample) == 2 * first.frames[-1].key_frame + 2


def test_an_own_car_mask_reads_back(log, tmp_path):
    part = log.select(cameras=["front"], stop=2)
    mask = np.zeros((36, 64), np.uint8)
    mask[30:, 10:40] = 1
    frames = tuple(replace(frame, masks={"ego": mask}) for frame in part.frames)
    back = read_nuscenes(write_nuscenes(replace(part, frames=frames), tmp_path / "masked"))
    assert np.array_equal(back.mask(back.frames[1], "ego"), mask != 0)


def test_far_away_coordinates_are_written_in_world_and_the_offset_is_told(log, tmp_path):
    source_from_world = np.eye(4)
    source_from_world[:3, 3] = [936_000.0, 6_276_000.0, 110.0]
    far = replace(log.select(cameras=["front"], stop=2), source_from_world=source_from_world)
    root = write_nuscenes(far, tmp_path / "far")
    assert np.abs(read_nuscenes(root).source_from_world - np.eye(4)).max() < 1e-9
    assert (
        "its source has its origin at [-936000.0, -6276000.0, -110.0]"
        in rows(root, "scene")[0]["description"]
    )
    near = replace(far, source_from_world=np.block([[np.eye(3), np.full((3, 1), 500.0)], [np.eye(4)[3:]]]))
    back = read_nuscenes(write_nuscenes(near, tmp_path / "near"))
    assert np.abs(back.source_from_world[:3, 3] - 500.0).max() < 1e-9


def test_measured_visibility_and_other_categories_are_what_the_caller_says(log, tmp_path):
    part = log.select(cameras=["front"], stop=1)
    rules = BoxRules(categories={"car": "vehicle.truck"}, visibility=lambda track, time: 2)
    root = write_nuscenes(part, tmp_path / "rules", settings=NuscenesSettings(boxes=rules))
    assert {row["visibility_token"] for row in rows(root, "sample_annotation")} == {"2"}
    assert {track.category for track in read_nuscenes(root).tracks} == {"vehicle.truck", "pedestrian"}
    wrong = NuscenesSettings(boxes=BoxRules(visibility=lambda track, time: 5))
    with pytest.raises(ValueError, match="visibility: expected 1, 2, 3 or 4, got 5"):
        write_nuscenes(part, tmp_path / "wrong", settings=wrong)
    assert not (tmp_path / "wrong").exists()


@pytest.mark.parametrize(
    ("category", "speed", "ever_moved", "expected"),
    [
        ("vehicle.car", 8.0, True, "vehicle.moving"),
        ("vehicle.car", 0.1, True, "vehicle.stopped"),
        ("vehicle.car", 0.0, False, "vehicle.parked"),
        ("vehicle.bicycle", 0.0, True, "cycle.with_rider"),
        ("vehicle.bicycle", 0.0, False, "cycle.without_rider"),
        ("human.pedestrian.adult", 1.2, True, "pedestrian.moving"),
        ("human.pedestrian.adult", 0.0, False, "pedestrian.standing"),
        ("movable_object.barrier", 0.0, False, None),
        ("vehicle.car", None, False, None),
    ],
)
def test_attributes_follow_from_motion(category, speed, ever_moved, expected):
    assert attribute(category, speed, ever_moved) == expected


def test_boxes_carry_the_attributes_of_their_motion(root, nusc):
    names = {
        nusc.get("attribute", key)["name"]
        for row in nusc.sample_annotation
        for key in row["attribute_tokens"]
    }
    assert {"vehicle.moving", "vehicle.parked", "pedestrian.moving"} <= names
    first = nusc.sample_annotation[0]
    assert np.isfinite(nusc.box_velocity(first["token"])).all()


def test_a_drive_without_lidar_boxes_or_lanes_is_written(log, tmp_path):
    bare = replace(log.select(cameras=["back", "front"]), sweeps=(), tracks=(), lanes=())
    root = write_nuscenes(bare, tmp_path / "bare")
    back = read_nuscenes(root)
    assert (back.sweeps, back.tracks, back.lanes) == ((), (), ())
    assert [f.index for f in back.frames if f.camera == "CAM_FRONT" and f.key_frame is not None] == [
        0,
        4,
        8,
        10,
    ]
    assert len(devkit(root).get_sample_data(rows(root, "sample_data")[0]["token"])[1]) == 0


def test_a_camera_without_frames_and_a_track_with_one_key_do_not_hinder(log, tmp_path):
    track = log.tracks[0]
    single = replace(
        track, timestamps_us=track.timestamps_us[:1], world_from_actor=track.world_from_actor[:1]
    )
    frames = tuple(frame for frame in log.frames if frame.camera == "front")
    part = replace(log.select(cameras=["front", "back"]), frames=frames, tracks=(single,))
    back = read_nuscenes(write_nuscenes(part, tmp_path / "part"))
    assert list(back.cameras) == ["CAM_FRONT"]
    assert [len(t.timestamps_us) for t in back.tracks] == [1]


def test_two_pictures_at_one_time_keep_their_own_files_and_the_preflight_names_them(log, tmp_path):
    part = log.select(cameras=["front"], stop=6)
    twin = replace(part.frames[2], timestamp_us=part.frames[1].timestamp_us)
    drive = replace(part, frames=(*part.frames[:2], twin, *part.frames[3:]))
    back = read_nuscenes(write_nuscenes(drive, tmp_path / "twins", settings=PNG))
    same = [frame for frame in back.frames if frame.timestamp_us == twin.timestamp_us]
    assert len({frame.image for frame in same}) == 2
    assert any("two frames have the same time" in finding.message for finding in check(back))


def test_what_the_layout_cannot_hold_is_refused_by_name(log, tmp_path):
    part = log.select(cameras=["front"], stop=1)
    fisheye = replace(part, cameras={"front": replace(part.cameras["front"], model="fisheye")})
    with pytest.raises(DatasetError, match="front is a fisheye camera, and nuScenes knows pinholes only"):
        write_nuscenes(fisheye, tmp_path / "x")
    doubled = replace(part, tracks=(part.tracks[0], part.tracks[0]))
    with pytest.raises(DatasetError, match="two tracks have the id"):
        write_nuscenes(doubled, tmp_path / "x")
    flat = replace(part, tracks=(replace(part.tracks[0], size_lwh=np.zeros(3)),))
    with pytest.raises(DatasetError, match="not finite or have no size"):
        write_nuscenes(flat, tmp_path / "x")
    with pytest.raises(DatasetError, match="the drive has no pictures to write"):
        write_nuscenes(replace(part, frames=()), tmp_path / "x")
    with pytest.raises(ValueError, match="channels: expected another channel for every camera, got CAM_A"):
        write_nuscenes(
            log, tmp_path / "x", settings=NuscenesSettings(channels=dict.fromkeys(log.cameras, "CAM_A"))
        )
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_something_is_refused_and_a_full_disk_leaves_nothing(log, tmp_path, monkeypatch):
    part = log.select(cameras=["front"], stop=1)
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "mine.txt").write_text("keep me")
    with pytest.raises(DatasetError, match="taken: exists already and is not empty"):
        write_nuscenes(part, taken)
    (tmp_path / "empty").mkdir()
    assert (write_nuscenes(part, tmp_path / "empty") / "v1.0-mini" / "scene.json").is_file()

    def full(*arguments, **named):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(DatasetError, match=r"full: the data set cannot be written \(No space left"):
        write_nuscenes(part, tmp_path / "full")
    assert {path.name for path in tmp_path.iterdir()} == {"taken", "empty"}


def test_a_missing_picture_is_named_and_nothing_is_left(log, tmp_path):
    part = log.select(cameras=["front"], stop=1)
    gone = replace(part, frames=(replace(part.frames[0], image=tmp_path / "gone.jpg"),))
    with pytest.raises(DatasetError, match=r"gone\.jpg: the file is missing"):
        write_nuscenes(gone, tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_a_sweep_from_memory_with_three_columns_has_no_intensity(log, tmp_path):
    points = np.array([[4.0, 0, 0], [0, 4, 0]], np.float32)
    sweep = LidarSweep(log.frames[0].timestamp_us, np.eye(4), points)
    part = replace(log.select(cameras=["front"], stop=1), sweeps=(sweep,))
    root = write_nuscenes(part, tmp_path / "x")
    file = next((root / "samples" / "LIDAR_TOP").iterdir())
    assert np.fromfile(file, "<f4").reshape(-1, 5).tolist() == [[4, 0, 0, 0, 0], [0, 4, 0, 0, 0]]


def test_boxes_at_a_known_place_have_the_numbers_the_layout_wants(log, tmp_path):
    pose = np.eye(4)
    pose[:3, :3] = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    pose[:3, 3] = [10.0, 2.0, 0.75]
    time = log.frames[0].timestamp_us
    track = Track("a", "Car", np.array([4.0, 2.0, 1.5]), np.array([time]), pose[None])
    # Inside: half a length along world's y (the box is turned by 90 degrees), not along x.
    points = np.array([[10, 3.9, 0.5], [10.9, 2, 0.5], [11.1, 2, 0.5], [10, 4.1, 0.5]], np.float32)
    part = replace(
        log.select(cameras=["front"], stop=1), tracks=(track,), sweeps=(LidarSweep(time, np.eye(4), points),)
    )
    (row,) = rows(write_nuscenes(part, tmp_path / "x"), "sample_annotation")
    assert row["translation"] == [10.0, 2.0, 0.75]
    assert row["size"] == [2.0, 4.0, 1.5]
    assert np.allclose(row["rotation"], [np.sqrt(0.5), 0, 0, np.sqrt(0.5)])
    assert row["num_lidar_pts"] == 2
