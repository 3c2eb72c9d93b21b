"""KITTI read back: every 3D box projected with its own calibration against its 2D box."""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from gsrecon.datasets.kitti_boxes import KittiBox, kitti_type
from gsrecon.datasets.verify_findings import Drawn, Findings
from gsrecon.datasets.verify_views import lens_of, objects_of
from gsrecon.labels.project import project_box
from gsrecon.scene.recording import RecordedCamera


def check_kitti(folder: Path, views: list[dict[str, Any]], findings: Findings) -> None:
    """Checks every frame: picture, calibration, sweep, and each line of labels in order."""
    root = folder / "training"
    try:
        stems = (folder / "ImageSets" / "train.txt").read_text(encoding="utf-8").split()
    except OSError as error:
        findings.problem(f"train.txt: missing or damaged ({error})")
        return
    if len(stems) != len(views):
        findings.problem(f"train.txt: expected {len(views)} frames, got {len(stems)}")
        return
    with_sweeps = any((root / "velodyne").glob("*.bin"))
    for stem, view in zip(stems, views, strict=True):
        path = root / "image_2" / f"{stem}.png"
        findings.picture(path, view["width"], view["height"])
        try:
            calibration = read_calibration(root / "calib" / f"{stem}.txt")
            lines = (root / "label_2" / f"{stem}.txt").read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError, KeyError) as error:
            findings.problem(f"{stem}: its calibration or labels are missing or damaged ({error})")
            continue
        if with_sweeps:
            _check_sweep(root / "velodyne" / f"{stem}.bin", findings)
        things = list(objects_of(view).values())
        if len(lines) != len(things):
            findings.problem(f"{stem}.txt: expected {len(things)} labels, got {len(lines)}")
            continue
        lens = lens_of(view)
        K = calibration["P2"][:, :3].copy()
        K[:2, 2] += 0.5
        read = RecordedCamera(lens.name, K, lens.width, lens.height, lens.ego_from_cam)
        boxes = []
        for line, thing in zip(lines, things, strict=True):
            where = f"{stem}, {thing['id']}"
            label = read_label(line)
            if label is None:
                findings.problem(f"{where}: the line {line!r} is no label")
                continue
            word, rectangle, box = label
            if word != kitti_type(thing["category"]):
                findings.problem(f"{where}: its type is {word}, not {kitti_type(thing['category'])}")
            shown = project_box(read, np.eye(4), box.size_lwh, box.cam_from_actor)
            if shown is None:
                findings.problem(f"{where}: its 3D box lies behind the camera")
                continue
            findings.error("3D boxes", rectangle, shown.inside, where)
            measured = KittiBox.of(
                np.array(thing["size_lwh"]),
                np.linalg.inv(np.array(view["world_from_cam"])) @ np.array(thing["world_from_actor"]),
            )
            expected = project_box(lens, np.eye(4), measured.size_lwh, measured.cam_from_actor)
            if expected is not None:
                findings.error("3D boxes against the scene", shown.inside, expected.inside, where)
            boxes.append((rectangle, word))
        findings.drawn.append(Drawn(path, tuple(boxes)))


def read_calibration(path: Path) -> dict[str, Float64[np.ndarray, "3 _"]]:
    """Matrices of a calibration file by name."""
    rows = [line.split(":", 1) for line in path.read_text(encoding="utf-8").splitlines() if ":" in line]
    found = {}
    for name, numbers in rows:
        values = np.array(numbers.split(), dtype=np.float64)
        found[name] = values.reshape(3, -1)
    if "P2" not in found:
        raise KeyError("P2")
    return found


def read_label(line: str) -> tuple[str, Float64[np.ndarray, " 4"], KittiBox] | None:
    """Type, 2D box in pixel edges and 3D box of a line; None where it is no label."""
    words = line.split()
    if len(words) != 15:
        return None
    try:
        numbers = np.array(words[1:], dtype=np.float64)
    except ValueError:
        return None
    if not np.isfinite(numbers).all():
        return None
    # Pixel centres lie at integers in the file.
    return words[0], numbers[3:7] + 0.5, KittiBox(numbers[7:10], numbers[10:13], float(numbers[13]))


def _check_sweep(path: Path, findings: Findings) -> None:
    findings.counts["sweeps"] += 1
    if not path.is_file():
        findings.problem(f"{path.name}: the sweep is missing")
        return
    raw = path.read_bytes()
    if len(raw) % 16 or not np.isfinite(np.frombuffer(raw[: len(raw) // 16 * 16], dtype="<f4")).all():
        findings.problem(f"{path.name}: the sweep is truncated or not finite")
