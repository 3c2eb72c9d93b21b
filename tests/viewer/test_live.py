"""Watching a training: pictures between steps within their share of the time, next to nothing for nobody."""

import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from gsrecon.train.progress import Progress, SceneObserver
from gsrecon_viewer import live as live_module
from gsrecon_viewer.live import LiveView
from gsrecon_viewer.painter import paint
from tests.labels.street import street_log
from tests.viewer.looking import far_apart, street_eye, wait_for
from tests.viewer.painted_street import painted_street
from tests.viewer.socket_client import SocketClient

STEP = Progress(step=1, fraction=0.1, seconds=1.0, psnr=20.0, gaussians=10, loss=0.1)


@pytest.fixture
def live(tmp_path: Path):
    """Watches the street, which does not change unless a test changes it."""
    log = street_log()
    watching = LiveView(tmp_path, log, port=0)
    watching.on_scene(painted_street(log))
    yield watching
    watching.stop()


class Clock:
    """Time that passes only when it is told to, in the live view's eyes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(
            live_module, "time", SimpleNamespace(perf_counter=lambda: self.now, sleep=lambda _: None)
        )

    def watched(self, live: LiveView, step_s: float, picture_s: float, steps: int = 400) -> float:
        """The share of the time that goes to pictures, each of which is wanted as soon as one was drawn."""
        assert live.viewer is not None
        spent = 0.0

        def draw_next() -> bool:
            nonlocal spent
            self.now += picture_s
            spent += picture_s
            return True

        live.viewer.loop = SimpleNamespace(views=lambda: [1], draw_next=draw_next, stop=lambda: None)
        begin = self.now
        for _ in range(steps):
            self.now += step_s
            live.on_step(STEP)
        return spent / (self.now - begin)


@pytest.mark.parametrize(("step_s", "picture_s"), [(0.02, 0.1), (0.02, 0.001), (0.5, 0.1), (0.05, 0.05)])
@pytest.mark.parametrize("budget", [0.1, 0.2, 0.5])
def test_pictures_take_their_budget_however_long_they_or_steps_are(
    tmp_path: Path, monkeypatch, budget: float, step_s: float, picture_s: float
):
    log = street_log()
    clock = Clock(monkeypatch)
    live = LiveView(tmp_path, log, budget=budget, port=0)
    live.on_scene(painted_street(log))
    try:
        assert clock.watched(live, step_s, picture_s) == pytest.approx(budget, rel=0.1)
    finally:
        live.stop()


def test_a_long_pause_is_not_followed_by_a_burst_of_pictures(live: LiveView, monkeypatch):
    clock = Clock(monkeypatch)
    clock.watched(live, 0.05, 0.01, steps=3)
    clock.now += 1000.0
    before = clock.now
    live.on_step(STEP)
    assert clock.now - before < 1.1


@pytest.mark.parametrize("budget", [0.0, 1.0, -0.1, 2.0])
def test_a_budget_is_a_share(tmp_path: Path, budget: float):
    with pytest.raises(ValueError, match="budget: expected a share between 0 and 1"):
        LiveView(tmp_path, street_log(), budget=budget)


def test_for_nobody_nothing_is_drawn_and_the_scene_stays_with_the_training(live: LiveView):
    assert isinstance(live, SceneObserver)
    viewer = live.viewer
    assert viewer is not None
    version = viewer.shown.version
    for _ in range(1000):
        live.on_step(STEP)
    live.on_event("a checkpoint")
    assert viewer.shown.version == version
    taken = threading.Event()

    def take() -> None:
        if viewer.shown.lock.acquire(timeout=0.05):
            taken.set()
            viewer.shown.lock.release()

    thread = threading.Thread(target=take)
    thread.start()
    thread.join()
    assert not taken.is_set(), "nobody else may touch a scene between its steps"


def test_a_browser_sees_the_scene_change_while_it_is_trained(live: LiveView):
    viewer = live.viewer
    assert viewer is not None
    graph = viewer.shown.scene
    with SocketClient(viewer.address) as client:

        def step() -> None:
            live.on_step(STEP)
            time.sleep(0.001)

        eye = street_eye(viewer.shown)
        client.look(eye.world_from_cam)
        before = paint(viewer.shown, eye, "colours")
        client.until(
            lambda: (step(), client.picture is not None and far_apart(client.picture, before) < 12)[1],
            "the first picture",
        )
        graph["background"].gaussians.sh0.add_(0.8)  # as a step would
        after = paint(viewer.shown, eye, "colours")
        assert far_apart(before, after) > 40
        client.until(
            lambda: (step(), client.picture is not None and far_apart(client.picture, after) < 12)[1],
            "the changed picture",
        )
        live.on_event("a checkpoint")
        client.until(lambda: ("Training", "a checkpoint") in client.notifications, "word of the checkpoint")


def test_a_button_gets_its_turn_between_steps(live: LiveView, tmp_path: Path):
    viewer = live.viewer
    assert viewer is not None
    with SocketClient(viewer.address) as client:
        client.look(street_eye(viewer.shown).world_from_cam)
        wait_for(viewer.loop.views, "the browser")
        client.press("Picture (PNG)")

        def saved() -> bool:
            live.on_step(STEP)
            time.sleep(0.001)
            return any(title == "Saved" for title, _ in client.notifications)

        client.until(saved, "the saved picture")
    assert len(list((tmp_path / "pictures").glob("*.png"))) == 1


def test_another_scene_takes_the_place_of_the_first(live: LiveView):
    viewer = live.viewer
    assert viewer is not None
    log = street_log()
    other = painted_street(log)
    live.on_scene(other)
    assert live.viewer is viewer
    assert viewer.shown.scene is other
    assert np.isfinite(paint(viewer.shown, street_eye(viewer.shown), "colours")).all()
