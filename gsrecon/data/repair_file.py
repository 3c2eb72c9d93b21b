"""`pose_repair.json`: corrections of a drive's poses on disk, applied when the drive is opened."""

import hashlib
import json
from pathlib import Path

import numpy as np

from gsrecon.data.folder_values import Value
from gsrecon.data.log import DrivingLog
from gsrecon.data.repair import PoseCorrections, apply_corrections
from gsrecon.errors import DatasetError
from gsrecon.files import write_text

_KEYS = ("format_version", "drive", "poses_sha256", "timestamps_us", "z_m", "roll_deg", "pitch_deg")


def write_repair(path: Path | str, log: DrivingLog, corrections: PoseCorrections) -> None:
    """Writes corrections as JSON, whole or not at all.

    Args:
        path: The file.
        log: The drive as it was recorded, before the corrections.
        corrections: What to add to its poses.
    """
    z, roll, pitch = corrections.values.T
    document = {
        "format_version": 1,
        "drive": log.name,
        "poses_sha256": checksum_of_poses(log),
        "timestamps_us": corrections.timestamps_us.tolist(),
        "z_m": np.round(z, 6).tolist(),
        "roll_deg": np.round(np.rad2deg(roll), 6).tolist(),
        "pitch_deg": np.round(np.rad2deg(pitch), 6).tolist(),
    }
    rows = ",\n".join(f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in document.items())
    write_text(path, "{\n" + rows + "\n}\n")


def read_repair(path: Path | str, log: DrivingLog) -> PoseCorrections:
    """Corrections of a drive.

    Args:
        path: A file from `write_repair`.
        log: The drive, as it was recorded.

    Raises:
        DatasetError: The file is missing, damaged, or made for other poses than this drive's.
    """
    file = Path(path)
    if not file.is_file():
        raise DatasetError(f"{file}: the pose repair is missing; make it with gsrecon repair-poses DRIVE")
    members = Value.load(file).members(_KEYS)
    members["format_version"].choice(1)
    recorded = checksum_of_poses(log)
    if members["poses_sha256"].text() != recorded:
        raise DatasetError(
            f"{file}: was made for other ego poses ({members['drive'].text()}) than those of {log.name}; run "
            "gsrecon repair-poses on this drive again"
        )
    times = np.array([entry.whole() for entry in members["timestamps_us"].items()], dtype=np.int64)
    if len(times) == 0 or (np.diff(times) <= 0).any():
        raise members["timestamps_us"].error("ascending times, at least one")
    z, roll, pitch = (members[key].numbers(len(times)) for key in ("z_m", "roll_deg", "pitch_deg"))
    return PoseCorrections(times, np.stack([z, np.deg2rad(roll), np.deg2rad(pitch)], axis=1))


def apply_repair(log: DrivingLog, path: Path | str) -> DrivingLog:
    """The drive with a repair from disk applied to its poses and boxes.

    Raises:
        DatasetError: The file is missing, damaged, or made for other poses than this drive's.
    """
    return apply_corrections(log, read_repair(path, log))


def checksum_of_poses(log: DrivingLog) -> str:
    """SHA-256 of the ego times and poses, the latter to a millionth: the same on every machine."""
    digest = hashlib.sha256(np.ascontiguousarray(log.ego_timestamps_us, dtype="<i8").tobytes())
    # Half a step off zero and other round numbers, where the last bit would decide how they are rounded.
    digest.update(np.floor(log.world_from_ego * 1e6 + 0.25).astype("<i8").tobytes())
    return digest.hexdigest()
