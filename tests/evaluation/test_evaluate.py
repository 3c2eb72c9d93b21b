"""Scores of held-out pictures on a drive whose right answers are known."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from gsrecon.data.log import DrivingLog
from gsrecon.errors import DatasetError, SpecError
from gsrecon.evaluation.evaluate import EvaluateConfig, evaluate, held_out
from gsrecon.evaluation.export import export_ply
from gsrecon.evaluation.gallery import Gallery, ScoredPicture
from gsrecon.evaluation.lpips import Lpips
from gsrecon.evaluation.novel_views import driven_path, render_path
from gsrecon.evaluation.scores import PictureScore, write_metrics
from gsrecon.gaussians.ply import read_ply, read_source_from_world
from gsrecon.scene.appearance import Appearance
from gsrecon.scene.graph import SceneGraph
from gsrecon.scene.render import render_frame
from tests.tiny_drive import HEIGHT, WIDTH, brighter, tiny_log, tiny_scene


@pytest.fixture(scope="module")
def scene() -> SceneGraph:
    return tiny_scene()


@pytest.fixture(scope="module")
def log(scene: SceneGraph) -> DrivingLog:
    return tiny_log(scene)


def test_the_true_scene_scores_as_well_as_bytes_allow(scene: SceneGraph, log: DrivingLog) -> None:
    result = evaluate(scene, log)
    assert [(s.camera, s.index) for s in result.pictures] == [
        ("front", 1),
        ("left", 1),
        ("front", 4),
        ("left", 4),
    ]
    assert result.psnr > 55
    assert result.summary.ssim is not None
    assert result.summary.ssim > 0.999
    assert set(result.cameras) == {"front", "left"}


def test_a_constant_error_gives_the_psnr_one_computes_by_hand(scene: SceneGraph, log: DrivingLog) -> None:
    # Towards the middle of the scale, so that nothing is clipped.
    def off_by_25(image: np.ndarray) -> np.ndarray:
        return np.where(image < 128, image + 25, image - 25).astype(np.uint8)

    spoilt = tuple(replace(frame, image=off_by_25(log.image(frame).astype(int))) for frame in log.frames)
    expected = -20 * math.log10(25 / 255)
    for score in evaluate(scene, replace(log, frames=spoilt)).pictures:
        # The truth is rounded to bytes (its sky by half a step), the rendered picture is not.
        assert score.psnr == pytest.approx(expected, abs=0.15)


def test_a_worse_scene_scores_worse(scene: SceneGraph, log: DrivingLog) -> None:
    good, bad = evaluate(scene, log), evaluate(brighter(scene, 0.1), log)
    assert bad.psnr < good.psnr - 15


def test_moving_objects_are_left_out_only_when_asked(scene: SceneGraph, log: DrivingLog) -> None:
    spoilt = []
    for frame in log.frames:
        image = log.image(frame).copy()
        image[9:21, 9:21] = 0  # the mask is 10:20; its margin of 2 px covers the rest
        spoilt.append(replace(frame, image=image))
    spoilt_log = replace(log, frames=tuple(spoilt))
    asked = evaluate(scene, spoilt_log, EvaluateConfig(mask_moving=True))
    not_asked = evaluate(scene, spoilt_log)
    assert asked.psnr > 55
    assert not_asked.psnr < 25
    assert asked.pictures[0].scored_share == pytest.approx(1 - 14 * 14 / (48 * 33))
    assert asked.summary.ssim is not None
    assert asked.summary.ssim > 0.999


def test_near_and_far_pixels_are_scored_apart(scene: SceneGraph, log: DrivingLog) -> None:
    everything_far = evaluate(scene, log, EvaluateConfig(near_limit_m=0.01))
    assert everything_far.summary.psnr_near is None
    assert everything_far.summary.psnr_far == pytest.approx(everything_far.psnr)
    # Errors only where something near is drawn, or only elsewhere, show in one of the two scores alone.
    for part in ("near", "far"):
        spoilt = []
        for frame, recorded in zip(log.frames, scene.recording.frames, strict=True):
            depth = render_frame(scene, scene.recording, recorded).depth[0].numpy()
            near = (depth > 0) & (depth < 10.0)
            image = log.image(frame)
            hit = near if part == "near" else ~near
            image[hit] = np.where(image[hit] < 128, image[hit] + 50, image[hit] - 50)
            spoilt.append(replace(frame, image=image))
        summary = evaluate(
            scene, replace(log, frames=tuple(spoilt)), EvaluateConfig(near_limit_m=10.0)
        ).summary
        good, bad = (summary.psnr_far, summary.psnr_near)[:: 1 if part == "near" else -1]
        assert good > 55
        assert bad < 16


def test_depth_is_judged_by_the_lidar_where_there_is_some(scene: SceneGraph, log: DrivingLog) -> None:
    front = evaluate(scene, log).cameras["front"]
    assert front.depth_error_m is not None
    assert 0 < front.depth_error_m < 12
    sweeps = [replace(sweep, points=sweep.points + np.float32([3, 0, 0])) for sweep in log.sweeps]
    farther = evaluate(scene, replace(log, sweeps=tuple(sweeps))).cameras["front"]
    assert farther.depth_error_m is not None
    assert farther.depth_error_m != front.depth_error_m
    assert evaluate(scene, replace(log, sweeps=())).summary.depth_error_m is None


def test_depth_is_not_judged_where_the_lidar_saw_behind_things(scene: SceneGraph, log: DrivingLog) -> None:
    camera = np.float32([0, 0, 1.5])
    behind = [replace(s, points=np.concatenate([s.points, 2 * s.points - camera])) for s in log.sweeps]
    seen = evaluate(scene, log).cameras["front"].depth_error_m
    assert seen is not None
    assert evaluate(scene, replace(log, sweeps=tuple(behind))).cameras["front"].depth_error_m == seen


def test_lpips_is_not_computed_without_weights(scene: SceneGraph, log: DrivingLog, tmp_path: Path) -> None:
    write_metrics(evaluate(scene, log), tmp_path / "metrics.json")
    written = json.loads((tmp_path / "metrics.json").read_text())
    assert written["summary"]["lpips"] == "not computed"
    assert written["cameras"]["front"]["pictures"] == 2
    assert len(written["pictures"]) == 4


def test_lpips_from_given_weights_is_zero_for_equal_pictures_only(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    shapes = {0: (8, 3, 11, 11), 3: (8, 8, 5, 5), 6: (8, 8, 3, 3), 8: (8, 8, 3, 3), 10: (8, 8, 3, 3)}
    trunk = {}
    for index, shape in shapes.items():
        trunk[f"features.{index}.weight"] = torch.randn(shape, generator=generator) * 0.1
        trunk[f"features.{index}.bias"] = torch.zeros(8)
    heads = {f"lin{k}.model.1.weight": torch.rand(1, 8, 1, 1, generator=generator) for k in range(5)}
    torch.save(trunk, tmp_path / "alexnet.pth")
    torch.save(heads, tmp_path / "lin.pth")
    lpips = Lpips.load(tmp_path)
    a, b = torch.rand(2, 64, 64, 3, generator=generator)
    assert lpips(a, a) == 0.0
    distance = lpips(a, b)
    assert distance is not None
    assert distance > 0
    assert lpips(a[:20], b[:20]) is None


def test_a_picture_without_scored_pixels_has_no_score(
    scene: SceneGraph, log: DrivingLog, monkeypatch
) -> None:
    monkeypatch.setattr(Lpips, "load", lambda folder: Lpips.__new__(Lpips))
    monkeypatch.setattr(Lpips, "__call__", lambda self, image, truth: 0.25)
    everything = np.full((HEIGHT, WIDTH), 255, np.uint8)
    frames = tuple(
        replace(frame, masks={"ignore": everything}) if frame.index == 1 else frame for frame in log.frames
    )
    found = evaluate(scene, replace(log, frames=frames), EvaluateConfig(lpips_weights=Path("weights")))
    for score in found.pictures:
        scored = score.index != 1
        assert [value is not None for value in (score.psnr, score.ssim, score.lpips)] == [scored] * 3


def test_missing_lpips_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"alexnet\.pth: LPIPS weights cannot be read"):
        Lpips.load(tmp_path)


def test_another_drive_is_refused(scene: SceneGraph, log: DrivingLog) -> None:
    with pytest.raises(DatasetError, match="picture 4 of camera front, held out in training, is not in this"):
        evaluate(scene, log.select(stop=4))


def test_pictures_of_another_size_are_refused(scene: SceneGraph, log: DrivingLog) -> None:
    with pytest.raises(DatasetError, match="was fitted at 48 x 33"):
        evaluate(scene, log.at_scale(0.5))


def test_the_gallery_keeps_the_worst_the_best_and_an_even_spread() -> None:
    gallery = Gallery(expected=40, extremes=2, spread=4)
    picture = np.zeros((8, 8, 3), np.uint8)
    for index in range(40):
        psnr = 20.0 + (index * 17) % 40  # every value from 20 to 59 once
        score = PictureScore("front", index, index, psnr, 0.9)
        gallery.add(
            ScoredPicture(score, picture, picture, np.ones((8, 8), bool), np.zeros((8, 8), np.float32))
        )
    assert [shown.score.psnr for shown in gallery.worst] == [20.0, 21.0]
    assert [shown.score.psnr for shown in gallery.best] == [59.0, 58.0]
    assert [shown.score.index for shown in gallery.evenly] == [5, 15, 25, 35]


def test_rendering_the_driven_path_repeats_the_recorded_pictures(scene: SceneGraph, log: DrivingLog) -> None:
    views = list(render_path(scene, driven_path(scene, "left"), "left"))
    recorded = [log.image(frame) for frame in log.frames if frame.camera == "left"]
    assert len(views) == len(recorded) == 6
    for view, truth in zip(views, recorded, strict=True):
        assert np.abs(view.image.astype(int) - truth).max() <= 1
        assert view.depth.shape == truth.shape[:2]


def test_novel_views_take_the_exposure_that_their_camera_has_on_the_whole(scene: SceneGraph) -> None:
    exposed = tiny_scene()
    appearance = Appearance({"front": [0.0, 0.5], "left": [0.0]})
    appearance.picture_values[:, 3:] = torch.tensor([[0.1], [-0.1], [9.0]])
    appearance.camera_values[0, 3:] = -0.1
    exposed.add(appearance)
    plain, darker = (next(iter(render_path(graph, driven_path(graph)))).image for graph in (scene, exposed))
    unclipped = (plain > 30) & (plain < 250)
    assert np.abs(plain.astype(int) - darker - 25.5)[unclipped].max() <= 1


def test_a_shift_to_the_left_moves_a_side_camera_with_the_vehicle(scene: SceneGraph) -> None:
    path, shifted = driven_path(scene, "left"), driven_path(scene, "left", 1.5)
    step = shifted.world_from_cam[:, :3, 3] - path.world_from_cam[:, :3, 3]
    assert torch.allclose(step, torch.tensor([0.0, 1.5, 0.0]).double().expand(6, 3))


def test_an_unknown_camera_is_named_with_those_there_are(scene: SceneGraph) -> None:
    with pytest.raises(SpecError, match="camera 'rear' is not in the scene; it has front, left"):
        driven_path(scene, "rear")


def test_held_out_pictures_are_those_the_recording_says(scene: SceneGraph) -> None:
    assert scene.recording is not None
    assert {frame.index for frame in held_out(scene.recording)} == {1, 4}


def test_the_exported_scene_holds_all_gaussians_and_the_sources_coordinates(
    scene: SceneGraph, tmp_path: Path
) -> None:
    export_ply(scene, tmp_path / "scene.ply")
    exported = read_ply(tmp_path / "scene.ply")
    assert len(exported) == len(scene)
    # The degree that every viewer reads, whatever the scene's own.
    assert exported.sh_degree == 3
    assert scene["background"].gaussians.sh_degree == 1
    assert bool((exported.sh_rest[:, 3:] == 0).all())
    kept = read_source_from_world(tmp_path / "scene.ply")
    assert kept is not None
    assert kept[:3, 3].tolist() == [4.5e5, 5.4e6, 110.0]
