"""Labelled data sets of a hand-made street: written, read back, stopped, gone on with, tampered with."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gsrecon.datasets.coco import mask_of, open_coco
from gsrecon.datasets.export import export_dataset, work_folder
from gsrecon.datasets.labeled import LabelRules
from gsrecon.datasets.rendering import depth_picture
from gsrecon.datasets.verify import TOLERANCE_PX, contact_sheet, verify
from gsrecon.errors import DatasetError
from gsrecon.labels.edited_tracks import edited_tracks
from gsrecon.labels.rig_paths import Rig
from gsrecon.labels.subjects import subjects
from gsrecon.scene.bundle import save_scene
from gsrecon.scene.edits import Duplicate, Remove, apply_edits, fresh_copy
from tests.datasets.exports import PROVENANCE, contents, export, job_of
from tests.labels.street import street_labeler, street_scene

FORMATS = ("nuscenes", "kitti", "coco", "yolo", "openlane")


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_reads_back_and_every_label_projects_to_where_it_is(scene, tmp_path, format):
    card = export(scene, format, tmp_path / "data")
    assert card["pictures"] == 12
    assert card["labels"] > 12
    assert not work_folder(tmp_path / "data").exists()
    verdict = verify(tmp_path / "data")
    assert verdict.findings.problems == []
    assert verdict.findings.worst_px < TOLERANCE_PX
    assert verdict.agrees
    assert sum(verdict.findings.counts.values()) > 12
    assert contact_sheet(verdict).shape[2] == 3


@pytest.mark.parametrize("format", FORMATS)
def test_random_takes_between_frames_read_back(scene, tmp_path, format):
    job = job_of(scene, takes=2, lateral_m=0.8, yaw_deg=8.0, height_m=0.1, seed=3)
    card = export(scene, format, tmp_path / "data", job)
    assert card["pictures"] == 24
    assert verify(tmp_path / "data").agrees


def test_the_card_names_source_licence_rules_and_what_was_left_out(scene, tmp_path):
    rules = LabelRules(visible_px=50)
    card = export(scene, "coco", tmp_path / "data", rules=rules)
    stored = json.loads((tmp_path / "data" / "gsrecon" / "card.json").read_text())
    assert stored == card
    assert stored["licence of the source"] == "made up"
    assert stored["rules"]["visible_px"] == 50
    assert stored["left out"]["hidden"] >= 6  # the object behind the near car, in every picture of one camera
    assert len(stored["scene sha256"]) == 64


def test_pictures_without_an_object_are_kept(scene, tmp_path):
    card = export(scene, "coco", tmp_path / "data", rules=LabelRules(visible_px=10**6))
    assert card["labels"] == 0
    assert card["pictures without an object"] == 12
    assert len(open_coco(tmp_path / "data" / "annotations.json").getImgIds()) == 12
    assert verify(tmp_path / "data").agrees


def test_views_that_are_not_trusted_are_left_out(scene, tmp_path):
    card = export(scene, "yolo", tmp_path / "data", rules=LabelRules(view_trust=1.0))
    assert card["pictures"] == 0
    assert card["left out"]["pictures not trusted"] == 12


def test_two_processes_write_what_one_does(scene, tmp_path):
    job = job_of(scene, takes=2)
    export(scene, "coco", tmp_path / "one", job)
    export(scene, "coco", tmp_path / "two", job, workers=2)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


class _StoppedError(Exception):
    pass


def stop_after(views: int) -> Callable[[int], None]:
    done = 0

    def on_views(count: int) -> None:
        nonlocal done
        done += count
        if done >= views:
            raise _StoppedError

    return on_views


def test_a_stopped_export_goes_on_and_equals_one_that_was_not(scene, tmp_path):
    export(scene, "nuscenes", tmp_path / "whole")
    for _ in range(3):
        with pytest.raises(_StoppedError):
            export(scene, "nuscenes", tmp_path / "stopped", on_views=stop_after(2))
        assert not (tmp_path / "stopped").exists()
    left = next(work_folder(tmp_path / "stopped").rglob("moment.json")).parent / ".front.1.partial.png"
    left.write_bytes(b"half a picture")
    export(scene, "nuscenes", tmp_path / "stopped")
    assert contents(tmp_path / "whole") == contents(tmp_path / "stopped")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["stopped", "whole"]


def test_another_job_does_not_go_on_with_what_one_began(scene, tmp_path):
    with pytest.raises(_StoppedError):
        export(scene, "coco", tmp_path / "data", on_views=stop_after(2))
    with pytest.raises(DatasetError, match="the beginning of another export"):
        export(scene, "coco", tmp_path / "data", job_of(scene, takes=1))


def test_a_folder_that_holds_something_is_not_touched(scene, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("words")
    with pytest.raises(DatasetError, match="exists already and is not empty"):
        export(scene, "coco", tmp_path / "mine")
    assert contents(tmp_path / "mine") == {"thesis.txt": b"words"}


def test_a_full_disk_ends_with_one_sentence_and_the_work_goes_on_later(scene, tmp_path, monkeypatch):
    real = os.replace

    def full(source, target):
        if "moment.json" in str(target) and "000003" in str(target):
            raise OSError(28, "No space left on device")
        real(source, target)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(DatasetError, match="No space left on device"):
        export(scene, "coco", tmp_path / "data")
    monkeypatch.setattr(os, "replace", real)
    export(scene, "coco", tmp_path / "data")
    assert verify(tmp_path / "data").agrees


def damage(folder: Path, format: str) -> None:
    """Changes or removes one label of a data set."""
    if format == "coco":
        path = folder / "annotations.json"
        content = json.loads(path.read_text())
        content["annotations"][0]["bbox"][0] += 2
        path.write_text(json.dumps(content))
    elif format == "kitti":
        path = next(p for p in sorted((folder / "training" / "label_2").iterdir()) if p.read_text())
        words = path.read_text().split(" ")
        words[11] = str(float(words[11]) + 0.3)  # x of the box [m]
        path.write_text(" ".join(words))
    elif format == "yolo":
        path = next(p for p in sorted((folder / "labels").iterdir()) if p.read_text())
        path.write_text("\n".join(path.read_text().splitlines()[1:]) + "\n")
    elif format == "openlane":
        path = next(
            p for p in sorted((folder / "lane3d").iterdir()) if json.loads(p.read_text())["lane_lines"]
        )
        content = json.loads(path.read_text())
        content["lane_lines"][0]["xyz"][1][0] += 0.5
        path.write_text(json.dumps(content))
    else:
        path = folder / "v1.0-mini" / "sample_annotation.json"
        content = json.loads(path.read_text())
        content[0]["translation"][0] += 0.3
        path.write_text(json.dumps(content))


@pytest.mark.parametrize("format", FORMATS)
def test_a_label_that_was_moved_or_lost_is_found(scene, tmp_path, format):
    export(scene, format, tmp_path / "data")
    damage(tmp_path / "data", format)
    assert not verify(tmp_path / "data").agrees


def test_a_truncated_picture_is_found(scene, tmp_path):
    export(scene, "coco", tmp_path / "data")
    path = next(iter(sorted((tmp_path / "data" / "images").iterdir())))
    whole = path.read_bytes()
    path.unlink()  # it may be one file with another name
    path.write_bytes(whole[: len(whole) // 2])
    verdict = verify(tmp_path / "data")
    assert not verdict.agrees
    assert "missing or damaged" in verdict.findings.problems[0]


def test_verify_refuses_a_folder_that_is_no_export(tmp_path):
    with pytest.raises(DatasetError, match="no gsrecon/card.json in it"):
        verify(tmp_path)


def test_coco_masks_are_the_instance_pictures(scene, tmp_path):
    export(scene, "coco", tmp_path / "data")
    coco = open_coco(tmp_path / "data" / "annotations.json")
    for label in coco.loadAnns(coco.getAnnIds()):
        mask = mask_of(label["segmentation"])
        x, y, width, height = label["bbox"]
        assert mask.sum() == label["area"] > 0
        assert mask[int(y) : int(y + height), int(x) : int(x + width)].sum() == mask.sum()
        assert 0.05 <= label["visible_fraction"] <= 1


def test_a_fisheye_camera_is_refused_where_the_format_knows_pinholes_only(scene, tmp_path):
    graph = scene[1]
    recording = replace(
        graph.recording,
        cameras={name: replace(lens, model="fisheye") for name, lens in graph.recording.cameras.items()},
    )
    with pytest.raises(DatasetError, match="pinholes only"):
        export_dataset(job_of(scene), recording, PROVENANCE, "kitti", tmp_path / "data")


def test_pictures_are_those_of_the_scene(scene, tmp_path):
    export(scene, "yolo", tmp_path / "data")
    log, graph, _ = scene
    planned = Rig(graph.recording, None).recorded(0.5)[0]
    lens = graph.recording.cameras[planned.camera]
    view = street_labeler(log, graph).view(graph, lens, planned.world_from_cam, planned.timestamp_us)
    stored = np.asarray(Image.open(tmp_path / "data" / "images" / "000_000000_front.png"))
    np.testing.assert_array_equal(stored, view.image)


def test_edits_are_applied_named_in_the_card_and_followed_by_the_labels(scene, tmp_path):
    edits = (Remove("near"), Duplicate("walker", "twin", (3.0, -1.0, 0.0)))
    log = scene[0]
    apply_edits(edited := fresh_copy(scene[1]), edits)
    job = replace(job_of(scene), subjects=subjects(edited_tracks(log.tracks, edits, edited)), edits=edits)
    provenance = replace(PROVENANCE, edits=edits)
    card = export_dataset(job, scene[1].recording, provenance, "coco", tmp_path / "data")
    assert card["edits"][0] == {"do": "remove", "object": "near"}
    assert card["edits"][1]["as"] == "twin"
    labels = json.loads((tmp_path / "data" / "annotations.json").read_text())["annotations"]
    assert {label["track_id"] for label in labels} == {"far", "hidden", "walker", "twin"}
    assert verify(tmp_path / "data").agrees


def test_instance_semantic_and_depth_pictures_are_written_where_asked_for(scene, tmp_path):
    job = replace(job_of(scene), id_pictures=True)
    export(scene, "coco", tmp_path / "data", job)
    folder = tmp_path / "data" / "gsrecon"
    ids = json.loads((folder / "ids.json").read_text())
    assert ids["instance"]["1"] == "near"
    assert ids["semantic"] == {"0": "background", "1": "sky", "2": "car", "3": "pedestrian"}
    name = "000_000000_front.png"
    instance, semantic, depth = (
        np.asarray(Image.open(folder / kind / name)) for kind in ("instance", "semantic", "depth")
    )
    near = instance == 1
    assert near.sum() > 100
    assert (semantic[near] == 2).all()
    # The rear of the near car stands 10 m from world's origin, the camera 0.5 m before it.
    assert np.median(depth[near]) / 256 == pytest.approx(9.5, abs=0.2)


def test_a_depth_that_does_not_fit_into_a_depth_picture_is_none_and_not_a_nearer_one():
    depth = np.array([[0.0, 9.5, 255.9, 256.0, 400.0]], dtype=np.float32)
    assert depth_picture(depth).tolist() == [[0, 9.5 * 256, 65510, 0, 0]]


def test_an_export_that_is_complete_is_recognised(scene, tmp_path):
    card = export(scene, "yolo", tmp_path / "data")
    assert export(scene, "yolo", tmp_path / "data") == card
    with pytest.raises(DatasetError, match="not empty"):
        export(scene, "yolo", tmp_path / "data", job_of(scene, takes=1))


@pytest.mark.parametrize(("format", "rules"), [("yolo", None), ("coco", LabelRules(visible_px=50))])
def test_a_complete_export_in_another_form_is_not_taken_for_this_one(scene, tmp_path, format, rules):
    job = job_of(scene, None)
    card = export(scene, "coco", tmp_path / "data", job)
    with pytest.raises(DatasetError, match="exists already"):
        export(scene, format, tmp_path / "data", job, rules=rules)
    assert json.loads((tmp_path / "data" / "gsrecon" / "card.json").read_text()) == card


def test_work_that_nobody_signed_is_not_gone_on_with(scene, tmp_path):
    work_folder(tmp_path / "data").mkdir()
    (work_folder(tmp_path / "data") / "take-000").mkdir()
    with pytest.raises(DatasetError, match="holds something else"):
        export(scene, "coco", tmp_path / "data")


def test_camera_names_with_slashes_become_file_names(scene, tmp_path):
    log, graph, _ = scene
    cameras = {name.replace("_", "/"): lens for name, lens in graph.recording.cameras.items()}
    recording = replace(
        graph.recording,
        cameras={name: replace(lens, name=name) for name, lens in cameras.items()},
        frames=tuple(replace(f, camera=f.camera.replace("_", "/")) for f in graph.recording.frames),
    )
    odd = street_scene(log)
    odd.recording = recording
    save_scene(odd, tmp_path / "scene")
    views = tuple(replace(view, camera=view.camera.replace("_", "/")) for view in job_of(scene).views)
    job = replace(job_of(scene), scene=tmp_path / "scene", views=views)
    export_dataset(job, recording, PROVENANCE, "yolo", tmp_path / "data")
    assert (tmp_path / "data" / "labels" / "000_000000_front%2Fleft.txt").is_file()
    assert verify(tmp_path / "data").agrees


def test_a_box_without_size_is_refused_before_anything_is_rendered(scene, tmp_path):
    tracks = scene[0].tracks
    flat = replace(tracks[0], size_lwh=np.array([4.0, 1.8, 0.0]))
    job = replace(job_of(scene), subjects=subjects((flat, *tracks[1:])))
    with pytest.raises(DatasetError, match="the box of 'near' has no size"):
        export(scene, "coco", tmp_path / "data", job)
    assert list(tmp_path.iterdir()) == []


def test_a_class_that_a_format_does_not_know_is_kept_by_name_or_as_misc(scene, tmp_path):
    tracks = tuple(replace(track, category="hovercraft") for track in scene[0].tracks)
    job = replace(job_of(scene), subjects=subjects(tracks))
    for format in ("coco", "nuscenes", "kitti"):
        export(scene, format, tmp_path / format, job)
        assert verify(tmp_path / format).agrees
    content = json.loads((tmp_path / "coco" / "annotations.json").read_text())
    assert [row["name"] for row in content["categories"]] == ["hovercraft"]
    lines = (tmp_path / "kitti" / "training" / "label_2" / "000000.txt").read_text().splitlines()
    assert {line.split()[0] for line in lines} == {"Misc"}
