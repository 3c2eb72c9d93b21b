"""Sweeps, boxes at samples and what the devkit makes of them, in exports of a hand-made street."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gsrecon.datasets.labeled import LabelRules
from gsrecon.datasets.verify import verify
from gsrecon.datasets.verify_kitti import read_calibration, read_label
from gsrecon.labels.lidar import LidarSpec
from gsrecon.labels.subjects import subjects
from gsrecon.scene.bundle import save_scene
from tests.datasets.exports import SMALL_LIDAR, export, job_of
from tests.labels.street import START_US, Thing, street_log, street_scene, with_times


def test_kitti_points_fall_on_the_objects_they_hit(scene, tmp_path):
    export(scene, "kitti", tmp_path / "data", job_of(scene, LidarSpec(beams=24, azimuths=360)))
    in_cam, boxes = points_and_boxes(tmp_path / "data" / "training", "000000")
    inside = 0
    for box in boxes:
        away = (in_cam - box.cam_from_actor[:3, 3]) @ box.cam_from_actor[:3, :3]
        inside += int((np.abs(away) <= 0.5 * box.size_lwh + 0.05).all(axis=1).sum())
    assert inside > 20


def test_kitti_points_on_a_moving_object_are_where_it_is_when_the_picture_is_taken(tmp_path):
    # The second camera looks 8 ms after the first, whose time is the sweep's.
    speed = 20.0
    log = street_log((Thing("fast", "car", (4.0, 1.8, 1.5), (8.0, 6.0, 0.75), speed),))
    graph = street_scene(log)
    save_scene(graph, tmp_path / "scene")
    drive = log, graph, tmp_path / "scene"
    export(drive, "kitti", tmp_path / "data", job_of(drive, LidarSpec(beams=24, azimuths=720)))
    along = []
    for stem in ("000000", "000001"):
        in_cam, (box,) = points_and_boxes(tmp_path / "data" / "training", stem)
        away = (in_cam - box.cam_from_actor[:3, 3]) @ box.cam_from_actor[:3, :3]
        own = away[(np.abs(away) <= 0.5 * box.size_lwh + 0.3).all(axis=1) & (away[:, 2] > -0.5)]
        assert len(own) > 20
        along.append(own[:, 0].mean())
    assert abs(along[1] - along[0]) < 0.1 * speed * 0.008


def points_and_boxes(root: Path, stem: str):
    """A sweep in the camera of its picture, and the picture's boxes."""
    points = np.fromfile(root / "velodyne" / f"{stem}.bin", dtype="<f4").reshape(-1, 4)[:, :3]
    matrices = read_calibration(root / "calib" / f"{stem}.txt")
    lines = (root / "label_2" / f"{stem}.txt").read_text().splitlines()
    in_cam = points @ matrices["Tr_velo_to_cam"][:, :3].T + matrices["Tr_velo_to_cam"][:, 3]
    return in_cam, [read_label(line)[2] for line in lines]


def test_nuscenes_points_name_their_object(scene, tmp_path):
    export(scene, "nuscenes", tmp_path / "data", job_of(scene, LidarSpec(beams=24, azimuths=360)))
    names = json.loads((tmp_path / "data" / "lidar_objects.json").read_text())
    files = sorted((tmp_path / "data" / "lidar_objects").iterdir())
    sweeps = sorted((tmp_path / "data" / "samples" / "LIDAR_TOP").iterdir())
    assert len(files) == len(sweeps) == 6
    seen = set()
    for numbers, points in zip(files, sweeps, strict=True):
        assert numbers.name == f"{points.name}.npy"
        ids = np.load(numbers)
        assert len(ids) == points.stat().st_size // 20
        seen |= {names["scene-0001"][str(number)] for number in np.unique(ids[ids > 0])}
    instances = json.loads((tmp_path / "data" / "v1.0-mini" / "instance.json").read_text())
    assert seen <= {row["token"] for row in instances}
    assert len(seen) == 3


def test_nuscenes_levels_are_measured_and_the_devkits_detection_evaluation_runs(scene, tmp_path):
    export(scene, "nuscenes", tmp_path / "data", job_of(scene, LidarSpec(beams=24, azimuths=360)))
    table = json.loads((tmp_path / "data" / "v1.0-mini" / "sample_annotation.json").read_text())
    assert {row["visibility_token"] for row in table} <= {"1", "2", "3", "4"}
    instances = json.loads((tmp_path / "data" / "v1.0-mini" / "instance.json").read_text())
    assert len(instances) == 3  # the hidden object is not annotated
    assert any(row["num_lidar_pts"] > 10 for row in table)
    assert perfect_map(tmp_path / "data", tmp_path / "eval") == pytest.approx(1.0, abs=1e-6)


def perfect_map(root: Path, work: Path) -> float:
    """Mean average precision, over classes that are there, of detections that are the annotations."""
    nuscenes = pytest.importorskip("nuscenes", reason="the extra nuscenes is not installed")
    from nuscenes.eval.common.config import config_factory
    from nuscenes.eval.detection.evaluate import NuScenesEval

    tables = nuscenes.NuScenes("v1.0-mini", str(root), verbose=False)
    words = {"vehicle.car": "car", "human.pedestrian.adult": "pedestrian"}
    results = {sample["token"]: [] for sample in tables.sample}
    for label in tables.sample_annotation:
        word = words[label["category_name"]]
        results[label["sample_token"]].append(
            {
                "sample_token": label["sample_token"],
                "translation": label["translation"],
                "size": label["size"],
                "rotation": label["rotation"],
                "velocity": [0.0, 0.0],
                "detection_name": word,
                "detection_score": 0.9,
                "attribute_name": "vehicle.parked" if word == "car" else "pedestrian.moving",
            }
        )
    meta = dict.fromkeys(("use_camera", "use_lidar", "use_radar", "use_map", "use_external"), False)
    work.mkdir()
    (work / "results.json").write_text(json.dumps({"meta": meta, "results": results}))
    judge = NuScenesEval(
        tables,
        config_factory("detection_cvpr_2019"),
        str(work / "results.json"),
        "rendered",
        str(work),
        verbose=False,
    )
    metrics, _ = judge.evaluate()
    return float(np.mean([metrics.mean_dist_aps[word] for word in words.values()]))


@pytest.mark.parametrize("format", ["nuscenes", "kitti"])
def test_without_lidar_boxes_are_annotated_all_the_same(scene, tmp_path, format):
    card = export(scene, format, tmp_path / "data", job_of(scene, None))
    assert card["labels"] > 12
    verdict = verify(tmp_path / "data")
    assert verdict.agrees
    assert verdict.findings.counts["3D boxes"] > 12


@pytest.mark.parametrize(
    ("lidar", "expected_ms"), [(SMALL_LIDAR, [0, 30, 100, 200, 300]), (None, [30, 40, 140, 240, 300])]
)
def test_samples_and_boxes_are_in_order_where_cameras_keep_their_own_time(tmp_path, lidar, expected_ms):
    # The second picture of `right` finds no place in the first moment, and comes before that of `front`.
    log = street_log()
    graph = street_scene(log)
    times_ms = {"front": [40, 140, 240], "left": [0, 100, 200, 300], "right": [20, 30, 120, 220]}
    graph.recording = with_times(graph.recording, times_ms)
    save_scene(graph, tmp_path / "scene")
    drive = log, graph, tmp_path / "scene"
    card = export(drive, "nuscenes", tmp_path / "data", job_of(drive, lidar))
    assert card["pictures"] == 11
    verdict = verify(tmp_path / "data")
    assert verdict.findings.problems == []
    samples = json.loads((tmp_path / "data" / "v1.0-mini" / "sample.json").read_text())
    assert [(row["timestamp"] - START_US) // 1000 for row in samples] == expected_ms


def test_without_lidar_a_sample_has_the_time_of_its_latest_picture_that_is_kept(scene, tmp_path):
    job = job_of(scene, None)
    far = np.array([[1.0, 0, 0, 0], [0, 1, 0, 40], [0, 0, 1, 0], [0, 0, 0, 1]])
    views = tuple(  # the later camera of each moment is where nobody ever was
        replace(view, world_from_cam=far @ view.world_from_cam) if view.camera == "front_left" else view
        for view in job.views
    )
    rules = LabelRules(view_trust=0.3)
    card = export(scene, "nuscenes", tmp_path / "data", replace(job, views=views), rules=rules)
    assert card["left out"]["pictures not trusted"] == 6
    verdict = verify(tmp_path / "data")
    assert verdict.findings.problems == []
    assert verdict.findings.counts["3D boxes"] == card["labels"]
    samples = json.loads((tmp_path / "data" / "v1.0-mini" / "sample.json").read_text())
    fronts = [view.timestamp_us for view in views if view.camera == "front"]
    assert [row["timestamp"] for row in samples] == fronts
    walker = next(track for track in scene[0].tracks if track.id == "walker")
    for line in (tmp_path / "data" / "gsrecon" / "views.jsonl").read_text().splitlines():
        view = json.loads(line)
        expected = walker.world_from_actor_at(view["timestamp_us"])
        np.testing.assert_allclose(view["moment_poses"]["walker"], expected, atol=1e-6)


def test_points_of_the_rendered_sweep_are_counted_for_each_object(scene, tmp_path):
    export(scene, "nuscenes", tmp_path / "data", job_of(scene, LidarSpec(beams=24, azimuths=360)))
    first = json.loads((tmp_path / "data" / "gsrecon" / "views.jsonl").read_text().splitlines()[0])
    points = {thing["id"]: thing["lidar_points"] for thing in first["objects"]}
    assert points["near"] > 20
    assert points["hidden"] < points["near"]


def test_ids_of_a_tokens_form_survive_two_takes(scene, tmp_path):
    log = scene[0]
    renamed = replace(log, tracks=tuple(replace(t, id=f"{k:032x}") for k, t in enumerate(log.tracks)))
    save_scene(street_scene(renamed), tmp_path / "scene")
    job = replace(job_of(scene, takes=2), scene=tmp_path / "scene", subjects=subjects(renamed.tracks))
    export(scene, "nuscenes", tmp_path / "data", job)
    verdict = verify(tmp_path / "data")
    assert verdict.findings.problems == []
    assert verdict.findings.counts["3D boxes"] > 24
