"""nuScenes read back through the devkit: every box projected into every picture of its sample."""

import json
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from gsrecon.data.log import CameraFrame, DrivingLog, Track
from gsrecon.data.nuscenes import read_nuscenes
from gsrecon.datasets.nuscenes import channel_name
from gsrecon.datasets.nuscenes_labeled import VERSION
from gsrecon.datasets.nuscenes_vocabulary import token
from gsrecon.datasets.verify_findings import Drawn, Findings
from gsrecon.datasets.verify_views import box_at, objects_of
from gsrecon.errors import GsreconError
from gsrecon.labels.project import project_box
from gsrecon.scene.recording import RecordedCamera


def check_nuscenes(folder: Path, views: list[dict[str, Any]], findings: Findings) -> None:
    """Checks every scene: pictures, sweeps, and each box of each sample in all its pictures."""
    try:
        rows = json.loads((folder / VERSION / "scene.json").read_text(encoding="utf-8"))
        names = [row["name"] for row in rows]
    except (OSError, ValueError, KeyError) as error:
        findings.problem(f"scene.json: missing or damaged ({error})")
        return
    takes = [list(of_take) for _, of_take in groupby(views, key=lambda view: view["take"])]
    if len(names) != len(takes):
        findings.problem(f"scene.json: expected {len(takes)} scenes, got {len(names)}")
        return
    used: set[str] = set()
    for name, of_take in zip(names, takes, strict=True):
        try:
            log = read_nuscenes(folder, name)
            for sweep in log.sweeps:
                log.points(sweep)
                findings.counts["sweeps"] += 1
        except GsreconError as error:
            findings.problem(f"{name}: {error}")
            continue
        _check_scene(log, name, of_take, used, findings)
        used |= {track.id for track in log.tracks}


def _check_scene(
    log: DrivingLog, name: str, views: list[dict[str, Any]], used: set[str], findings: Findings
) -> None:
    frames = {(frame.camera, frame.timestamp_us): frame for frame in log.frames}
    tracks = {track.id: track for track in log.tracks}
    annotated = {(track.id, time) for track in log.tracks for time in track.timestamps_us.tolist()}
    for _, group in groupby(views, key=lambda view: view["moment"]):
        moment = list(group)
        things = {id: thing for view in moment for id, thing in objects_of(view).items()}
        time = moment[0]["moment_timestamp_us"]
        tokens = {id: _instance(name, id, used) for id in things if id in moment[0]["moment_poses"]}
        for id, key in tokens.items():
            if (key, time) not in annotated:
                findings.problem(f"{name}, {id} at {time}: visible, but not annotated")
            annotated.discard((key, time))
        for view in moment:
            frame = frames.get((channel_name(view["camera"]), view["timestamp_us"]))
            if frame is None:
                findings.problem(f"{view['file']}: not among the scene's pictures")
                continue
            _check_picture(log, frame, view, things, tokens, tracks, findings)
    for key, time in sorted(annotated):
        findings.problem(f"{name}, instance {key} at {time}: annotated, but not in the list of views")


def _check_picture(
    log: DrivingLog,
    frame: CameraFrame,
    view: dict[str, Any],
    things: dict[str, dict[str, Any]],
    tokens: dict[str, str],
    tracks: dict[str, Track],
    findings: Findings,
) -> None:
    assert isinstance(frame.image, Path)
    findings.picture(frame.image, view["width"], view["height"])
    camera = log.cameras[frame.camera]
    lens = RecordedCamera(camera.name, camera.K, camera.width, camera.height, camera.ego_from_cam)
    boxes = []
    for id, key in tokens.items():
        thing, time = things[id], view["moment_timestamp_us"]
        expected = box_at(view, thing, np.array(view["moment_poses"][id], dtype=np.float64))
        pose = tracks[key].world_from_actor_at(time) if key in tracks else None
        if pose is None:
            continue
        found = project_box(lens, frame.world_from_cam, tracks[key].size_lwh, pose)
        if (found is None) != (expected is None):
            findings.problem(f"{view['file']}, {id}: in front of the camera in one of both only")
        if found is None or expected is None:
            continue
        findings.error("3D boxes", found.inside, expected.inside, f"{view['file']}, {id}")
        if id in view["kept"]:
            boxes.append((found.inside, thing["category"]))
    findings.drawn.append(Drawn(frame.image, tuple(boxes)))


def _instance(scene: str, id: str, used: set[str]) -> str:
    """The token of an instance: an id of a token's form is kept, unless an earlier scene has it."""
    is_token = len(id) == 32 and all(letter in "0123456789abcdef" for letter in id)
    return id if is_token and id not in used else token(scene, "instance", id)
