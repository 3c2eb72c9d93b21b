"""A rendered drive with its labels, as writers of data sets read it: moment by moment, never all at once."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64, Int32

from gsrecon.data.log import Camera, CameraFrame, DrivingLog, LidarSweep, Track
from gsrecon.data.pictures import decode_ids
from gsrecon.data.trajectory import poses_at
from gsrecon.datasets.rendering import RenderJob, moment_folder, picture_file
from gsrecon.errors import DatasetError
from gsrecon.labels.records import ObjectRecord, ViewRecord
from gsrecon.labels.visibility import visibility_level
from gsrecon.scene.recording import Recording

_REACH_US = 100_000
"""Pictures of a moment are taken within this of its time."""


@dataclass(frozen=True)
class LabelRules:
    """Which objects and views are written; what is left out is counted in the provenance card."""

    visible_px: int = 8
    """Objects with fewer visible pixels are hidden, and left out."""
    visible_fraction: float = 0.05
    """Objects of which less than this share is visible are hidden, and left out."""
    amodal_px: int = 16
    """Objects that would have fewer pixels with nothing else there are left out: too small to measure."""
    object_trust: float = 0.0
    """Objects whose trust is lower are left out (0 .. 1)."""
    view_trust: float = 0.0
    """Pictures whose trust is lower are left out, with all their labels (0 .. 1)."""

    def __post_init__(self) -> None:
        for name in ("visible_fraction", "object_trust", "view_trust"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}: expected 0 to 1, got {getattr(self, name)}")

    def view_refusal(self, record: ViewRecord) -> str | None:
        """Why a picture is left out with all its labels; None where it is kept."""
        if not record.adapted:
            return "pictures beyond the adaptor's tolerance"
        return "pictures not trusted" if record.trust.score < self.view_trust else None

    def shows(self, visible_px: int, amodal_px: int) -> bool:
        """Whether an object of which this much is visible counts as visible."""
        enough = visible_px >= max(1, self.visible_px)
        return enough and visible_px >= self.visible_fraction * amodal_px

    def refusal(self, thing: ObjectRecord) -> str | None:
        """Why an object is left out of a picture; None where it is kept."""
        if thing.amodal_px < self.amodal_px:
            return "too small"
        if thing.modal_box is None or not self.shows(thing.visible_px, thing.amodal_px):
            return "hidden"
        if thing.trust.score < self.object_trust:
            return "not trusted"
        return None


@dataclass(frozen=True)
class LabeledPicture:
    """One picture that is written."""

    record: ViewRecord
    objects: tuple[ObjectRecord, ...]
    """Those that the rules keep."""
    camera: Camera
    image: Path
    instance: Path
    world_from_ego: Float64[np.ndarray, "4 4"]
    """At the picture's own time."""

    def instances(self) -> Int32[np.ndarray, "H W"]:
        """Number of the object at each pixel, kept ones only."""
        numbers = decode_ids(self.instance)
        kept = np.zeros(int(numbers.max(initial=0)) + 1, dtype=np.int32)
        for thing in self.objects:
            if thing.number < len(kept):
                kept[thing.number] = thing.number
        return kept[numbers]


@dataclass(frozen=True)
class LabeledMoment:
    """The pictures and the sweep of one moment."""

    take: int
    moment: int
    timestamp_us: int
    world_from_ego: Float64[np.ndarray, "4 4"]
    poses: Mapping[str, Float64[np.ndarray, "4 4"]]
    """`world_from_actor` of the objects in its pictures, at the moment's own time."""
    pictures: tuple[LabeledPicture, ...]
    lidar: Path | None

    def at_its_latest_picture(self) -> "LabeledMoment":
        """The moment at the time of the latest of its pictures: earlier, where a later one was left out."""
        latest = max(self.pictures, key=lambda picture: picture.record.timestamp_us, default=None)
        if latest is None or latest.record.timestamp_us == self.timestamp_us:
            return self
        time = latest.record.timestamp_us
        known = {id: {self.timestamp_us: pose} for id, pose in self.poses.items()}
        for picture in self.pictures:
            for thing in picture.record.objects:
                if thing.id in known:
                    known[thing.id][picture.record.timestamp_us] = thing.world_from_actor
        poses = {id: _between(of_object, time) for id, of_object in known.items()}
        return replace(self, timestamp_us=time, world_from_ego=latest.world_from_ego, poses=poses)

    def levels(self) -> dict[str, int]:
        """Visibility level (nuScenes) of each kept object over all cameras."""
        visible: Counter[str] = Counter()
        amodal: Counter[str] = Counter()
        for picture in self.pictures:
            for thing in picture.record.objects:
                visible[thing.id] += thing.visible_px
                amodal[thing.id] += thing.amodal_px
        kept = {thing.id for picture in self.pictures for thing in picture.objects}
        return {id: visibility_level(visible[id] / amodal[id]) for id in kept}


@dataclass(frozen=True)
class LabeledDrive:
    """All moments of an export's work folder under its rules."""

    job: RenderJob
    work: Path
    recording: Recording
    rules: LabelRules
    name: str
    licence: str = ""

    @property
    def cameras(self) -> dict[str, Camera]:
        """The cameras that were rendered."""
        wanted = {view.camera for view in self.job.views}
        return {
            name: Camera(
                lens.name,
                lens.K,
                lens.width,
                lens.height,
                lens.ego_from_cam,
                lens.model,
                lens.distortion,
            )
            for name, lens in self.recording.cameras.items()
            if name in wanted
        }

    @property
    def takes(self) -> int:
        """Number of passes over the drive."""
        return 1 + max(view.take for view in self.job.views)

    def moments(self, take: int | None = None) -> Iterator[LabeledMoment]:
        """Of one take, or of all, in order.

        Raises:
            DatasetError: A moment was not rendered, or its file is damaged.
        """
        cameras = self.cameras
        for views in self.job.moments:
            if take is None or views[0].take == take:
                yield self._moment(views[0].take, views[0].moment, cameras)

    def pictures(self) -> Iterator[LabeledPicture]:
        """Every picture that is written, in order."""
        for moment in self.moments():
            yield from moment.pictures

    def left_out(self) -> dict[str, int]:
        """How many labels and pictures the rules left out, by reason."""
        counts: Counter[str] = Counter()
        for views in self.job.moments:
            stored = self._stored(views[0].take, views[0].moment)
            for view in stored["views"]:
                record = ViewRecord.from_json(view)
                reason = self.rules.view_refusal(record)
                if reason is not None:
                    counts[reason] += 1
                    continue
                counts["unmeasured"] += len(record.unmeasured)
                for thing in record.objects:
                    reason = self.rules.refusal(thing)
                    if reason is not None:
                        counts[reason] += 1
        return dict(sorted(counts.items()))

    def log(self, take: int) -> DrivingLog:
        """One take as a drive: rendered pictures, sweeps, and tracks with a key at each moment."""
        frames, sweeps, times, egos = [], [], [], []
        keys: dict[str, list[tuple[int, np.ndarray]]] = {}
        in_time = sorted(self.moments(take), key=lambda moment: moment.timestamp_us)
        for number, moment in enumerate(in_time):
            times.append(moment.timestamp_us)
            egos.append(moment.world_from_ego)
            for picture in moment.pictures:
                frames.append(
                    CameraFrame(
                        camera=picture.record.camera,
                        index=moment.moment,
                        timestamp_us=picture.record.timestamp_us,
                        world_from_cam=picture.record.world_from_cam,
                        image=picture.image,
                        masks={"instance": picture.instance},
                        key_frame=number,
                    )
                )
            if moment.lidar is not None and moment.pictures and self.job.lidar is not None:
                pose = moment.world_from_ego @ self.job.lidar.ego_from_lidar
                sweeps.append(LidarSweep(moment.timestamp_us, pose, moment.lidar, number))
            for id in moment.levels():
                if id in moment.poses:
                    keys.setdefault(id, []).append((moment.timestamp_us, moment.poses[id]))
        name = self.name if self.takes == 1 else f"{self.name}-{take:03d}"
        return DrivingLog(
            name=name,
            source="gsrecon",
            cameras=self.cameras,
            frames=tuple(frames),
            ego_timestamps_us=np.array(times, dtype=np.int64),
            world_from_ego=np.stack(egos),
            source_from_world=self.recording.source_from_world,
            convention="Rendered by gsrecon in the frames of the recording; see the provenance card.",
            sweeps=tuple(sweeps),
            tracks=tuple(
                Track(
                    subject.id,
                    subject.category,
                    subject.size_lwh,
                    np.array([time for time, _ in keys[subject.id]], dtype=np.int64),
                    np.stack([pose for _, pose in keys[subject.id]]),
                    reach_us=_REACH_US,
                )
                for subject in self.job.subjects
                if subject.id in keys
            ),
            lanes=tuple(
                replace(lane, points_in_world=self.job.adaptor.points(lane.points_in_world))
                for lane in self.job.lanes
            ),
            licence=self.licence,
        )

    def _stored(self, take: int, moment: int) -> dict[str, Any]:
        path = moment_folder(self.work, take, moment) / "moment.json"
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DatasetError(
                f"{path}: the rendered moment is missing or damaged ({error}); remove the file and run the "
                "export again"
            ) from error

    def _moment(self, take: int, moment: int, cameras: Mapping[str, Camera]) -> LabeledMoment:
        stored, folder = self._stored(take, moment), moment_folder(self.work, take, moment)
        pictures = []
        for view in stored["views"]:
            record = ViewRecord.from_json(view)
            if self.rules.view_refusal(record) is not None:
                continue
            camera = cameras[record.camera]
            pictures.append(
                LabeledPicture(
                    record=record,
                    objects=tuple(thing for thing in record.objects if self.rules.refusal(thing) is None),
                    camera=camera,
                    image=picture_file(folder, record.camera, "image"),
                    instance=picture_file(folder, record.camera, "instance"),
                    world_from_ego=record.world_from_cam @ np.linalg.inv(camera.ego_from_cam),
                )
            )
        found = LabeledMoment(
            take=take,
            moment=moment,
            timestamp_us=stored["timestamp_us"],
            world_from_ego=np.array(stored["world_from_ego"], dtype=np.float64),
            poses={id: np.array(pose, dtype=np.float64) for id, pose in stored["poses"].items()},
            pictures=tuple(pictures),
            lidar=folder / "lidar.npy" if self.job.lidar is not None else None,
        )
        return found if found.lidar is not None else found.at_its_latest_picture()


def _between(
    pose_by_time: Mapping[int, Float64[np.ndarray, "4 4"]], timestamp_us: int
) -> Float64[np.ndarray, "4 4"]:
    times = sorted(pose_by_time)
    poses = np.stack([pose_by_time[time] for time in times])
    return poses_at(np.array(times, dtype=np.int64), poses, np.array([timestamp_us]))[0]


def class_names(drive: LabeledDrive) -> tuple[str, ...]:
    """Categories of all subjects in alphabetical order: the same for every export of a drive."""
    return tuple(sorted({subject.category for subject in drive.job.subjects}))
