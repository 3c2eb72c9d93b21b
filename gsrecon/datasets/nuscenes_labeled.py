"""Writing rendered drives in nuScenes' layout: the writer of recorded drives, with measured visibility."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from gsrecon.data.log import DrivingLog, Track
from gsrecon.datasets.labeled import LabeledDrive
from gsrecon.datasets.nuscenes import NuscenesSettings, write_nuscenes
from gsrecon.datasets.nuscenes_boxes import BoxRules
from gsrecon.datasets.nuscenes_vocabulary import token

SPLIT = "rendered"
VERSION = "v1.0-mini"
"""Name of the folder of tables: one that the devkit knows."""


def write_labeled_nuscenes(drive: LabeledDrive, folder: Path) -> dict[str, Any]:
    """Every take is a scene, every moment a sample; boxes are annotated where any camera shows them.

    Beside the tables, `lidar_objects/` holds the object of every lidar point, under the sweep's own name, and
    `lidar_objects.json` the instance token of each number by scene; `splits.json` names the split `rendered`,
    which the devkit's evaluation takes.

    Raises:
        DatasetError: A camera is no pinhole, or the disk is full.
    """
    logs = [drive.log(take) for take in range(drive.takes)]
    levels: dict[int, dict[int, int]] = {}
    for take, log in enumerate(logs):
        by_id = {track.id: track for track in log.tracks}
        for moment in drive.moments(take):
            for id, level in moment.levels().items():
                if id in by_id:
                    levels.setdefault(id_of(by_id[id]), {})[moment.timestamp_us] = level

    def visibility(track: Track, timestamp_us: int) -> int | None:
        """Of the moment that the sample is."""
        return levels[id_of(track)].get(timestamp_us)

    rules = BoxRules(visibility=visibility)
    inner = folder / "nuscenes"
    write_nuscenes(logs, inner, VERSION, NuscenesSettings(pictures="png", boxes=rules))
    for path in inner.iterdir():
        path.rename(folder / path.name)
    inner.rmdir()
    _write_point_objects(folder, logs, drive)
    scenes = json.loads((folder / VERSION / "scene.json").read_text(encoding="utf-8"))
    names = {SPLIT: [row["name"] for row in scenes]}
    (folder / VERSION / "splits.json").write_text(json.dumps(names), encoding="utf-8")
    return {"boxes at the pictures' own times": "nuScenes has boxes at the samples' times only"}


def id_of(track: Track) -> int:
    """Tracks of different takes may have one id: what tells them apart is which object they are."""
    return id(track)


def _write_point_objects(folder: Path, logs: list[DrivingLog], drive: LabeledDrive) -> None:
    if drive.job.lidar is None:
        return
    rows = json.loads((folder / VERSION / "sample_data.json").read_text(encoding="utf-8"))
    files = [Path(row["filename"]) for row in rows if row["fileformat"] == "pcd"]
    target = folder / "lidar_objects"
    target.mkdir()
    # Both are in the order of scenes and times.
    for file, sweep in zip(files, (sweep for log in logs for sweep in log.sweeps), strict=True):
        assert isinstance(sweep.points, Path)
        numbers = np.load(sweep.points, allow_pickle=False)[:, 5].astype(np.int32)
        np.save(target / f"{file.name}.npy", numbers)
    scenes = json.loads((folder / VERSION / "scene.json").read_text(encoding="utf-8"))
    known = {
        row["token"] for row in json.loads((folder / VERSION / "instance.json").read_text(encoding="utf-8"))
    }
    tokens = {
        scene["name"]: {
            str(subject.number): key
            for subject in drive.job.subjects
            for key in (token(scene["name"], "instance", subject.id), subject.id)
            if key in known
        }
        for scene in scenes
    }
    (folder / "lidar_objects.json").write_text(json.dumps(tokens, indent=1), encoding="utf-8")
