"""Measures what a reconstruction is worth: `python scripts/quality.py kitti|toy`. Prints one line of JSON.

kitti: held-out PSNR on KITTI raw drive 0001, training seconds, peak memory.
toy:   held-out PSNR of static pixels on the toy drive, and PSNR against the true view 1 m to the side, on the
       static pixels that two or more training pictures saw.
"""

import argparse
import json
import resource
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from gsrecon.data.counted import widened
from gsrecon.data.log import CameraFrame, DrivingLog
from gsrecon.data.projection import project, unproject
from gsrecon.data.spec import open_drive
from gsrecon.data.toy import ToyDrive, ToyTruth, make_toy
from gsrecon.evaluation.evaluate import EvaluateConfig, evaluate
from gsrecon.evaluation.novel_views import driven_path, render_path
from gsrecon.geometry.paths import CameraPath
from gsrecon.scene.bundle import load_scene
from gsrecon.scene.graph import SceneGraph
from gsrecon.train.config import TrainConfig
from gsrecon.train.loop import train

MOVING_MARGIN_PX = 2
NEIGHBOUR_FRAMES = (-8, -5, -3, -2, -1, 0, 1, 2, 3, 5, 8)
"""Training pictures this many frames away are asked whether they saw a pixel."""
DEPTH_TOLERANCE = 0.02
"""Relative difference in depth up to which two pictures see the same surface."""
SKY_DEPTH_M = 1e4


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("drive", choices=["kitti", "toy"])
    parser.add_argument("--data", type=Path, help="folder 2011_09_26_drive_0001_sync, for kitti")
    parser.add_argument("--minutes", type=float, help="of training; 6 for kitti, 4 for toy")
    parser.add_argument("--run", type=Path, help="where the run is kept; a temporary folder when left out")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        run = options.run or Path(scratch) / "run"
        measure = kitti if options.drive == "kitti" else toy
        print(json.dumps(measure(run, options.data, options.minutes)))


def kitti(run: Path, data: Path | None, minutes: float | None) -> dict[str, float]:
    """Held-out quality on the real recording."""
    log, spec = open_drive("kitti-0001", data=data)
    config = TrainConfig(steps=None, max_minutes=minutes or 6.0, evaluations=0)
    result = train(log, spec, config, run)
    scores = evaluate(load_scene(result.scene_dir), log)
    return {"held_out_psnr": scores.psnr, **_cost(result.seconds)}


def toy(run: Path, data: Path | None, minutes: float | None) -> dict[str, float]:
    """Held-out and shifted quality on the toy drive."""
    log, spec = open_drive("toy")
    config = TrainConfig(steps=None, max_minutes=minutes or 4.0, evaluations=0)
    result = train(log, spec, config, run)
    cost = _cost(result.seconds)
    scene = load_scene(result.scene_dir)
    scores = evaluate(scene, log, EvaluateConfig(mask_moving=True, moving_margin_px=MOVING_MARGIN_PX))
    drive = make_toy()
    return {
        "held_out_psnr": scores.psnr,
        "shifted_1m_psnr": shifted_psnr(scene, log, drive, left_m=1.0),
        **cost,
    }


def _cost(seconds: float) -> dict[str, float]:
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"training_seconds": round(seconds, 1), "peak_gib": round(peak_kib / 2**20, 3)}


def shifted_psnr(
    scene: SceneGraph, log: DrivingLog, drive: ToyDrive, left_m: float, stride: int = 12
) -> float:
    """PSNR of pictures shifted to the left against the truth, over static pixels that training pictures saw.

    Squared errors are pooled over the pixels of one picture; the PSNRs of the pictures are averaged.
    """
    assert scene.recording is not None
    held_out = {(f.camera, f.index) for f in scene.recording.frames if f.held_out}
    witnesses = Witnesses(log, drive, held_out)
    scores = []
    for camera in log.cameras:
        frames = [f for f in log.frames if f.camera == camera]
        path = driven_path(scene, camera, left_m=left_m)
        chosen = slice(stride // 2, None, stride)
        views = render_path(scene, _part_of(path, chosen), camera)
        for frame, view in zip(frames[chosen], views, strict=True):
            truth = drive.truth(frame, shift_left_m=left_m)
            counts = witnesses.at_least_two(frame, left_m, truth) & ~_moving(drive, truth)
            error = (view.image[counts].astype(np.float64) - truth.image[counts]) / 255.0
            scores.append(-10 * np.log10(np.mean(error**2)))
    return float(np.mean(scores))


def _part_of(path: CameraPath, part: slice) -> CameraPath:
    return CameraPath(path.world_from_cam[part], path.times_s[part], path.shown_s[part])


def _moving(drive: ToyDrive, truth: ToyTruth) -> np.ndarray:
    return widened(drive.is_moving(truth.instance), MOVING_MARGIN_PX)


class Witnesses:
    """Which surfaces the training pictures saw, by their exact depth."""

    def __init__(self, log: DrivingLog, drive: ToyDrive, held_out: set[tuple[str, int]]) -> None:
        self.log, self.drive = log, drive
        self.frames = {(f.camera, f.index): f for f in log.frames if (f.camera, f.index) not in held_out}
        self.truths: dict[tuple[str, int], ToyTruth] = {}

    def at_least_two(self, frame: CameraFrame, left_m: float, truth: ToyTruth) -> np.ndarray:
        """Pixels [H, W] of the shifted picture whose surface two or more training pictures saw."""
        camera = self.log.cameras[frame.camera]
        rows, columns = np.mgrid[0 : camera.height, 0 : camera.width]
        pixels = np.stack([columns.ravel() + 0.5, rows.ravel() + 0.5], axis=1)
        rays = unproject(pixels, camera.K)
        depth = np.where(np.isfinite(truth.depth), truth.depth, SKY_DEPTH_M).ravel()
        points_in_cam = rays / rays[:, 2:] * depth[:, None]
        world_from_cam = frame.world_from_cam.copy()
        ego_from_cam = camera.ego_from_cam
        left_in_world = (world_from_cam[:3, :3] @ ego_from_cam[:3, :3].T)[:, 1]
        world_from_cam[:3, 3] += left_m * left_in_world
        points = points_in_cam @ world_from_cam[:3, :3].T + world_from_cam[:3, 3]
        seen = np.zeros(len(points), dtype=int)
        for witness in self._near(frame):
            seen += self._sees(witness, points)
        return (seen >= 2).reshape(truth.depth.shape)

    def _near(self, frame: CameraFrame) -> Iterator[CameraFrame]:
        for camera in self.log.cameras:
            for away in NEIGHBOUR_FRAMES:
                witness = self.frames.get((camera, frame.index + away))
                if witness is not None:
                    yield witness

    def _sees(self, witness: CameraFrame, points: np.ndarray) -> np.ndarray:
        key = (witness.camera, witness.index)
        if key not in self.truths:
            self.truths[key] = self.drive.truth(witness)
        truth, camera = self.truths[key], self.log.cameras[witness.camera]
        cam_from_world = np.linalg.inv(witness.world_from_cam)
        in_cam = points @ cam_from_world[:3, :3].T + cam_from_world[:3, 3]
        in_front = in_cam[:, 2] > 0.1
        in_cam[~in_front] = (0.0, 0.0, 1.0)
        columns, rows = np.floor(project(in_cam, camera.K)).astype(int).T
        inside = in_front & (columns >= 0) & (columns < camera.width) & (rows >= 0) & (rows < camera.height)
        rows, columns = np.where(inside, rows, 0), np.where(inside, columns, 0)
        depth = truth.depth[rows, columns]
        depth = np.where(np.isfinite(depth), depth, SKY_DEPTH_M)
        same = np.abs(depth - in_cam[:, 2]) <= DEPTH_TOLERANCE * in_cam[:, 2]
        same |= (depth == SKY_DEPTH_M) & (in_cam[:, 2] > 0.5 * SKY_DEPTH_M)
        return inside & same & ~_moving(self.drive, truth)[rows, columns]


if __name__ == "__main__":
    main()
