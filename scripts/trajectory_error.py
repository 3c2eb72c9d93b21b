"""Compares the poses of two readings of one drive: `python scripts/trajectory_error.py DRIVE TRUTH`.

Both are named as for `gsrecon check`; their frames are paired by camera and index (a drive with one camera
pairs with any other of one camera). Prints one line of JSON: frames, path length [m], the root mean square
distance of the camera positions after the best similarity [m, % of the path], the turn between the poses
[deg], and the scale.

  python scripts/trajectory_error.py images:drive/image_0 kitti-odometry:drive
"""

import argparse
import json

import numpy as np
import torch

from gsrecon.data.images_scale import path_length
from gsrecon.data.log import DrivingLog
from gsrecon.data.spec import open_drive
from gsrecon.geometry.sim3 import fit_motions, trajectory_error


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("drive", help="whose poses are judged")
    parser.add_argument("truth", help="whose poses judge")
    options = parser.parse_args()
    print(json.dumps(compare(open_drive(options.drive)[0], open_drive(options.truth)[0])))


def compare(drive: DrivingLog, truth: DrivingLog) -> dict[str, float]:
    """Errors of the poses of a drive.

    Raises:
        ValueError: Fewer than 3 frames are in both.
    """
    judged, judging = _poses(drive), _poses(truth)
    shared = sorted(judged.keys() & judging.keys())
    if len(shared) < 3:
        raise ValueError(
            f"drive, truth: expected at least 3 frames of the same camera and index, got {len(shared)}"
        )
    found = torch.from_numpy(np.stack([judged[key] for key in shared]))
    true = torch.from_numpy(np.stack([judging[key] for key in shared]))
    length = sum(
        path_length(np.stack([judging[key][:3, 3] for key in shared if key[0] == camera]))
        for camera in {camera for camera, _ in shared}
    )
    error, distances = trajectory_error(found[:, :3, 3], true[:, :3, 3])
    alignment = fit_motions(found, true)
    turns = alignment.motions(found)[:, :3, :3].mT @ true[:, :3, :3]
    # From the chord, which keeps small angles exact.
    chords = (turns - torch.eye(3, dtype=torch.float64)).norm(dim=(1, 2)) / 8**0.5
    return {
        "frames": len(shared),
        "path_m": round(length, 3),
        "error_m": round(error, 4),
        "largest_error_m": round(float(distances.max()), 4),
        "error_percent": round(100 * error / length, 4),
        "turn_deg": round(
            float(torch.rad2deg(2 * torch.asin(chords.clamp(max=1))).square().mean().sqrt()), 4
        ),
        "scale": round(alignment.scale, 5),
    }


def _poses(log: DrivingLog) -> dict[tuple[str, int], np.ndarray]:
    alone = len({frame.camera for frame in log.frames}) == 1
    return {("" if alone else frame.camera, frame.index): frame.world_from_cam for frame in log.frames}


if __name__ == "__main__":
    main()
