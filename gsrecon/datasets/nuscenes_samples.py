"""Which moments of a drive become nuScenes' samples, and which readings are their key frames."""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from gsrecon.data.log import CameraFrame, DrivingLog, LidarSweep


@dataclass(frozen=True)
class Sample:
    """One annotated moment."""

    timestamp_us: int
    """That of its lidar sweep, if it has one: the time of the boxes."""
    frames: Mapping[str, CameraFrame]
    """Key frames by camera; a camera without a picture near the moment is missing."""
    sweep: LidarSweep | None


@dataclass(frozen=True)
class Samples:
    """A drive's samples by time."""

    samples: tuple[Sample, ...]

    def __len__(self) -> int:
        return len(self.samples)

    def key_frames(self) -> dict[int, int]:
        """Number of the sample by the `id` of each picture and sweep that is a key frame."""
        numbers = {}
        for number, sample in enumerate(self.samples):
            for reading in (*sample.frames.values(), sample.sweep):
                if reading is not None:
                    numbers[id(reading)] = number
        return numbers

    def at(self, timestamp_us: int) -> int:
        """The sample of a reading between key frames: the next one, as in nuScenes, or else the last."""
        times = [sample.timestamp_us for sample in self.samples]
        return min(bisect_left(times, timestamp_us), len(times) - 1)


def choose_samples(log: DrivingLog, interval_s: float) -> Samples:
    """The drive's own annotated moments, where its frames name them; else one about every `interval_s`.

    Without annotated moments every n-th lidar sweep is one (without lidar, every n-th picture of the camera
    with the most), and the last, so that boxes reach to the end. Each camera's nearest picture is its key
    frame.
    """
    if any(frame.key_frame is not None for frame in log.frames):
        return _as_annotated(log)
    return _every_nth(log, interval_s)


def _as_annotated(log: DrivingLog) -> Samples:
    frames: dict[int, dict[str, CameraFrame]] = {}
    for frame in log.frames:
        if frame.key_frame is not None:
            frames.setdefault(frame.key_frame, {}).setdefault(frame.camera, frame)
    sweeps = {sweep.key_frame: sweep for sweep in log.sweeps if sweep.key_frame is not None}
    samples = []
    for number in sorted(frames):
        sweep = sweeps.get(number)
        latest = max(frame.timestamp_us for frame in frames[number].values())
        samples.append(Sample(latest if sweep is None else sweep.timestamp_us, frames[number], sweep))
    return Samples(_strictly_ascending(samples))


def _strictly_ascending(samples: list[Sample]) -> tuple[Sample, ...]:
    """Without samples that are not later than the one before: the tables are ordered by time."""
    kept: list[Sample] = []
    for sample in samples:
        if not kept or sample.timestamp_us > kept[-1].timestamp_us:
            kept.append(sample)
    return tuple(kept)


def _every_nth(log: DrivingLog, interval_s: float) -> Samples:
    by_camera = {name: [f for f in log.frames if f.camera == name] for name in log.cameras}
    first, last = log.frames[0].timestamp_us, log.frames[-1].timestamp_us
    readings: list[LidarSweep] | list[CameraFrame] = sorted(
        (sweep for sweep in log.sweeps if first <= sweep.timestamp_us <= last + _step_us(log.sweeps)),
        key=lambda sweep: sweep.timestamp_us,
    )
    readings = readings or max(by_camera.values(), key=len)
    step = _step_us(readings)
    every = max(1, round(interval_s * 1e6 / step)) if step else 1
    farthest_us = (every * step or interval_s * 1e6) / 2
    taken: set[int] = set()
    samples = []
    for reading in [*readings[:-1:every], readings[-1]]:
        near = (_nearest(own, reading.timestamp_us, farthest_us, taken) for own in by_camera.values())
        frames = {frame.camera: frame for frame in near if frame is not None}
        taken |= {id(frame) for frame in frames.values()}
        samples.append(
            Sample(reading.timestamp_us, frames, reading if isinstance(reading, LidarSweep) else None)
        )
    return Samples(_strictly_ascending([sample for sample in samples if sample.frames]))


def _nearest(
    frames: list[CameraFrame], timestamp_us: int, farthest_us: float, taken: set[int]
) -> CameraFrame | None:
    """The frame nearest in time, if it is near and no other sample's."""
    after = bisect_left(frames, timestamp_us, key=lambda frame: frame.timestamp_us)
    near = [frame for frame in frames[max(after - 1, 0) : after + 1] if id(frame) not in taken]
    found = min(near, key=lambda frame: abs(frame.timestamp_us - timestamp_us), default=None)
    return found if found is not None and abs(found.timestamp_us - timestamp_us) <= farthest_us else None


def _step_us(readings: tuple[LidarSweep, ...] | list[LidarSweep] | list[CameraFrame]) -> float:
    """The usual time between readings; 0 for a single one."""
    times = sorted(reading.timestamp_us for reading in readings)
    return float(np.median(np.diff(times))) if len(times) > 1 else 0.0
