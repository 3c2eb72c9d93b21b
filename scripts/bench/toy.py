"""Measures training and rendering as a whole on a short toy drive; prints a JSON object.

Called as `toy.py THREADS STEPS`.
"""

import json
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from gsrecon.data.spec import SceneSpec, TestSplit
from gsrecon.data.toy import ToyConfig, make_toy
from gsrecon.evaluation.novel_views import driven_path, render_path
from gsrecon.scene.bundle import load_scene
from gsrecon.train.config import TrainConfig
from gsrecon.train.loop import train

_DRIVE = ToyConfig(length_m=20, cameras=1)
_SPEC = SceneSpec(name="bench-toy", drive="toy", test=TestSplit(every=8, offset=4))


def measure(threads: int, steps: int) -> dict:
    """Mean time of a training step by its parts, and of a picture of the driven path."""
    torch.set_num_threads(threads)
    log = make_toy(_DRIVE).log
    with TemporaryDirectory() as folder:
        config = TrainConfig(steps=steps, evaluations=0, log_every=steps, device="cpu")
        run = train(log, _SPEC, config, Path(folder) / "run")
        rows = (run.run_dir / "metrics.jsonl").read_text().splitlines()
        graph = load_scene(run.scene_dir)
    path = driven_path(graph)
    next(render_path(graph, path))
    started = time.perf_counter()
    pictures = sum(1 for _ in render_path(graph, path))
    render_s = time.perf_counter() - started
    parts = next(row for row in map(json.loads, rows) if "ms_render" in row)
    return {
        "threads": threads,
        "width": _DRIVE.width,
        "height": _DRIVE.height,
        "gaussians": run.gaussians,
        "steps": run.steps,
        "step_ms": 1e3 * run.seconds / run.steps,
        "parts_ms": {key[3:]: value for key, value in parts.items() if key.startswith("ms_")},
        "render_ms": 1e3 * render_s / pictures,
    }


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]), int(sys.argv[2]))))
