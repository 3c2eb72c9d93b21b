"""Rendering a drive again with its labels: moment by moment into a work folder, by several processes.

A moment's folder is done when its `moment.json` is there, which is written last. Every file is written aside
and renamed, and a picture does not depend on the process or the number of threads that drew it: work that
was killed goes on and ends in the same bits.
"""

import hashlib
import io
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import dataclass
from itertools import groupby
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import torch
from jaxtyping import Float32, Float64, UInt16
from PIL import Image

import gsrecon
from gsrecon.data.log import Lane
from gsrecon.errors import DatasetError
from gsrecon.files import write_text, written_aside
from gsrecon.labels.adaptor import Adaptor
from gsrecon.labels.lidar import LidarSpec, sweep
from gsrecon.labels.recorded_sides import RecordedSides
from gsrecon.labels.records import ViewRecord
from gsrecon.labels.rig_paths import PlannedView
from gsrecon.labels.subjects import Subject
from gsrecon.labels.trust import Trust
from gsrecon.labels.views import SKY, LabeledView, Labeler
from gsrecon.ops.device import pick_device
from gsrecon.ops.rasterize import Backend
from gsrecon.scene.edited import edited_scene
from gsrecon.scene.edits import Edit, sources_checksum
from gsrecon.scene.groups_scene import for_pose

_SHARDS_EACH, _SMALLEST_SHARD, _LARGEST_SHARD = 8, 4, 32
"""How many shards a process takes, and how many moments these have: neighbours, which share the fitted
pictures they are judged by and the group of a long scene."""
_PNG_LEVEL = 1
DEPTH_UNITS = 256
"""Of depth pictures in a metre, as KITTI has them; 0 is no depth, or one of 256 m and more."""


@dataclass(frozen=True)
class RenderJob:
    """All that a process needs to render moments of a plan."""

    scene: Path
    """Scene folder."""
    subjects: tuple[Subject, ...]
    lanes: tuple[Lane, ...]
    adaptor: Adaptor
    views: tuple[PlannedView, ...]
    """By take, then moment."""
    lidar: LidarSpec | None
    """Sensor whose sweep is drawn at each moment; None: none."""
    id_pictures: bool = False
    """Also keep semantic and depth pictures."""
    edits: tuple[Edit, ...] = ()
    """What is done to the scene's objects first; the subjects' tracks are edited already."""
    backend: Backend = "auto"
    device: str = "auto"
    """Where to render, as `pick_device` takes it; work that was begun goes on on any."""

    @property
    def moments(self) -> list[tuple[PlannedView, ...]]:
        """Views that belong to one moment, in order."""
        grouped = groupby(self.views, key=lambda view: (view.take, view.moment))
        return [tuple(views) for _, views in grouped]

    def fingerprint(self) -> str:
        """Of everything that decides what is rendered."""
        digest = hashlib.sha256()
        for view in self.views:
            digest.update(repr((view.take, view.moment, view.camera, view.timestamp_us)).encode())
            digest.update(np.ascontiguousarray(view.world_from_cam, dtype=np.float64).tobytes())
        for subject in self.subjects:
            track = subject.track
            digest.update(
                repr((subject.id, subject.category, subject.size_lwh.tolist(), track.reach_us)).encode()
            )
            digest.update(track.timestamps_us.tobytes() + track.world_from_actor.tobytes())
        for lane in self.lanes:
            digest.update(repr((lane.id, lane.kind)).encode() + lane.points_in_world.tobytes())
        settings = (self.lidar, self.id_pictures, self.edits, self.backend, gsrecon.__version__)
        digest.update(repr((settings, type(self.adaptor).__name__)).encode())
        digest.update(sources_checksum(self.edits).encode())
        digest.update(self.adaptor.fingerprint())
        digest.update(scene_checksum(self.scene).encode())
        return digest.hexdigest()


def scene_checksum(scene: Path) -> str:
    """SHA-256 over the manifests of a scene folder, which hold the sums of its files."""
    digest = hashlib.sha256()
    manifests = sorted(scene.resolve().rglob("manifest.json")) or sorted(scene.resolve().rglob("scene.json"))
    for path in manifests:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def moment_folder(work: Path, take: int, moment: int) -> Path:
    """Where a moment's files are; a thousand to a folder."""
    return work / f"take-{take:03d}" / f"{moment // 1000:03d}" / f"{moment:06d}"


def picture_file(folder: Path, camera: str, kind: str) -> Path:
    """A picture of a moment's folder: `image`, `instance`, `semantic` or `depth`."""
    return folder / f"{file_word(camera)}.{kind}.png"


def depth_picture(depth: Float32[np.ndarray, "H W"]) -> UInt16[np.ndarray, "H W"]:
    """Depths [m] in the units of depth pictures."""
    units = np.rint(depth * DEPTH_UNITS)
    return np.where(units <= np.iinfo(np.uint16).max, units, 0).astype(np.uint16)


def file_word(name: str) -> str:
    """A name as part of a file's name, different for different names."""
    return quote(name, safe="")


def render_moments(
    job: RenderJob, work: Path, workers: int = 1, on_views: Callable[[int], None] | None = None
) -> None:
    """Renders every moment of a job that is not done yet.

    Args:
        job: What to render.
        work: Folder for the results; one that was begun by the same job is gone on with.
        workers: Processes; 1 works in this one.
        on_views: Called with the number of views each time some are finished, those found done first.

    Raises:
        BackendUnavailableError: The job's device is not there.
        DatasetError: The folder belongs to another job, or the disk is full.
    """
    pick_device(job.device, job.backend)  # a wrong one is told before anything is written
    _claim(job, work)
    moments = job.moments
    pending = [
        number
        for number, views in enumerate(moments)
        if not (moment_folder(work, views[0].take, views[0].moment) / "moment.json").exists()
    ]
    told = on_views or (lambda count: None)
    done = set(range(len(moments))) - set(pending)
    if done:
        told(sum(len(moments[number]) for number in done))
    size = int(np.clip(len(pending) // (_SHARDS_EACH * max(1, workers)), _SMALLEST_SHARD, _LARGEST_SHARD))
    shards = [pending[start : start + size] for start in range(0, len(pending), size)]
    if workers <= 1 or len(shards) <= 1:
        renderer = _Renderer(job, work)
        for number in pending:
            renderer.render(moments[number])
            told(len(moments[number]))
        return
    _render_in_processes(job, work, shards, workers, lambda number: told(len(moments[number])))


def _render_in_processes(
    job: RenderJob,
    work: Path,
    shards: Sequence[Sequence[int]],
    workers: int,
    told: Callable[[int], None],
) -> None:
    threads = max(1, (os.cpu_count() or 1) // workers)
    before = {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "OMP_WAIT_POLICY")}
    os.environ.update(OMP_NUM_THREADS=str(threads), OMP_WAIT_POLICY="passive")
    pool = ProcessPoolExecutor(
        workers, get_context("spawn"), initializer=_start_process, initargs=(job, work, threads)
    )
    try:
        # No more shards are handed out than are worked on, so that a stop is quick.
        waiting = list(reversed(shards))
        running = {pool.submit(_render_shard, waiting.pop()) for _ in range(min(len(waiting), workers + 1))}
        while running:
            finished, running = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                for number in future.result():
                    told(number)
                if waiting:
                    running.add(pool.submit(_render_shard, waiting.pop()))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _claim(job: RenderJob, work: Path) -> None:
    """Makes the work folder this job's, and clears what a killed process left half done in it."""
    mark, fingerprint = work / "job.json", job.fingerprint()
    try:
        if mark.exists():
            if json.loads(mark.read_text(encoding="utf-8")).get("fingerprint") != fingerprint:
                raise DatasetError(
                    f"{work}: holds the beginning of another export (other options or another scene); remove "
                    "it, or repeat the options it was begun with"
                )
            for left in work.rglob(".*.partial*"):
                left.unlink(missing_ok=True)
        elif work.exists() and any(work.iterdir()):
            raise DatasetError(f"{work}: holds something else; remove it")
        else:
            write_text(mark, json.dumps({"fingerprint": fingerprint}))
    except OSError as error:
        raise DatasetError(
            f"{work}: cannot be written ({error.strerror or error}); free space or choose another place"
        ) from error


_process: "_Renderer | None" = None


def _start_process(job: RenderJob, work: Path, threads: int) -> None:
    global _process
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    torch.set_num_threads(threads)
    _process = _Renderer(job, work)


def _end_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.25)
    os._exit(1)


def _render_shard(numbers: Sequence[int]) -> list[int]:
    assert _process is not None
    for number in numbers:
        _process.render(_process.moments[number])
    return list(numbers)


class _Renderer:
    """One process's scene and its readers."""

    def __init__(self, job: RenderJob, work: Path) -> None:
        self._job, self._work = job, work
        lanes = [job.adaptor.points(lane.points_in_world) for lane in job.lanes]
        device = pick_device(job.device, job.backend)
        self._scene = edited_scene(job.scene, job.edits, device, lanes)
        assert self._scene.recording is not None
        sides = RecordedSides(self._scene.recording, job.subjects, job.adaptor, self._scene.camera_refinement)
        self._labeler = Labeler(job.subjects, job.lanes, job.adaptor, sides, job.backend)
        self._trust = Trust(self._scene, sides, job.backend)
        self.moments = job.moments

    def render(self, views: Sequence[PlannedView]) -> None:
        """Draws a moment: its pictures, its sweep, then the mark that it is done."""
        assert self._scene.recording is not None
        folder = moment_folder(self._work, views[0].take, views[0].moment)
        try:
            records = []
            for planned in views:
                lens = self._scene.recording.cameras[planned.camera]
                graph = for_pose(self._scene, torch.from_numpy(planned.world_from_cam))
                view = self._labeler.view(graph, lens, planned.world_from_cam, planned.timestamp_us)
                trust = self._trust.view(
                    lens, planned.world_from_cam, view.depth, view.alpha, view.semantic == SKY
                )
                adaptor = self._job.adaptor
                adapted = adaptor.usable(adaptor.source_time_us(planned.timestamp_us))
                records.append(ViewRecord.of(planned, view, self._trust, trust, adapted).to_json())
                _write_pictures(view, folder, self._job.id_pictures)
            write_text(folder / "moment.json", json.dumps(self._moment(views, records, folder)))
        except OSError as error:
            raise DatasetError(
                f"{folder}: cannot be written ({error.strerror or error}); free space and run the same "
                "command again, what was finished is kept"
            ) from error

    def _moment(
        self, views: Sequence[PlannedView], records: list[dict[str, Any]], folder: Path
    ) -> dict[str, Any]:
        # A sweep is drawn at the time of the earliest picture, by which moments follow each other; a sample
        # without a sweep has the time of its latest picture.
        chosen = min if self._job.lidar is not None else max
        first = chosen(views, key=lambda view: view.timestamp_us)
        assert self._scene.recording is not None
        lens = self._scene.recording.cameras[first.camera]
        world_from_ego = first.world_from_cam @ np.linalg.inv(lens.ego_from_cam)
        seen = {thing["id"] for record in records for thing in record["objects"]}
        if self._job.lidar is not None:
            counts = self._write_sweep(first, world_from_ego, folder)
            for thing in (thing for record in records for thing in record["objects"]):
                thing["lidar_points"] = counts.get(thing["number"], 0)
        return {
            "timestamp_us": first.timestamp_us,
            "world_from_ego": world_from_ego.tolist(),
            "poses": self._poses(first, seen),
            "views": records,
        }

    def _write_sweep(
        self, first: PlannedView, world_from_ego: Float64[np.ndarray, "4 4"], folder: Path
    ) -> dict[int, int]:
        """Draws and writes the moment's sweep; gives the number of points on each object."""
        spec = self._job.lidar
        assert spec is not None
        graph = for_pose(self._scene, torch.from_numpy(first.world_from_cam))
        drawn = sweep(
            graph,
            self._job.subjects,
            self._job.adaptor,
            spec,
            world_from_ego @ spec.ego_from_lidar,
            first.timestamp_us,
            self._job.backend,
        )
        rows = np.concatenate([drawn.points, drawn.instance[:, None].astype(np.float32)], axis=1)
        buffer = io.BytesIO()
        np.save(buffer, rows)
        with written_aside(folder / "lidar.npy") as aside:
            aside.write_bytes(buffer.getvalue())
        numbers, counts = np.unique(drawn.instance, return_counts=True)
        return dict(zip(numbers.tolist(), counts.tolist(), strict=True))

    def _poses(self, first: PlannedView, seen: set[str]) -> dict[str, list[list[float]]]:
        """Where the moment's objects are at its own time."""
        graph = for_pose(self._scene, torch.from_numpy(first.world_from_cam))
        return {
            subject.id: pose.tolist()
            for subject in self._job.subjects
            if subject.id in seen
            for pose in (self._labeler.pose(graph, subject, first.timestamp_us),)
            if pose is not None
        }


def _write_pictures(view: LabeledView, folder: Path, all_of_them: bool) -> None:
    numbers = view.instance.astype(np.uint8 if view.instance.max(initial=0) < 256 else np.uint16)
    pictures = {"image": view.image, "instance": numbers}
    if all_of_them:
        pictures["semantic"] = view.semantic
        pictures["depth"] = depth_picture(view.depth)
    for name, pixels in pictures.items():
        with written_aside(picture_file(folder, view.camera, name)) as aside:
            Image.fromarray(pixels).save(aside, format="PNG", compress_level=_PNG_LEVEL)
