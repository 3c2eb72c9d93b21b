"""How well labels are carried into a scene with poses of its own: `python scripts/adaptor_errors.py DRIVE`.

Takes a drive's poses as the data set's, and as the scene's the same under a similarity, smooth drift and
noise. Fits the adaptor to even frames and judges it on odd ones: on their poses, on poses up to 1 m off the
path, and on boxes up to 20 m away. A plain Umeyama fit of the positions is beside it. Prints medians.
"""

import argparse
import json
from dataclasses import dataclass

import numpy as np
import torch

from gsrecon.data.log import DrivingLog
from gsrecon.data.spec import SceneSpec, open_drive
from gsrecon.geometry.rigid import se3_exp
from gsrecon.geometry.sim3 import Sim3, fit_points
from gsrecon.labels.alignment import Alignment, pose_errors

KINDS = ("recorded poses", "poses 1 m off the path", "boxes up to 20 m away")


@dataclass(frozen=True)
class Bending:
    """What is done to the poses."""

    drift: float = 0.005
    """Largest displacement, as a share of the length driven."""
    drift_deg: float = 0.3
    noise_m: float = 0.01
    noise_deg: float = 0.05


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("drive", help="such as kitti:PATH")
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    log, _ = open_drive(SceneSpec("adaptor", options.drive))
    medians = judged(log, options.draws)
    if options.json:
        print(json.dumps(medians))
        return
    print("| medians | adaptor | plain Umeyama |\n|---|---|---|")
    for kind, (metres, degrees, umeyama_m, umeyama_deg) in medians.items():
        print(f"| {kind} | {metres:.3f} m, {degrees:.3f} deg | {umeyama_m:.3f} m, {umeyama_deg:.3f} deg |")


def judged(log: DrivingLog, draws: int, bending: Bending | None = None) -> dict[str, tuple[float, ...]]:
    """Medians over all draws: adaptor [m, deg], Umeyama [m, deg], by what was judged."""
    camera = next(iter(log.cameras))
    frames = [frame for frame in log.frames if frame.camera == camera]
    times = np.array([frame.timestamp_us for frame in frames], dtype=np.int64)
    poses = np.stack([frame.world_from_cam for frame in frames])
    errors: dict[str, list[list[np.ndarray]]] = {kind: [] for kind in KINDS}
    for seed in range(draws):
        for kind, found in _one_draw(times, poses, seed, bending or Bending()).items():
            errors[kind].append(found)
    return {
        kind: tuple(float(np.median(np.concatenate(column))) for column in zip(*of_kind, strict=True))
        for kind, of_kind in errors.items()
    }


def _one_draw(
    times: np.ndarray, poses: np.ndarray, seed: int, bending: Bending
) -> dict[str, list[np.ndarray]]:
    rng = np.random.default_rng(seed)
    count = len(poses)
    turn = se3_exp(torch.from_numpy(np.concatenate([np.zeros(3), rng.normal(size=3)])))[:3, :3]
    similarity = Sim3(float(np.exp(0.7 * rng.normal())), turn, torch.from_numpy(50 * rng.normal(size=3)))
    bent = poses @ _drift(poses, bending, rng)
    noise = [rng.normal(size=(count, 3)) * size for size in (bending.noise_m, np.radians(bending.noise_deg))]
    noisy = bent @ se3_exp(torch.from_numpy(np.concatenate(noise, axis=1))).numpy()
    scene = _mapped(similarity, noisy)
    even, odd = slice(0, None, 2), slice(1, None, 2)
    alignment = Alignment.fit(times[even], poses[even], scene[even])
    places = [torch.from_numpy(p[even, :3, 3].copy()) for p in (poses, scene)]
    umeyama = fit_points(places[0], places[1])
    found = {}
    for kind, offsets in zip(KINDS, _offsets(count, rng), strict=True):
        source = (poses @ offsets)[odd]
        truth = _mapped(similarity, bent @ offsets)[odd]
        ours = alignment.errors(times[odd], source, truth)
        plain = pose_errors(_mapped(umeyama, source), truth, similarity.scale)
        found[kind] = [*ours, *plain]
    return found


def _drift(poses: np.ndarray, bending: Bending, rng: np.random.Generator) -> np.ndarray:
    """Motions in the camera's axes that start at nothing and change slowly along the way."""
    steps = np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=1)
    way = np.concatenate([[0.0], np.cumsum(steps)])
    share = (way / way[-1])[:, None]
    waves, phases = rng.uniform(0.3, 1.0, 6), rng.uniform(0, 2 * np.pi, 6)
    curves = np.sin(2 * np.pi * share * waves + phases) - np.sin(phases)
    moved, turned = curves[:, :3], curves[:, 3:]
    moved = moved * bending.drift * way[-1] / np.linalg.norm(moved, axis=1).max()
    turned = turned * np.radians(bending.drift_deg)
    return se3_exp(torch.from_numpy(np.concatenate([moved, turned], axis=1))).numpy()


def _offsets(count: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Nothing, novel poses, boxes; in the camera."""
    near = np.concatenate(
        [rng.uniform(-1, 1, (count, 3)), np.radians(3) * rng.normal(size=(count, 3))], axis=1
    )
    places = np.stack(
        [rng.uniform(-8, 8, count), rng.uniform(-1, 2, count), rng.uniform(3, 18, count)], axis=1
    )
    boxes = np.concatenate([places, rng.normal(size=(count, 3))], axis=1)
    moved = [se3_exp(torch.from_numpy(tangents)).numpy() for tangents in (near, boxes)]
    moved[1][:, :3, 3] = places
    return [np.tile(np.eye(4), (count, 1, 1)), *moved]


def _mapped(similarity: Sim3, poses: np.ndarray) -> np.ndarray:
    return similarity.motions(torch.from_numpy(np.ascontiguousarray(poses))).numpy()


if __name__ == "__main__":
    main()
