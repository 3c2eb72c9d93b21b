"""Exports of a hand-made street."""

from pathlib import Path

from gsrecon.datasets.export import Provenance, export_dataset
from gsrecon.datasets.rendering import RenderJob
from gsrecon.labels.adaptor import RefinedPoses
from gsrecon.labels.lidar import LidarSpec
from gsrecon.labels.rig_paths import Rig, RigSampling
from gsrecon.labels.subjects import subjects

SMALL_LIDAR = LidarSpec(beams=8, azimuths=90)
PROVENANCE = Provenance("street", "folder", "made up", {"kind": "shift"})


def job_of(scene, lidar: LidarSpec | None = SMALL_LIDAR, **sampling) -> RenderJob:
    log, graph, folder = scene
    rig = Rig(graph.recording, None)
    views = rig.sampled(RigSampling(**sampling)) if sampling else rig.recorded(0.5)
    return RenderJob(folder, subjects(log.tracks), log.lanes, RefinedPoses(log, None), tuple(views), lidar)


def export(scene, format: str, folder: Path, job: RenderJob | None = None, **options) -> dict:
    graph = scene[1]
    return export_dataset(job or job_of(scene), graph.recording, PROVENANCE, format, folder, **options)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
