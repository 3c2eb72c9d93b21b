"""EGSRAL's tables beside ours: specs, tables, the toy's layouts, and the whole way on the toy drive."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from gsrecon.data.kitti import read_kitti_raw
from gsrecon.data.spec import find_spec, open_drive
from scripts import reproduce_egsral as reproduce
from scripts.egsral import toy
from scripts.egsral.kitti_writing import write_kitti_raw
from scripts.egsral.results import Reached, tables
from tests.datasets.small_drives import toy_log

ONE = Reached(60, 25.126, 0.8, None, 30_000, 1234.5, 2048.0, 5000)


def test_every_spec_of_the_tables_is_packaged():
    assert len(reproduce.SPECS) == 11
    for spec in reproduce.SPECS:
        assert find_spec(spec).description


def test_tables_show_the_paper_beside_ours_and_invent_nothing():
    other = replace(ONE, psnr=27.0, lpips=0.25, memory_mib=1024.0)
    told = tables({"nuscenes-s-0164": ONE, "nuscenes-s-0209": other}, {"kitti-city": "no data"}, "Ours: so.")
    assert "| EGSRAL, as published |  | 29.04 | not known | not known |  |  |  |" in told
    assert "| nuscenes-s-0164 | 60 | 25.13 | 0.8000 | not computed | 30,000 | 1,234 | 2,048 |" in told
    # A mean over scenes of which one has no LPIPS is none.
    assert "mean of 2 of 4 scenes | 120 | 26.06 | 0.8000 | not computed | 30,000 | 2,469 | 2,048 |" in told
    assert "AlexNet" in told
    assert "- kitti-city: no data" in told
    assert "nuScenes-D" not in told


def test_a_scene_without_data_says_which_option_names_it(tmp_path, capsys):
    words = ["--only", "kitti-city", "nuscenes-s-0164", "--out", str(tmp_path)]
    assert reproduce.main(words) == 1
    said = capsys.readouterr().out
    assert "kitti-city: the path of its data was not given (--kitti)" in said
    assert "nuscenes-s-0164: the path of its data was not given (--nuscenes)" in said


def test_a_finished_scene_is_not_trained_again(tmp_path, capsys):
    """There is no data: training would fail."""
    setting = reproduce.Setting(7, "deformation-dynamics")
    run = tmp_path / "kitti-city"
    run.mkdir()
    kept = {"setting": setting.as_json, "reached": asdict(ONE)}
    (run / "result.json").write_text(json.dumps(kept))
    words = ["--only", "kitti-city", "--out", str(tmp_path)]
    assert reproduce.main([*words, "--steps", "7"]) == 0
    assert "| kitti-city | 60 | 25.13 |" in (tmp_path / "tables.md").read_text()
    assert json.loads((tmp_path / "results.json").read_text())["reached"]["kitti-city"] == asdict(ONE)
    # With other settings it is not that result.
    assert reproduce.main([*words, "--steps", "8"]) == 1


def test_a_result_stands_for_the_data_it_was_reached_on_alone(tmp_path, monkeypatch):
    """Toy results are never taken for real ones, nor those of one folder for another's."""
    trained = []

    def gsrecon(words):
        trained.append(words[words.index("--data") + 1])
        return ""

    def toy_kitti(folder):
        folder.mkdir(parents=True)

    monkeypatch.setattr(reproduce, "_gsrecon", gsrecon)
    monkeypatch.setattr(reproduce, "toy_kitti", toy_kitti)
    monkeypatch.setattr(Reached, "in_run", staticmethod(lambda folder: ONE))
    (tmp_path / "out" / "kitti-city").mkdir(parents=True)
    words = ["--only", "kitti-city", "--out", str(tmp_path / "out")]
    toy_words = [*words, "--toy", str(tmp_path / "toy")]
    assert reproduce.main(toy_words) == 0
    assert "on the toy drive" in (tmp_path / "out" / "tables.md").read_text()
    assert reproduce.main(toy_words) == 0
    assert reproduce.main(words) == 1  # a toy result is none
    assert trained == [str(tmp_path / "toy" / "kitti")]
    one, other = str(tmp_path / "one"), str(tmp_path / "other")
    for place in (one, one, other):
        assert reproduce.main([*words, "--kitti", place]) == 0
    assert trained[1:] == [one, other]
    assert "toy" not in (tmp_path / "out" / "tables.md").read_text()
    assert reproduce.main(words) == 0  # it is there, wherever its data were


def test_a_wider_run_does_not_take_the_toy_scenes_of_a_narrow_one(tmp_path, monkeypatch):
    written = []

    def toy_nuscenes(specs, folder):
        written.append((tuple(specs), folder))
        folder.mkdir(parents=True)

    monkeypatch.setattr(reproduce, "toy_nuscenes", toy_nuscenes)
    one, two = ["nuscenes-s-0164"], ["nuscenes-s-0164", "nuscenes-d-0103"]
    assert reproduce._toy(one, tmp_path) == (tmp_path / "nuscenes-0164", tmp_path / "kitti")
    assert reproduce._toy(two, tmp_path)[0] == reproduce._toy(two[::-1], tmp_path)[0]
    assert [set(specs) for specs, _ in written] == [set(one), set(two)]
    assert len({folder for _, folder in written}) == 2


def test_the_root_of_kitti_raw_names_the_drive_too(tmp_path):
    drive = tmp_path / toy.KITTI_DRIVE
    drive.mkdir(parents=True)
    for place in (tmp_path, drive.parent, drive):
        assert reproduce._kitti_drive(place) == drive


def test_a_drive_in_kittis_layout_reads_back(tmp_path):
    log = toy_log()
    drive = tmp_path / "2011_09_28" / "2011_09_28_drive_0002_sync"
    write_kitti_raw(log, drive)
    back = read_kitti_raw(drive)
    front = [frame for frame in log.frames if frame.camera == "front"]
    assert [frame.timestamp_us for frame in back.frames] == [frame.timestamp_us for frame in front]
    camera = back.cameras["image_02"]
    np.testing.assert_allclose(camera.K, log.cameras["front"].K, atol=1e-9)
    np.testing.assert_allclose(camera.ego_from_cam, log.cameras["front"].ego_from_cam, atol=1e-9)
    # Both worlds begin at their first ego pose, with the same axes.
    for ours, theirs in zip(back.frames, front, strict=True):
        np.testing.assert_allclose(ours.world_from_cam[:3, :3], theirs.world_from_cam[:3, :3], atol=1e-7)
        moved = theirs.world_from_cam[:3, 3] - front[0].world_from_cam[:3, 3]
        np.testing.assert_allclose(
            ours.world_from_cam[:3, 3] - back.frames[0].world_from_cam[:3, 3], moved, atol=1e-5
        )
        assert (back.image(ours) == log.image(theirs)).all()
    assert len(back.sweeps) == len(log.sweeps)
    np.testing.assert_array_equal(back.points(back.sweeps[3]), log.points(log.sweeps[3])[:, :3])


@pytest.mark.slow
def test_the_whole_way_on_the_toy_drive(tmp_path, capfd):
    """Three scenes, one of every table; two minutes on a busy machine."""
    specs = ["nuscenes-s-0164", "nuscenes-d-0103", "kitti-city"]
    few = ["initial.lidar=300", "initial.beyond-lidar=50", "sky-resolution=8"]
    words = ["--toy", str(tmp_path / "toy"), "--out", str(tmp_path / "out"), "--steps", "20"]
    words += [*(f"--train=--{option}" for option in few), "--only", *specs]
    assert reproduce.main(words) == 0
    results = json.loads((tmp_path / "out" / "results.json").read_text())["reached"]
    assert results.keys() == set(specs)
    # 240 pictures of which every fourth is held out; frames 0, 10 of KITTI's 11.
    assert results["nuscenes-s-0164"]["pictures"] == 60
    assert results["kitti-city"]["pictures"] == 2
    assert all(result["iterations"] == 20 and result["psnr"] > 10 for result in results.values())
    log, spec = open_drive("nuscenes-s-0164", tmp_path / "toy" / "nuscenes-0103-0164")
    listed = [frame for name in log.cameras for frame in log.frames if frame.camera == name]
    held_out = {id(frame) for frame in spec.test_frames(log)}
    assert [number for number, frame in enumerate(listed) if id(frame) in held_out] == [*range(0, 240, 4)]
    assert log.frames[0].index == 120
    capfd.readouterr()
    assert reproduce.main(words) == 0
    assert "--- kitti-city" not in capfd.readouterr().out
