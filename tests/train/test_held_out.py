"""Scores that a run tells of pictures it does not fit."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from gsrecon.data.log import DrivingLog
from gsrecon.data.spec import SceneSpec, TestSplit
from gsrecon.evaluation.evaluate import EvaluateConfig, evaluate
from gsrecon.gaussians.density_classic import ClassicDensity
from gsrecon.train.config import InitialPoints, TrainConfig
from gsrecon.train.held_out import HeldOutScores, score_held_out
from gsrecon.train.loop import train
from gsrecon.train.split import Split
from gsrecon.train.views import Views
from tests.tiny_drive import HEIGHT, WIDTH, brighter, tiny_log, tiny_scene
from tests.train.tiny_drive import SPEC as CORRIDOR
from tests.train.tiny_drive import tiny_drive

SPEC = SceneSpec(name="tiny", drive="folder:tiny", test=TestSplit(every=3, offset=1))


@pytest.fixture(scope="module")
def scene():
    return tiny_scene()


@pytest.fixture(scope="module")
def log(scene) -> DrivingLog:
    return tiny_log(scene)


def held_out(log: DrivingLog, mask_moving: bool, **some) -> Views:
    split = Split.of(log, SPEC)
    frames = tuple(f for f in split.held_out if all(getattr(f, k) == v for k, v in some.items()))
    return Views(split.log, frames, split.recording(), mask_moving)


@pytest.mark.parametrize("mask_moving", [False, True])
def test_a_run_tells_what_an_evaluation_tells(mask_moving, scene, log):
    graph = brighter(scene, 0.1)
    told = score_held_out(graph, held_out(log, mask_moving))
    summary = evaluate(graph, log, EvaluateConfig(mask_moving=mask_moving)).summary
    assert told["psnr"] == pytest.approx(summary.psnr, abs=1e-4)
    assert told["ssim"] == pytest.approx(summary.ssim, abs=1e-4)
    assert told["ssim"] < 0.999
    if not mask_moving:
        assert told["psnr_moving"] == pytest.approx(summary.psnr_moving, abs=1e-4)


def test_moving_pixels_of_several_groups_are_pooled(scene, log):
    few = np.zeros((HEIGHT, WIDTH), np.uint8)
    few[15, 15] = 255
    frames = tuple(f if f.index == 1 else replace(f, masks={"moving": few}) for f in log.frames)
    log = replace(log, frames=frames)
    good, bad = brighter(scene, 0.02), brighter(scene, 0.3)
    scores = HeldOutScores()
    scores.add(good, held_out(log, False, index=1))
    scores.add(bad, held_out(log, False, index=4))
    errors = [
        10 ** (-0.1 * score_held_out(graph, held_out(log, False, index=index))["psnr_moving"])
        for graph, index in ((good, 1), (bad, 4))
    ]
    of_all = (100 * errors[0] + errors[1]) / 101
    assert scores.told()["psnr_moving"] == pytest.approx(-10 * math.log10(of_all), abs=1e-4)


def test_pictures_that_are_met_exactly_have_a_finite_score_in_valid_json(tmp_path):
    drive = tiny_drive()
    black = tuple(replace(frame, image=np.zeros_like(frame.image)) for frame in drive.frames)
    config = TrainConfig(
        steps=40,
        density=ClassicDensity(cap=800),
        initial=InitialPoints(lidar=500, beyond_lidar=50),
        sky_resolution=4,
        log_every=5,
        device="cpu",
    )
    result = train(replace(drive, frames=black), CORRIDOR, config, tmp_path / "run")
    assert math.isfinite(result.held_out["psnr"])

    def refuse(word: str) -> float:
        raise ValueError(word)

    for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=refuse)
