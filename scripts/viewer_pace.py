"""How fast the viewer is on this machine, counted by a client on the socket.

python scripts/viewer_pace.py runs/demo                       pictures a second, splats
python scripts/viewer_pace.py runs/demo --minutes 10          memory over ten minutes of playing as well
python scripts/viewer_pace.py runs/demo --steps 40            what watching costs a training as well
"""

import argparse
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from gsrecon.cli.runs import Run
from gsrecon.data.log import DrivingLog
from gsrecon.gaussians.gaussians import Gaussians
from gsrecon.ops.device import pick_device
from gsrecon.scene.graph import SceneGraph
from gsrecon.scene.groups_scene import Scene, open_scene
from gsrecon.scene.static import StaticGroup
from gsrecon.train.config import TrainConfig
from gsrecon.train.loop import train
from gsrecon.train.progress import Observer, Progress
from gsrecon_viewer.app import Viewer
from gsrecon_viewer.live import LiveView
from gsrecon_viewer.riding import Ride, ridden_pose
from tests.viewer.socket_client import SocketClient

WINDOW = (640, 360)
SPLATS = 200_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("run", type=Path, help="a run folder whose recording is reachable")
    parser.add_argument("--seconds", type=float, default=8.0, help="of moving, for each size")
    parser.add_argument("--minutes", type=float, default=0.0, help="of playing, for memory")
    parser.add_argument(
        "--steps", type=int, default=0, help="of training, for its cost; four runs of so many"
    )
    asked = parser.parse_args()
    print(f"{os.cpu_count()} cores, {torch.get_num_threads()} threads, load {os.getloadavg()[0]:.1f}\n")
    run = Run.at(asked.run)
    log, _ = run.drive()
    scene = open_scene(run.scene_folder, pick_device("auto"))
    with tempfile.TemporaryDirectory() as folder, viewing(scene, Path(folder), log) as viewer:
        for scale in (1.0, 0.5):
            tell(
                f"pictures a second, moving, {size_told(scale)}",
                pictures_a_second(viewer, asked.seconds, scale),
            )
        paced, scales = paced_pictures(viewer, asked.seconds)
        tell(f"pictures a second, moving, size by pace ({scales})", paced)
        tell("pictures a second, playing, size by pace", playing_pictures(viewer, asked.seconds))
        if asked.minutes > 0:
            tell_memory(viewer, asked.minutes)
    seconds, megabytes = splats_sent()
    tell(f"seconds until {SPLATS:,} splats have arrived ({megabytes:.1f} MB)", seconds)
    if asked.steps > 0:
        tell_training_cost(run, log, asked.steps)


@contextmanager
def viewing(scene: Scene, folder: Path, log: DrivingLog | None) -> Iterator[Viewer]:
    """A viewer on a free port."""
    viewer = Viewer(scene, folder, log, port=0)
    try:
        yield viewer
    finally:
        viewer.stop()


def pictures_a_second(viewer: Viewer, seconds: float, scale: float) -> float:
    """Pictures of one share of the window that arrive while the camera moves on at every one of them."""
    with moving_client(viewer) as (client, poses):
        viewer.loop.views()[0].pace.scale = lambda pixels, moving: scale
        return counted(client, poses, seconds)


def paced_pictures(viewer: Viewer, seconds: float) -> tuple[float, str]:
    """The same with the size that the viewer chooses; and which it chose."""
    with moving_client(viewer) as (client, poses):
        rate = counted(client, poses, seconds)
        client.decodes = True
        client.look(poses[0])
        height, width = client.next_picture().shape[:2]
        return rate, f"{width}x{height} at the end"


def playing_pictures(viewer: Viewer, seconds: float) -> float:
    """Pictures that arrive while the drive plays and the camera stands."""
    with moving_client(viewer) as (client, _):
        viewer.playback.toggle()
        client.read_for(1.0)
        before = client.pictures
        client.read_for(seconds)
        viewer.playback.toggle()
        return (client.pictures - before) / seconds


@contextmanager
def moving_client(viewer: Viewer) -> Iterator[tuple[SocketClient, list[np.ndarray]]]:
    """A client, and a way of poses to go: along the drive, looking from side to side."""
    recording = viewer.shown.recording
    assert recording is not None
    camera = next(iter(recording.cameras))
    start = ridden_pose(viewer.shown, Ride(camera))
    assert start is not None
    poses = []
    for k in range(400):
        pose = ridden_pose(
            viewer.shown, Ride(camera, left_m=float(np.sin(k / 20)), yaw_deg=8 * float(np.sin(k / 31)))
        )
        assert pose is not None
        poses.append(pose)
    with SocketClient(viewer.address, *WINDOW) as client:
        client.look(start)
        client.next_picture()
        yield client, poses
    while viewer.loop.views():
        time.sleep(0.05)


def counted(client: SocketClient, poses: list[np.ndarray], seconds: float) -> float:
    """Moves the camera 60 times a second, as a browser does, and counts what arrives."""
    client.decodes = False
    begin, sent = time.monotonic(), 0
    before, warm = client.pictures, begin + 1.0
    while (now := time.monotonic()) < warm + seconds:
        if now < warm:
            before = client.pictures
        client.look(poses[sent % len(poses)])
        sent += 1
        client.read_for(max(0.0, begin + sent / 60 - time.monotonic()))
    return (client.pictures - before) / seconds


def tell_memory(viewer: Viewer, minutes: float) -> None:
    """Memory of this process each tenth of the time, while the drive plays for two browsers."""
    with moving_client(viewer) as (client, _), SocketClient(viewer.address, *WINDOW) as other:
        other.look(client_pose(viewer))
        client.decodes = other.decodes = False
        viewer.playback.toggle()
        client.read_for(20.0)
        grown = [resident_mb()]
        for _ in range(10):
            end = time.monotonic() + 6 * minutes
            while time.monotonic() < end:
                client.read_for(0.5)
                other.read_for(0.5)
            grown.append(resident_mb())
        viewer.playback.toggle()
        told = " ".join(f"{value:.0f}" for value in grown)
        tell(f"MB more after {minutes:g} minutes of playing ({told})", grown[-1] - grown[0])


def client_pose(viewer: Viewer) -> np.ndarray:
    """Where the first camera is."""
    recording = viewer.shown.recording
    assert recording is not None
    pose = ridden_pose(viewer.shown, Ride(next(iter(recording.cameras))))
    assert pose is not None
    return pose


def splats_sent() -> tuple[float, float]:
    """Seconds from choosing the browser's drawing until all splats are there, and how much that was [MB]."""
    generator = torch.Generator().manual_seed(1)

    def draw(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=generator)

    gaussians = Gaussians(
        means=20 * draw(SPLATS, 3),
        quats=torch.nn.functional.normalize(draw(SPLATS, 4) - 0.5, dim=-1),
        log_scales=draw(SPLATS, 3) - 4,
        logit_opacities=draw(SPLATS),
        sh0=draw(SPLATS, 3),
        sh_rest=torch.zeros(SPLATS, 15, 3),
    )
    scene = SceneGraph([StaticGroup("background", gaussians)])
    with (
        tempfile.TemporaryDirectory() as folder,
        viewing(scene, Path(folder), None) as viewer,
        SocketClient(viewer.address, *WINDOW) as client,
    ):
        client.look(np.eye(4))
        client.next_picture()
        begin = time.monotonic()
        client.choose("Drawn by", "browser")
        client.until(lambda: "/splats/0/background" in client.own, "the splats")
        seconds = time.monotonic() - begin
        return seconds, client.own["/splats/0/background"]["buffer"].nbytes / 1e6


class _Steps:
    """Notes how long each step takes, the other observers' time included."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._last = time.perf_counter()

    def on_step(self, progress: Progress) -> None:
        now = time.perf_counter()
        self.seconds.append(now - self._last)
        self._last = now

    def on_event(self, message: str) -> None:
        self._last = time.perf_counter()


class _TimedLive(LiveView):
    """Notes how long the viewer keeps the training."""

    spent = 0.0

    def on_step(self, progress: Progress) -> None:
        begin = time.perf_counter()
        super().on_step(progress)
        self.spent += time.perf_counter() - begin


def tell_training_cost(run: Run, log: DrivingLog, steps: int) -> None:
    """Median step without a viewer, with one and nobody there, and with a browser; in turns, twice."""
    alone, watched, share = [], [], 0.0
    for _ in range(2):
        alone += trained(run, log, steps, None)[0]
        seconds, live = trained(run, log, steps, lambda folder: _TimedLive(folder, log, port=0))
        watched += seconds
        assert live is not None
        share = max(share, live.spent / sum(seconds))
    one, two = statistics.median(alone), statistics.median(watched)
    tell("ms a step of training, without a viewer", 1e3 * one)
    tell("ms a step of training, with a viewer and no browser", 1e3 * two)
    tell("% of the training's time spent in the viewer, no browser", 100 * share)
    seconds, live = trained(run, log, steps, lambda folder: _TimedLive(folder, log, budget=0.2, port=0), True)
    assert live is not None
    looked = live.spent / sum(seconds)
    tell("% of the training's time spent in the viewer, one browser, budget 20 %", 100 * looked)


def trained(
    run: Run, log: DrivingLog, steps: int, live_of: Callable[[Path], _TimedLive] | None, browser: bool = False
) -> tuple[list[float], _TimedLive | None]:
    """Seconds of each step after the first few, and who watched."""
    config = replace(TrainConfig(), steps=steps, max_minutes=None, checkpoints=1, evaluations=0)
    with tempfile.TemporaryDirectory() as folder:
        timed = _Steps()
        live = None if live_of is None else live_of(Path(folder))
        observers: list[Observer] = [timed] if live is None else [live, timed]
        over = threading.Event()
        looker = None
        if live is not None and browser:
            looker = threading.Thread(target=look_until, args=(live, over), daemon=True)
            looker.start()
        train(log, run.spec(), config, Path(folder) / "run", observers)
        over.set()
        if looker is not None:
            looker.join(timeout=10)
        if live is not None:
            live.stop()
    return timed.seconds[5:], live


def look_until(live: LiveView, over: threading.Event) -> None:
    """A browser that looks at a training until it is over."""
    while live.viewer is None:
        if over.wait(0.05):
            return
    with SocketClient(live.viewer.address, *WINDOW) as client:
        client.look(client_pose(live.viewer))
        while not over.is_set():
            client.read_for(0.1)


def resident_mb() -> float:
    """Memory of this process that is in use."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def size_told(scale: float) -> str:
    return f"{round(scale * WINDOW[0])}x{round(scale * WINDOW[1])}"


def tell(what: str, value: float) -> None:
    print(f"{what:<76} {value:10.2f}", flush=True)


if __name__ == "__main__":
    main()
