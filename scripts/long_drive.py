"""What groups are worth on a drive ten times as long: `python scripts/long_drive.py --work FOLDER`.

Fits a tenth of a long toy drive, from its middle, all of it in groups, and all of it in one piece, each in
processes of their own. Writes memory, time and quality into docs/groups.md and a picture into
docs/images/groups.png. Every case can be stopped and is continued by the next call; what is finished is not
done again.

Memory is the peak beyond that of the idle process, all of gsrecon imported; what torch loads at its first
work is measured beside it. Times are processor time of one thread, so that other work on the machine does not
count.
"""

import argparse
import importlib
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gsrecon.data.folder import write_folder
from gsrecon.data.log import DrivingLog
from gsrecon.data.pictures import PictureCache, to_uint8
from gsrecon.data.spec import SceneSpec, TestSplit, open_drive
from gsrecon.data.toy import ToyConfig, make_toy
from gsrecon.evaluation.evaluate import evaluate
from gsrecon.evaluation.pictures import write_png
from gsrecon.evaluation.scores import Evaluation
from gsrecon.gaussians.density_classic import ClassicDensity
from gsrecon.ops.knn import mean_neighbour_distance
from gsrecon.scene.groups import Groups
from gsrecon.scene.groups_scene import GroupedScene, Scene, for_frame, open_scene
from gsrecon.scene.recording import RecordedFrame
from gsrecon.scene.render import render_frame
from gsrecon.train.config import InitialPoints, TrainConfig
from gsrecon.train.groups import train_groups
from gsrecon.train.progress import Progress

ROOT = Path(__file__).parents[1]
DOCUMENT, PICTURE = ROOT / "docs" / "groups.md", ROOT / "docs" / "images" / "groups.png"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"

LONG_M, SHORT, GROUPS = 1200, range(540, 660), 10
WINDOW, ENLARGED = (72, 96), 4
"""Height and width of the part that is shown [px], and how much it is enlarged."""
PICTURE_MEMORY_MIB = 32
"""The same for all cases, so that decoded pictures do not hide what a scene needs."""


@dataclass(frozen=True)
class Case:
    """A drive and how it is fitted."""

    name: str
    told: str
    frames: range
    """A picture a metre."""
    groups: int
    units: int
    """Parts of the short drive's size: points and Gaussians of one group times this."""


CASES = {
    case.name: case
    for case in (
        Case("short", "120 m of it", SHORT, 1, 1),
        Case("groups", f"1,200 m in {GROUPS} groups", range(LONG_M), GROUPS, 1),
        Case("whole", "1,200 m without groups", range(LONG_M), 1, GROUPS),
    )
}


class Watch:
    """Processor time of each step; ends the process after a number of steps where that is wanted."""

    def __init__(self, most: int | None) -> None:
        self.seconds: list[float] = []
        self._most, self._done, self._before, self._part = most, 0, 0.0, None

    def on_step(self, progress: Progress) -> None:
        """Takes the time of a step that follows one of the same part."""
        now = time.process_time()
        if progress.part == self._part and progress.part != "what all groups share":
            self.seconds.append(now - self._before)
        self._before, self._part = time.process_time(), progress.part
        self._done += 1
        if self._done == self._most:
            os.kill(os.getpid(), 2)

    def on_event(self, message: str) -> None:
        """Passes it on."""
        print(message, file=sys.stderr, flush=True)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, required=True, help="where drives, runs and results are kept")
    parser.add_argument("--cases", nargs="*", default=list(CASES), choices=list(CASES))
    parser.add_argument("--steps-per-picture", type=float, default=10.0)
    parser.add_argument("--gaussians", type=int, default=107_000, help="of each group")
    parser.add_argument("--most-steps", type=int, help="stop each training after so many steps in this call")
    parser.add_argument("--stage", choices=["train", "render"], help=argparse.SUPPRESS)
    parser.add_argument("--document", action="store_true", help="write docs/groups.md and its picture")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.stage is not None:
        stages = {"train": train_case, "render": render_case}
        print(json.dumps(stages[options.stage](CASES[options.cases[0]], options)))
        return
    for name in options.cases:
        drive_folder(options.work)
        for stage in ("train", "render"):
            in_a_process(name, stage, options)
    results = {name: read(options.work, name) for name in CASES}
    print(json.dumps(results, indent=1))
    if options.document and all(results.values()):
        write_picture(options)
        write_document(results, options)


def drive_folder(work: Path) -> Path:
    """The toy drive as a folder of files, so that measured processes neither build nor render a street."""
    folder = (work / f"drive-{LONG_M}").resolve()
    if not folder.exists():
        config = ToyConfig(
            length_m=LONG_M,
            cameras=1,
            width=320,
            height=180,
            parked_cars=14 * LONG_M // len(SHORT),
            moving_cars=0,
            pedestrians=0,
        )
        # Boxes of parked cars are in no one's way here, and thousands of poses in a file are.
        write_folder(replace(make_toy(config, cache=work / "cache").log, tracks=()), folder)
    return folder


def opened(case: Case, work: Path) -> tuple[DrivingLog, SceneSpec]:
    log, spec = open_drive(
        SceneSpec(
            f"toy-{case.name}",
            f"folder:{drive_folder(work)}",
            start=case.frames.start,
            stop=case.frames.stop,
            test=TestSplit(every=8, offset=4),
        )
    )
    return replace(log, pictures=PictureCache(PICTURE_MEMORY_MIB * 2**20 // 4)), spec


def train_case(case: Case, options: argparse.Namespace) -> dict[str, Any]:
    """Trains, or goes on; steps, time, peak memory of this process."""
    idle, libraries = peak_bytes(), first_work_bytes()
    log, spec = opened(case, options.work)
    count = case.units * options.gaussians
    config = TrainConfig(
        steps=round(options.steps_per_picture * len(spec.train_frames(log))),
        density=ClassicDensity(cap=count),
        initial=InitialPoints(lidar=round(0.86 * count), beyond_lidar=round(0.14 * count)),
        groups=Groups(count=case.groups),
        picture_memory_mib=PICTURE_MEMORY_MIB,
        evaluations=0,
        checkpoints=2,
    )
    watch = Watch(options.most_steps)
    run = run_folder(case, options.work)
    result = train_groups(log, spec, config, run, [watch], resume=(run / "config.json").exists())
    return {
        "steps": result.steps,
        "finished": result.finished,
        "gaussians": result.gaussians,
        "step_ms": 1e3 * statistics.median(watch.seconds) if watch.seconds else None,
        "training_bytes": peak_bytes() - idle,
        "libraries_bytes": libraries,
    }


def render_case(case: Case, options: argparse.Namespace) -> dict[str, Any]:
    """Draws and judges the held-out pictures; in groups, also the seams from both sides."""
    idle = peak_bytes()
    log, _ = opened(case, options.work)
    scene = open_scene(run_folder(case, options.work))
    seconds: list[float] = []
    assert scene.recording is not None
    for frame in (frame for frame in scene.recording.frames if frame.held_out):
        drawn(for_frame(scene, frame), scene, frame)  # a group may have to be read first
        started = time.process_time()
        drawn(for_frame(scene, frame), scene, frame)
        seconds.append(time.process_time() - started)
    rendering = peak_bytes() - idle
    scores = evaluate(scene, log)
    found = {"picture_ms": 1e3 * statistics.median(seconds), "rendering_bytes": rendering, **told(scores)}
    if isinstance(scene, GroupedScene):
        found["seams_db"] = seams(scene)
    return found


def told(scores: Evaluation) -> dict[str, Any]:
    return {
        "psnr": scores.psnr,
        "psnr_near": scores.summary.psnr_near,
        "pictures": {str(score.index): score.psnr_near for score in scores.pictures},
    }


def seams(scene: GroupedScene) -> list[float]:
    """PSNR of the pictures beside each seam as drawn from one side against the other [dB]."""
    found = []
    for after in range(1, len(scene.plan)):
        beside = [scene.plan.frames(after - 1)[-1], scene.plan.frames(after)[0]]
        left = [drawn(scene.group(after - 1), scene, frame) for frame in beside]
        right = [drawn(scene.group(after), scene, frame) for frame in beside]
        pairs = zip(left, right, strict=True)
        found += [float(-10 * np.log10(np.square(a - b).mean())) for a, b in pairs]
    return found


def drawn(graph, scene: Scene, frame: RecordedFrame) -> np.ndarray:
    assert scene.recording is not None
    with torch.no_grad():
        return render_frame(graph, scene.recording, frame).image[0].clamp(0, 1).double().numpy()


def in_a_process(name: str, stage: str, options: argparse.Namespace) -> None:
    """Does a stage of a case where it is not done yet; its peak memory is its own."""
    known = read(options.work, name)
    if known.get("finished") and (stage == "train" or "psnr" in known):
        return
    words = ["--stage", stage, "--cases", name, "--work", str(options.work)]
    words += ["--steps-per-picture", str(options.steps_per_picture), "--gaussians", str(options.gaussians)]
    words += [] if options.most_steps is None else ["--most-steps", str(options.most_steps)]
    environment = {**os.environ, "OMP_WAIT_POLICY": "passive", "OMP_NUM_THREADS": "1"}
    result = subprocess.run(
        [sys.executable, __file__, *words], env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    found = json.loads(result.stdout.splitlines()[-1])
    for key in ("training_bytes", "rendering_bytes"):
        if key in found:  # a run that was continued has several processes
            found[key] = max(found[key], known.get(key, 0))
    if found.get("step_ms", 0) is None:
        del found["step_ms"]
    (options.work / f"{name}.json").write_text(json.dumps({**known, **found}, indent=1))


def run_folder(case: Case, work: Path) -> Path:
    return work / f"run-{case.name}"


def read(work: Path, name: str) -> dict[str, Any]:
    path = work / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else {}


def first_work_bytes() -> int:
    """What torch loads at its first work, whatever that is; the idle process lacks it."""
    idle = peak_bytes()
    importlib.import_module("torch._dynamo")
    some = torch.rand(300, 300, requires_grad=True)
    (some @ some).exp().sum().backward()
    mean_neighbour_distance(torch.rand(100, 3))
    return peak_bytes() - idle


def peak_bytes() -> int:
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def write_picture(options: argparse.Namespace) -> None:
    """Recorded, without groups, in groups: where the held-out picture that gains most gains most."""
    whole, groups = (read(options.work, name)["pictures"] for name in ("whole", "groups"))
    gains = {
        index: groups[index] - whole[index] for index in whole if None not in (groups[index], whole[index])
    }
    chosen = int(max(gains, key=lambda index: gains[index]))
    log, _ = opened(CASES["groups"], options.work)
    recorded = next(frame for frame in log.frames if frame.index == chosen)
    row = [log.image(recorded)]
    for name in ("whole", "groups"):
        scene = open_scene(run_folder(CASES[name], options.work))
        assert scene.recording is not None
        frame = next(frame for frame in scene.recording.frames if frame.index == chosen)
        row.append(to_uint8(drawn(for_frame(scene, frame), scene, frame).astype(np.float32)))
    window = most_gained(*row)
    enlarged = [picture[window].repeat(ENLARGED, axis=0).repeat(ENLARGED, axis=1) for picture in row]
    write_png(PICTURE, np.concatenate(enlarged, axis=1))


def most_gained(recorded: np.ndarray, before: np.ndarray, after: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns of the part that comes nearest to what was recorded."""
    errors = [np.square(picture.astype(np.float32) - recorded).sum(axis=2) for picture in (before, after)]
    gain = torch.from_numpy(errors[0] - errors[1])[None]
    sums = torch.nn.functional.avg_pool2d(gain, WINDOW, stride=1)[0]
    top, left = divmod(int(sums.argmax()), sums.shape[1])
    return slice(top, top + WINDOW[0]), slice(left, left + WINDOW[1])


def write_document(results: dict[str, dict[str, Any]], options: argparse.Namespace) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    DOCUMENT.write_text(f"{before}{BEGIN}\n\n{table(results, options)}\n\n{END}{after}", encoding="utf-8")


def table(results: dict[str, dict[str, Any]], options: argparse.Namespace) -> str:
    short = results["short"]
    keys = ("training_bytes", "rendering_bytes", "step_ms", "picture_ms")
    lines = [
        f"Toy drive, one camera of 320x180, {options.steps_per_picture:g} steps a picture.",
        "",
        "| drive | Gaussians | steps | memory training [MiB] | rendering [MiB] | step [ms] | picture [ms] | "
        "held-out PSNR [dB] | near pixels [dB] |",
        "|" + "---|" * 9,
    ]
    for name, case in CASES.items():
        found = results[name]
        cells = [case.told, f"{found['gaussians']:,}", f"{found['steps']:,}"]
        for key in keys:
            value = found[key] / (2**20 if key.endswith("bytes") else 1)
            cells.append(f"{value:.0f} ({found[key] / short[key]:.2f})")
        cells += [f"{found['psnr']:.2f}", f"{found['psnr_near']:.2f}"]
        lines.append("| " + " | ".join(cells) + " |")
    worst = min(results["groups"]["seams_db"])
    libraries = short["libraries_bytes"]
    strict = [
        (results[name]["training_bytes"] - libraries) / (short["training_bytes"] - libraries)
        for name in ("groups", "whole")
    ]
    lines += [
        "",
        "In brackets: as a multiple of the short drive's. Pictures beside a seam, drawn from both groups, "
        f"agree to {worst:.1f} dB or more.",
        f"Of each memory {libraries / 2**20:.0f} MiB are what torch loads at its first work; without them "
        f"training takes {strict[0]:.2f} times the short drive's memory in groups and {strict[1]:.2f} times "
        "without.",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
