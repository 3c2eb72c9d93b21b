"""From a scene to a labelled data set: rendered moment by moment, written in a format, with a card."""

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import gsrecon
from gsrecon.datasets.coco import require_masks, write_coco
from gsrecon.datasets.kitti import write_kitti
from gsrecon.datasets.labeled import LabeledDrive, LabelRules, class_names
from gsrecon.datasets.new_folder import new_folder, require_new
from gsrecon.datasets.nuscenes import channel_name
from gsrecon.datasets.nuscenes_labeled import write_labeled_nuscenes
from gsrecon.datasets.openlane import write_openlane
from gsrecon.datasets.rendered_files import picture_name, place_file
from gsrecon.datasets.rendering import DEPTH_UNITS, RenderJob, picture_file, render_moments, scene_checksum
from gsrecon.datasets.yolo import write_yolo
from gsrecon.errors import DatasetError
from gsrecon.labels.views import FIRST_CLASS
from gsrecon.scene.edits import Edit, to_json
from gsrecon.scene.recording import Recording

Format = Literal["nuscenes", "kitti", "coco", "yolo", "openlane"]

_WRITERS: Mapping[Format, Callable[[LabeledDrive, Path], dict[str, Any]]] = {
    "nuscenes": write_labeled_nuscenes,
    "kitti": write_kitti,
    "coco": write_coco,
    "yolo": write_yolo,
    "openlane": write_openlane,
}

DOUBTFUL = 0.3
"""Pictures of less trust are counted in the card: they show what was hardly recorded."""
CARD, VIEWS = "card.json", "views.jsonl"
"""In the folder `gsrecon/` of every export."""


@dataclass(frozen=True)
class Provenance:
    """Where an export comes from, for its card."""

    name: str
    """Of the drive."""
    source: str
    """Kind of recording."""
    licence: str
    """Of the recording; what is rendered from it is bound by it."""
    path: Mapping[str, Any] = field(default_factory=dict)
    """How the rig went."""
    adaptor: Mapping[str, Any] = field(default_factory=dict)
    """How well annotated and rendered poses agree."""
    edits: tuple[Edit, ...] = ()
    """Edit list that was applied to the scene."""


def export_dataset(
    job: RenderJob,
    recording: Recording,
    provenance: Provenance,
    format: Format,
    folder: Path,
    rules: LabelRules | None = None,
    workers: int = 1,
    on_views: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """Renders what is not rendered yet and writes the data set; the work folder beside it is removed then.

    Args:
        job: What to render.
        recording: The scene's recording.
        provenance: For the card.
        format: How to write it.
        folder: Where; it must not exist, or be empty.
        rules: Which labels are kept.
        workers: Processes.
        on_views: Called with numbers of views as they are finished.

    Returns:
        The card.

    Raises:
        DatasetError: The folder holds something, the disk is full, or the format cannot hold the drive.
    """
    rules = rules or LabelRules()
    work = work_folder(folder)
    drive = LabeledDrive(job, work, recording, rules, provenance.name, provenance.licence)
    finished = _finished(folder, job, format, rules)
    if finished is not None:
        _remove(work)
        return finished
    require_new(folder)
    _require_expressible(drive, format)
    render_moments(job, work, workers, on_views)
    with new_folder(folder) as aside:
        lost = _WRITERS[format](drive, aside)
        card = _card(drive, provenance, format, lost)
        _write_views(drive, aside / "gsrecon")
        if job.id_pictures:
            _place_pictures(drive, aside / "gsrecon")
        (aside / "gsrecon" / CARD).write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    _remove(work)
    return card


def work_folder(folder: Path) -> Path:
    """Where an export's rendered moments are kept until it is complete."""
    return folder.with_name(f".{folder.name}.rendering")


def _finished(folder: Path, job: RenderJob, format: Format, rules: LabelRules) -> dict[str, Any] | None:
    """The card of a folder that was written of this very job in this form; None where there is none."""
    try:
        card = json.loads((folder / "gsrecon" / CARD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    wanted = {"format": format, "rules": asdict(rules), "job sha256": job.fingerprint()}
    same = isinstance(card, dict) and all(card.get(name) == value for name, value in wanted.items())
    return card if same else None


def _remove(work: Path) -> None:
    """First by its name, so that no half of it is taken for work that goes on."""
    if work.exists():
        aside = work.with_name(f"{work.name}.{os.getpid()}.partial")
        os.replace(work, aside)
        shutil.rmtree(aside, ignore_errors=True)


def _require_expressible(drive: LabeledDrive, format: Format) -> None:
    """Refuses before hours of rendering what the format cannot hold.

    Raises:
        DatasetError: A camera is no pinhole, or two cameras would have one name.
        BackendUnavailableError: A package that writes the format is not installed.
    """
    if format in ("nuscenes", "kitti", "openlane"):
        for camera in drive.cameras.values():
            if camera.model != "pinhole":
                raise DatasetError(
                    f"{camera.name} is a {camera.model} camera, and {format} knows pinholes only; "
                    "leave it out"
                )
    if format == "coco":
        require_masks()
    if format == "nuscenes":
        channels = [channel_name(name) for name in drive.cameras]
        for channel in channels:
            if channels.count(channel) > 1:
                raise DatasetError(
                    f"two cameras would both be {channel} in nuScenes; rename one or leave it out"
                )
    for subject in drive.job.subjects:
        if not bool((subject.size_lwh > 0).all()):
            raise DatasetError(f"the box of {subject.id!r} has no size; correct or remove it")


def _card(
    drive: LabeledDrive, provenance: Provenance, format: Format, lost: Mapping[str, Any]
) -> dict[str, Any]:
    pictures = labels = empty = doubtful = 0
    for picture in drive.pictures():
        pictures += 1
        doubtful += picture.record.trust.score < DOUBTFUL
        labels += len(picture.objects)
        empty += not picture.objects
    return {
        "format": format,
        "gsrecon": gsrecon.__version__,
        "drive": provenance.name,
        "source": provenance.source,
        "licence of the source": provenance.licence or "not stated",
        "scene sha256": scene_checksum(drive.job.scene),
        "job sha256": drive.job.fingerprint(),
        "source_from_world": drive.recording.source_from_world.tolist(),
        "path": dict(provenance.path),
        "adaptor": dict(provenance.adaptor),
        "edits": [to_json(edit) for edit in provenance.edits],
        "rules": asdict(drive.rules),
        "pictures": pictures,
        "pictures without an object": empty,
        "pictures of little trust": doubtful,
        "labels": labels,
        "left out": drive.left_out(),
        "what the format cannot hold": dict(lost),
    }


def _write_views(drive: LabeledDrive, folder: Path) -> None:
    """One line a picture: all that was measured, in the terms of the scene, whatever the format holds."""
    folder.mkdir()
    with (folder / VIEWS).open("w", encoding="utf-8") as file:
        for moment in drive.moments():
            for picture in moment.pictures:
                camera = picture.camera
                record = picture.record.to_json()
                del record["lanes"]
                row = {
                    "file": picture_name(picture),
                    **record,
                    "K": camera.K.tolist(),
                    "width": camera.width,
                    "height": camera.height,
                    "model": camera.model,
                    "distortion": camera.distortion,
                    "kept": [thing.id for thing in picture.objects],
                    "moment_timestamp_us": moment.timestamp_us,
                    "moment_poses": {id: pose.tolist() for id, pose in moment.poses.items()},
                }
                file.write(json.dumps(row) + "\n")


def _place_pictures(drive: LabeledDrive, folder: Path) -> None:
    """`instance/`, `semantic/`, `depth/` under the pictures' names; what numbers mean in `ids.json`."""
    for picture in drive.pictures():
        name = f"{picture_name(picture)}.png"
        for kind in ("instance", "semantic", "depth"):
            source = picture_file(picture.instance.parent, picture.record.camera, kind)
            place_file(source, folder / kind / name)
    classes = {"0": "background", "1": "sky"}
    classes |= {str(FIRST_CLASS + k): name for k, name in enumerate(class_names(drive))}
    ids = {str(subject.number): subject.id for subject in drive.job.subjects}
    content = {
        "instance": ids,
        "semantic": classes,
        "depth": f"1/{DEPTH_UNITS} m, 0 is none, or 256 m and more",
    }
    (folder / "ids.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
