"""nuScenes read back by hand-computed numbers, against the devkit, and with every fault planted."""

import sys
from dataclasses import replace

import numpy as np
import pytest

from gsrecon.data.check_tracks import track_findings
from gsrecon.data.log import Camera
from gsrecon.data.nuscenes import read_nuscenes
from gsrecon.data.nuscenes_own_car import own_car_masks
from gsrecon.data.nuscenes_tables import TABLES, SceneTables
from gsrecon.data.spec import SceneSpec, open_drive
from gsrecon.datasets.nuscenes import NuscenesSettings, write_nuscenes
from gsrecon.errors import BackendUnavailableError, DatasetError, SpecError
from tests.data.conftest import save_png
from tests.datasets.small_drives import devkit, edit, rows


@pytest.fixture
def drive(log):
    """The noise drive's pinhole camera."""
    return log.select(cameras=["left"])


@pytest.fixture
def root(drive, tmp_path):
    """The noise drive in nuScenes' layout: 3 pictures, of which the first and the last are key frames."""
    settings = NuscenesSettings(pictures="png", channels={"left": "CAM_BACK"}, key_interval_s=0.2)
    return write_nuscenes(drive, tmp_path / "nuscenes", settings=settings)


@pytest.fixture(scope="module")
def one(shared_data):
    """The first key frame of the real scene-0061."""
    return shared_data / "nuscenes_one_keyframe"


@pytest.fixture(scope="module")
def ddad(shared_data):
    """A DDAD recording in the same layout."""
    return shared_data / "nuscenes_ddad"


def test_the_real_key_frame_has_six_cameras_in_order_with_their_pixel_centres_moved(one):
    log = read_nuscenes(one)
    assert (log.name, log.source) == ("scene-0061", "nuscenes")
    assert list(log.cameras) == [
        "CAM_FRONT",
        "CAM_FRONT_LEFT",
        "CAM_FRONT_RIGHT",
        "CAM_BACK_LEFT",
        "CAM_BACK_RIGHT",
        "CAM_BACK",
    ]
    front = log.cameras["CAM_FRONT"]
    assert front.K[0].tolist() == [1266.417203046554, 0.0, 816.2670197447984 + 0.5]
    assert front.K[1].tolist() == [0.0, 1266.417203046554, 491.50706579294757 + 0.5]
    assert (front.width, front.height) == (1600, 900)
    assert front.ego_from_cam[:3, 3].tolist() == [1.70079118954, 0.0159456324149, 1.51095763913]
    times = {frame.camera: frame.timestamp_us for frame in log.frames}
    assert times["CAM_FRONT"] == 1532402927612460
    assert log.start_us == min(times.values()) == times["CAM_FRONT_LEFT"]
    assert log.sweeps[0].timestamp_us == 1532402927647951
    assert "non-commercial" in log.licence


def test_boxes_lie_in_every_real_camera_where_the_devkit_puts_them(one, monkeypatch):
    log = read_nuscenes(one)
    client = devkit_without_map(one, monkeypatch)
    tracks = {track.id: track for track in log.tracks}
    assert len(tracks) == 68
    seen = 0
    for frame in log.frames:
        _, boxes, K = client.get_sample_data(client.sample[0]["data"][frame.camera])
        assert np.abs(K - log.cameras[frame.camera].K).max() == 0.5
        for box in boxes:
            track = tracks[client.get("sample_annotation", box.token)["instance_token"]]
            in_cam = np.linalg.inv(frame.world_from_cam) @ track.world_from_actor_at(frame.timestamp_us)
            assert np.abs(in_cam[:3, 3] - box.center).max() < 1e-6
            assert np.abs(in_cam[:3, :3] - box.orientation.rotation_matrix).max() < 1e-9
            assert track.size_lwh[[1, 0, 2]].tolist() == box.wlh.tolist()
            assert track.category == box.name
            seen += 1
    assert seen > 30


def devkit_without_map(root, monkeypatch):
    """The devkit on a folder whose map picture is not there."""
    import nuscenes.nuscenes

    monkeypatch.setattr(nuscenes.nuscenes, "MapMask", lambda *arguments, **named: None)
    return devkit(root)


def test_back_camera_rows_of_the_own_car_are_masked_on_nuscenes_own_cars_only(one, root):
    log = read_nuscenes(one)
    frames = {frame.camera: frame for frame in log.frames}
    mask = log.mask(frames["CAM_BACK"], "ego")
    assert not mask[:800].any()
    assert mask[800:].all()
    assert all(log.valid(frame).all() for name, frame in frames.items() if name != "CAM_BACK")
    assert "ego" in read_nuscenes(root).frames[0].masks, "a mask was given"
    (root / "masks" / "scene-0001" / "CAM_BACK.png").unlink()
    assert "ego" not in read_nuscenes(root).frames[0].masks
    edit(root, "log", lambda rows: rows[0].update(vehicle="n008"))
    back = read_nuscenes(root)
    assert back.mask(back.frames[0], "ego").sum(axis=1).tolist() == [0] * 7 + [12]


@pytest.mark.parametrize(
    ("scene", "height", "hidden"),
    [("scene-0061", 900, 100), ("scene-0164", 900, 146), ("scene-0164", 450, 73)],
)
def test_nuscenes_own_boot_lid_is_as_high_as_published_readers_say(scene, height, hidden, tmp_path):
    camera = Camera("CAM_BACK", np.eye(3), 4, height, np.eye(4))
    front = replace(camera, name="CAM_FRONT")
    nothing = np.zeros(0, np.int64)
    tables = SceneTables(tmp_path, scene, "n015", "singapore", nothing, (), ())
    masks = own_car_masks(tables, {"CAM_FRONT": front, "CAM_BACK": camera})
    assert list(masks) == ["CAM_BACK"]
    assert masks["CAM_BACK"].all(axis=1).tolist() == [False] * (height - hidden) + [True] * hidden
    assert not masks["CAM_BACK"][: height - hidden].any()
    assert not own_car_masks(replace(tables, vehicle="other"), {"CAM_BACK": camera})


def test_every_ddad_picture_has_its_own_pose_and_time_and_given_masks_hide_the_own_car(ddad):
    log = read_nuscenes(ddad)
    assert [(frame.index, frame.key_frame) for frame in log.frames if frame.camera == "CAM_BACK"] == [
        (0, 0),
        (1, 1),
        (2, 2),
    ]
    tables = {
        name: {row["token"]: row for row in rows(ddad, name)} for name in ("ego_pose", "calibrated_sensor")
    }
    data = {row["filename"]: row for row in rows(ddad, "sample_data")}
    from pyquaternion import Quaternion

    for frame in log.frames:
        row = data[frame.image.relative_to(ddad).as_posix()]
        ego = tables["ego_pose"][row["ego_pose_token"]]
        sensor = tables["calibrated_sensor"][row["calibrated_sensor_token"]]
        assert frame.timestamp_us == row["timestamp"]
        place = Quaternion(ego["rotation"]).rotate(np.array(sensor["translation"])) + ego["translation"]
        assert np.abs((log.source_from_world @ frame.world_from_cam)[:3, 3] - place).max() < 1e-9
        turn = (Quaternion(ego["rotation"]) * Quaternion(sensor["rotation"])).rotation_matrix
        assert np.abs(frame.world_from_cam[:3, :3] - turn).max() < 1e-9
    hidden = {frame.camera: 1 - log.valid(frame).mean() for frame in log.frames[:6]}
    assert hidden["CAM_FRONT"] == 0
    assert {name: round(100 * share) for name, share in hidden.items() if share} == {
        "CAM_FRONT_LEFT": 10,
        "CAM_FRONT_RIGHT": 7,
        "CAM_BACK_LEFT": 26,
        "CAM_BACK_RIGHT": 26,
        "CAM_BACK": 19,
    }
    back = next(frame for frame in log.frames if frame.camera == "CAM_BACK")
    assert not log.valid(back)[-1].any(), "the lowest row shows the own car"
    assert log.valid(back)[200].any()
    assert log.licence == ""


def test_tracks_are_keyed_at_the_samples_and_reach_the_pictures_before_the_first(ddad):
    log = read_nuscenes(ddad)
    sample_times = [row["timestamp"] for row in rows(ddad, "sample")]
    assert all(track.timestamps_us.tolist() == sample_times for track in log.tracks)
    first = log.frames[0]
    assert first.timestamp_us < sample_times[0]
    track = max(
        log.tracks, key=lambda t: np.linalg.norm((t.world_from_actor[1] - t.world_from_actor[0])[:3, 3])
    )
    before = track.world_from_actor_at(first.timestamp_us)
    share = (sample_times[0] - first.timestamp_us) / (sample_times[1] - sample_times[0])
    way = track.world_from_actor[1, :3, 3] - track.world_from_actor[0, :3, 3]
    assert np.abs(before[:3, 3] - (track.world_from_actor[0, :3, 3] - share * way)).max() < 1e-9
    assert track.world_from_actor_at(first.timestamp_us - 100_000) is None


def test_the_ddad_spec_trains_on_the_first_and_last_sample_at_half_size(ddad):
    log, spec = open_drive("nuscenes-ddad", data=ddad)
    assert {frame.index for frame in spec.train_frames(log)} == {0, 2}
    assert {frame.index for frame in spec.test_frames(log)} == {1}
    assert len(log.frames) == 18
    assert log.image(log.frames[0]).shape == (304, 484, 3)
    assert log.valid(log.frames[0]).shape == (304, 484)


def test_a_real_recording_is_written_and_read_back_the_same(ddad, tmp_path):
    log = read_nuscenes(ddad)
    back = read_nuscenes(write_nuscenes(log, tmp_path / "copy"))
    assert (back.name, list(back.cameras)) == (log.name, list(log.cameras))
    for ours, theirs in zip(log.frames, back.frames, strict=True):
        assert (theirs.camera, theirs.timestamp_us, theirs.key_frame) == (
            ours.camera,
            ours.timestamp_us,
            ours.key_frame,
        )
        assert np.abs(theirs.world_from_cam - ours.world_from_cam).max() < 1e-9
        assert theirs.image.read_bytes() == ours.image.read_bytes()
    for ours, theirs in zip(log.sweeps, back.sweeps, strict=True):
        assert np.abs(theirs.world_from_lidar - ours.world_from_lidar).max() < 1e-9
        assert theirs.points.read_bytes() == ours.points.read_bytes()
    counted = {row["token"]: row["num_lidar_pts"] for row in rows(ddad, "sample_annotation")}
    written = rows(tmp_path / "copy", "sample_annotation", "v1.0-mini")
    assert sorted(row["num_lidar_pts"] for row in written) == sorted(counted.values())
    assert [track.id for track in back.tracks] == [track.id for track in log.tracks]
    assert np.array_equal(back.mask(back.frames[5], "ego"), log.mask(log.frames[5], "ego"))
    assert devkit(tmp_path / "copy").sample[2]["next"] == ""


def test_a_scene_and_a_version_are_chosen_by_name(drive, tmp_path):
    root = tmp_path / "both"
    write_nuscenes([drive, drive], root, version="v1.0-trainval")
    one = write_nuscenes(drive, tmp_path / "one")
    (one / "v1.0-mini").rename(root / "v1.0-mini")
    assert open_drive(f"nuscenes:{root}#scene-0002")[0].name == "scene-0002"
    assert open_drive(f"nuscenes:{root / 'v1.0-trainval'}")[0].name == "scene-0001"
    _, spec = open_drive(SceneSpec(name="s", drive=f"nuscenes:{root}", scene="scene-0001"))
    assert spec.scene == "scene-0001"
    with pytest.raises(
        DatasetError, match=r"several versions \(v1.0-mini, v1.0-trainval\); name one or a scene"
    ):
        read_nuscenes(root)
    with pytest.raises(DatasetError, match="there is no scene-0103 in v1.0-mini, v1.0-trainval; give one of"):
        read_nuscenes(root, "scene-0103")
    with pytest.raises(SpecError, match="cameras: the drive has no CAM_SIDE; it has CAM_LEFT"):
        open_drive(SceneSpec(name="s", drive=f"nuscenes:{root}", scene="scene-0001", cameras=("CAM_SIDE",)))


def test_missing_and_damaged_tables_are_one_sentence_each(root, tmp_path):
    with pytest.raises(DatasetError, match="nowhere: there is no such folder; give nuScenes' data root"):
        read_nuscenes(tmp_path / "nowhere")
    (tmp_path / "bare").mkdir()
    with pytest.raises(DatasetError, match="bare: there is no folder of nuScenes tables"):
        read_nuscenes(tmp_path / "bare")
    tables = root / "v1.0-mini"
    kept = (tables / "ego_pose.json").read_text()
    (tables / "ego_pose.json").unlink()
    (tables / "map.json").rename(tables / "map.json.part")
    with pytest.raises(
        DatasetError, match=r"2 of nuScenes' 13 tables are missing \(ego_pose.json, map.json\)"
    ):
        read_nuscenes(root)
    (tables / "map.json.part").rename(tables / "map.json")
    (tables / "ego_pose.json").write_text(kept[: len(kept) // 2])
    with pytest.raises(DatasetError, match="v1.0-mini: the nuScenes tables cannot be read"):
        read_nuscenes(root)
    (tables / "ego_pose.json").write_text(kept)
    edit(root, "ego_pose", lambda rows: rows[1:])
    with pytest.raises(DatasetError, match="cannot be read .there is no row or column '[0-9a-f]{32}'"):
        read_nuscenes(root)
    (tables / "scene.json").write_text("[")
    with pytest.raises(DatasetError, match=r"scene\.json: the table cannot be read"):
        read_nuscenes(root)
    assert len(TABLES) == 13


@pytest.mark.parametrize(
    ("table", "column", "value", "sentence"),
    [
        (
            "ego_pose",
            "translation",
            [float("nan"), 0, 0],
            "row [0-9a-f]+ has translation .nan, 0, 0. and rot",
        ),
        ("ego_pose", "rotation", [0, 0, 0, 0], "row [0-9a-f]+ has translation .* and rotation .0, 0, 0, 0."),
        ("sample_annotation", "rotation", [0, 0, 0, 0], "row [0-9a-f]+ has translation"),
        ("calibrated_sensor", "camera_intrinsic", [], "row [0-9a-f]+ has the camera_intrinsic .., not 3 x 3"),
        (
            "calibrated_sensor",
            "camera_intrinsic",
            [[10, 0, float("nan")], [0, 10, 4], [0, 0, 1]],
            "row [0-9a-f]+ has the camera_intrinsic",
        ),
        (
            "calibrated_sensor",
            "camera_intrinsic",
            [[10, 2, 6], [0, 10, 4], [0, 0, 1]],
            "scene-0001 gives CAM_[A-Z]+ the camera_intrinsic .* take the skew out",
        ),
    ],
)
def test_rows_that_hold_no_motion_or_no_camera_are_named(root, table, column, value, sentence):
    edit(root, table, lambda rows: [{**row, column: value} for row in rows])
    with pytest.raises(DatasetError, match=sentence):
        read_nuscenes(root)


def test_a_missing_devkit_names_the_extra(root, monkeypatch):
    monkeypatch.setitem(sys.modules, "nuscenes.nuscenes", None)
    with pytest.raises(BackendUnavailableError, match=r"pip install 'gsrecon\[nuscenes\]'"):
        read_nuscenes(root)


def test_missing_files_are_errors_when_they_are_asked_for_and_a_missing_sweeps_folder_is_none(root):
    log = read_nuscenes(root)
    assert [(frame.index, frame.key_frame) for frame in log.frames] == [(0, 0), (1, None), (2, 1)]
    log.frames[0].image.unlink()
    with pytest.raises(DatasetError, match=r"samples/CAM_BACK/.*\.png: the picture is missing"):
        read_nuscenes(root).image(log.frames[0])
    log.frames[1].image.unlink()
    assert len(read_nuscenes(root).frames) == 3, "a single missing file is somebody's mistake"
    log.frames[1].image.parent.rmdir()
    assert [frame.index for frame in read_nuscenes(root).frames] == [0, 2]
    assert len(read_nuscenes(root).sweeps) == 3, "the lidar's own folder is there"


def test_poses_of_one_camera_need_not_share_a_calibration_but_its_lens_must(root):
    edit(
        root,
        "calibrated_sensor",
        lambda rows: rows.append({**rows[0], "token": "b" * 32, "translation": [9, 0, 0]}),
    )
    edit(root, "sample_data", lambda rows: rows[2].update(calibrated_sensor_token="b" * 32))
    log = read_nuscenes(root)
    ego = log.world_from_ego[-1]
    assert np.abs((np.linalg.inv(ego) @ log.frames[2].world_from_cam)[:3, 3] - [9, 0, 0]).max() < 1e-9
    edit(root, "calibrated_sensor", lambda rows: rows[-1]["camera_intrinsic"][0].__setitem__(0, 77.0))
    with pytest.raises(DatasetError, match="gives CAM_BACK two calibrations or sizes"):
        read_nuscenes(root)


def test_pictures_of_a_lens_that_the_tables_name_are_undistorted_and_so_written(root, tmp_path):
    edit(root, "calibrated_sensor", lambda rows: rows[0].update(camera_distortion=[-0.2, 0.02, 0.0, 0.0]))
    log = read_nuscenes(root)
    camera = log.cameras["CAM_BACK"]
    assert camera.recorded_lens.coefficients == (-0.2, 0.02, 0.0, 0.0, 0.0)
    assert camera.recorded_lens.K.tolist() == [[10, 0, 6], [0, 10, 4], [0, 0, 1]]
    assert camera.K[0, 0] != 10
    written = write_nuscenes(log, tmp_path / "again", settings=NuscenesSettings(pictures="png"))
    back = read_nuscenes(written)
    assert back.cameras["CAM_BACK"].recorded_lens is None
    assert np.array_equal(back.image(back.frames[0]), log.image(log.frames[0]))
    assert np.array_equal(back.valid(back.frames[0]), log.valid(log.frames[0]))
    edit(root, "calibrated_sensor", lambda rows: rows[0].update(camera_distortion=[0.1, 0, 0, 0, 0, 0.2]))
    with pytest.raises(DatasetError, match="more than k1, k2, p1, p2, k3 are given"):
        read_nuscenes(root)


def test_a_mask_of_another_size_is_named(root):
    save_png(root / "masks" / "scene-0001" / "CAM_BACK.png", np.zeros((4, 12), np.uint8))
    with pytest.raises(DatasetError, match=r"CAM_BACK\.png: the mask is 12 x 4, but the pictures are 12 x 8"):
        read_nuscenes(root)


def test_an_object_with_one_key_and_a_scene_without_boxes_are_read_and_told(root):
    (track,) = read_nuscenes(root).tracks
    assert track.timestamps_us.tolist() == [1_000_000]
    assert "1 have a single key" in track_findings(read_nuscenes(root))[0].message
    edit(root, "sample_annotation", lambda rows: [])
    assert read_nuscenes(root).tracks == ()
    assert "the drive has no boxes" in track_findings(read_nuscenes(root))[0].message


def test_a_box_that_jumps_is_read_as_it_is_and_left_to_the_preflight(ddad, tmp_path):
    root = write_nuscenes(read_nuscenes(ddad).select(cameras=["CAM_FRONT"]), tmp_path / "copy")
    edit(
        root,
        "sample_annotation",
        lambda rows: rows[1]["translation"].__setitem__(0, rows[1]["translation"][0] + 9),
    )
    log = read_nuscenes(root)
    (found,) = [finding for finding in track_findings(log) if finding.severity != "note"]
    assert log.tracks[0].id in found.where
    assert "9.0 m off an even motion" in found.message


def test_the_trajectory_is_the_lidars_and_reaches_to_the_first_and_last_picture(one, root):
    log = read_nuscenes(one)
    lidar = log.sweeps[0].timestamp_us
    assert log.ego_timestamps_us.tolist() == [log.frames[0].timestamp_us, lidar]
    assert log.world_from_ego[0, :3, 3].tolist() == [0, 0, 0]
    assert np.abs(log.source_from_world[:3, 3] - [411.44497804, 1181.26318939, 0.0]).max() < 1e-6
    small = read_nuscenes(root)
    assert small.ego_timestamps_us.tolist() == [1_000_000, 1_100_000, 1_200_000]


def test_a_selection_may_start_at_a_key_frame(root):
    spec = SceneSpec(name="s", drive=f"nuscenes:{root}", start_keyframe=1)
    log, _ = open_drive(spec)
    assert [frame.index for frame in log.frames] == [2]
    with pytest.raises(SpecError, match="CAM_BACK has 2 key frames, so none is number 2"):
        open_drive(replace(spec, start_keyframe=2))
