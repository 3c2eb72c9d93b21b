from dataclasses import replace

import pytest
import torch

from gsrecon.gaussians.density_classic import ClassicDensity
from gsrecon.scene.render import render_frame
from gsrecon.scene.static import StaticGroup
from gsrecon.train.census import shown_pixels
from gsrecon.train.config import InitialPoints, TrainConfig
from gsrecon.train.initialise import start_scene
from gsrecon.train.loop import fit_step
from gsrecon.train.split import Split
from gsrecon.train.state import TrainState
from gsrecon.train.stopwatch import Stopwatch
from gsrecon.train.views import Views
from tests.train.tiny_drive import HEIGHT, SPEC, WIDTH, tiny_drive

CONFIG = TrainConfig(
    steps=10,
    density=ClassicDensity(cap=500),
    initial=InitialPoints(lidar=400, beyond_lidar=50),
    device="cpu",
)


def a_run(generator) -> tuple[TrainState, Views]:
    split = Split.of(tiny_drive(), SPEC)
    views = Views(split.log, split.fitted, split.recording(), mask_moving=False)
    graph = start_scene(split, views, CONFIG, generator)
    return TrainState.start(graph, len(views), CONFIG, generator), views


def put(state: TrainState, row: int, place: list[float], opacity: float, scale: float) -> None:
    gaussians = state.graph["background"].gaussians
    with torch.no_grad():
        gaussians.means[row] = torch.tensor(place)
        gaussians.logit_opacities[row] = torch.tensor(opacity).logit()
        gaussians.log_scales[row] = torch.tensor(scale).log()


def test_what_hides_behind_a_wall_or_the_camera_shows_nothing(generator):
    state, views = a_run(generator)
    put(state, 0, [10.0, 0.0, 1.5], 0.9999, 60.0)  # a wall across the whole corridor
    put(state, 1, [20.0, 0.0, 1.5], 0.9, 0.5)  # behind it
    put(state, 2, [-30.0, 0.0, 1.5], 0.9, 0.5)  # behind all cameras
    put(state, 3, [6.0, 0.0, 1.5], 0.9, 0.2)  # before the wall
    shown = shown_pixels(state.graph, views)
    assert shown[2] == 0
    assert shown[1] < 0.05 * shown[3]
    assert shown[3] > 1


def test_shown_pixels_of_all_gaussians_sum_to_the_alpha_of_all_pictures(generator):
    state, views = a_run(generator)
    graph = state.graph
    assert graph.recording is not None
    alpha = 0.0
    with torch.no_grad():
        for number in range(len(views)):
            alpha += float(render_frame(graph, graph.recording, views.frame(number)).alpha.sum())
    total = float(shown_pixels(graph, views).sum())
    assert total == pytest.approx(alpha, rel=1e-3)
    assert 0 < total < len(views) * WIDTH * HEIGHT


def test_hidden_gaussians_go_with_their_moments_and_the_others_stay_in_order(generator):
    state, _ = a_run(generator)
    node = state.graph["background"]
    before = node.gaussians.means.detach().clone()
    names = ("background/means:exp_avg", "background/means:exp_avg_sq")
    moments = 1.0 + torch.arange(before.numel(), dtype=torch.float32).reshape(before.shape)
    state.optimizer.load_state(dict.fromkeys(names, moments))
    shown = torch.ones(len(before))
    shown[5::7] = 0.01
    state.prune_hidden(shown, 0.05)
    assert torch.equal(node.gaussians.means, before[shown == 1])
    for name in names:
        assert torch.equal(state.optimizer.state()[name], moments[shown == 1])


def test_the_limit_is_relative_so_small_pictures_lose_no_more_than_large_ones(generator):
    state, _ = a_run(generator)
    count = len(state.graph)
    state.prune_hidden(torch.full((count,), 1e-3), 0.5)
    assert len(state.graph) == count


def test_what_is_lent_and_frozen_does_not_set_the_limit(generator):
    state, _ = a_run(generator)
    own = state.graph["background"]
    assert isinstance(own, StaticGroup)
    count = len(own.gaussians)
    state.graph.add(StaticGroup("background-001", own.gaussians.detached()))
    state.graph.frozen.add("background-001")
    shown = torch.cat([torch.ones(count), torch.full((count,), 1000.0)])
    shown[3] = 0.01
    state.prune_hidden(shown, 0.5)
    assert (len(own.gaussians), len(state.graph)) == (count - 1, 2 * count - 1)


def test_a_scene_never_loses_everything(generator):
    state, _ = a_run(generator)
    count = len(state.graph)
    state.prune_hidden(torch.zeros(count), 0.5)
    assert len(state.graph) == count


def test_many_pictures_are_asked_in_part(generator, monkeypatch):
    state, views = a_run(generator)
    asked: list[int] = []
    frame = views.frame
    monkeypatch.setattr(views, "frame", lambda number: asked.append(number) or frame(number))
    monkeypatch.setattr("gsrecon.train.census.MOST_PICTURES", 3)
    shown_pixels(state.graph, views)
    assert asked == [0, 2, 4]


def test_no_census_is_taken_before_every_picture_was_fitted(generator):
    state, views = a_run(generator)
    put(state, 0, [-30.0, 0.0, 1.5], 0.9, 0.5)  # behind all cameras
    hidden = state.graph["background"].gaussians.means[0].clone()
    config = replace(CONFIG, steps=len(views) - 1)
    while state.progress < 1:
        fit_step(state, views, config, Stopwatch())
    assert bool((state.graph["background"].gaussians.means == hidden).all(dim=1).any())
    state.progress = 0.0
    for _ in range(3 * len(views)):
        fit_step(state, views, replace(CONFIG, steps=4 * len(views)), Stopwatch())
    assert not bool((state.graph["background"].gaussians.means == hidden).all(dim=1).any())
