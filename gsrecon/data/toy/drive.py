"""The toy drive: a DrivingLog of the procedural street, and its exact truth from any shifted path."""

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int64

from gsrecon.data.cache import cache_root
from gsrecon.data.log import Camera, CameraFrame, DrivingLog, LidarSweep, Track
from gsrecon.data.pictures import PictureSource
from gsrecon.data.toy.classes import CLASS_ID
from gsrecon.data.toy.config import ToyConfig
from gsrecon.data.toy.ground import lane_lines
from gsrecon.data.toy.lidar import ego_from_lidar, sweep_points
from gsrecon.data.toy.path import Street
from gsrecon.data.toy.picture import ToyTruth, take_picture
from gsrecon.data.toy.rig import delay_us, make_rig
from gsrecon.data.toy.scenery import Scenery, build_scenery
from gsrecon.data.toy.store import Store
from gsrecon.data.toy.visibility import AloneTracer, ToyObject
from gsrecon.data.toy.world import World

_START_US = 1_000_000
_DEFAULT = ToyConfig()
_MEMORY_LIMIT_BYTES = 64 * 2**20


class ToyDrive:
    """A drive through the toy street. Cheap to make: pictures are rendered when `log` is first asked for."""

    def __init__(self, config: ToyConfig, cache: Path | None, threads: int) -> None:
        self.config = config
        self._cache = cache
        self._threads = threads
        self.cameras: Mapping[str, Camera] = make_rig(config)

    @cached_property
    def street(self) -> Street:
        """The street's course and the ego car's way along it."""
        return Street(self.config)

    @cached_property
    def scenery(self) -> Scenery:
        """Everything on the street, and every object's box and way."""
        return build_scenery(self.config, self.street)

    @cached_property
    def world(self) -> World:
        """The street ready for rays; a drive that comes from the cache never needs it."""
        return World(self.config, self.street, self.scenery, self._threads)

    @cached_property
    def _alone(self) -> AloneTracer:
        return AloneTracer(self.scenery.actors)

    @cached_property
    def instance_ids(self) -> dict[str, int]:
        """Number in instance pictures and lidar points by track id; numbers count from 1."""
        return {actor.id: number + 1 for number, actor in enumerate(self.scenery.actors)}

    @cached_property
    def log(self) -> DrivingLog:
        """The recording. Rendered on first use; kept in a folder for the next time if there is a cache."""
        config = self.config
        frames = [self.bare_frame(name, i) for i in range(config.frames) for name in self.cameras]
        # Built before the threads start: a cached property may be computed twice otherwise.
        _ = self.instance_ids
        with Store(self._cache, config) as store, ThreadPoolExecutor(self._threads) as pool:
            if not store.complete:
                _ = self.world
            frames = list(pool.map(lambda frame: self._with_picture(frame, store), frames))
            sweeps = list(pool.map(lambda i: self._sweep(i, store), self._sweep_indices()))
        ego_times = np.array([self._frame_us(i) for i in range(config.frames)], dtype=np.int64)
        key_times = np.unique(np.concatenate([ego_times, [f.timestamp_us for f in frames]])).astype(np.int64)
        return DrivingLog(
            name=f"toy-{config.seed}",
            source="toy",
            cameras=self.cameras,
            frames=tuple(frames),
            sweeps=tuple(sweeps),
            tracks=self._tracks(key_times),
            lanes=lane_lines(self.street),
            ego_timestamps_us=ego_times,
            world_from_ego=np.stack([self._world_from_ego(int(t)) for t in ego_times]),
            source_from_world=np.eye(4),
            convention="Made in gsrecon's own conventions, nothing converted; sweeps are free of motion.",
            licence="Apache-2.0",
        )

    def bare_frame(self, camera: str, index: int) -> CameraFrame:
        """A frame's time and pose without its picture; for `truth` without rendering the whole drive."""
        timestamp_us = self._frame_us(index) + delay_us(camera, self.config)
        world_from_cam = self._world_from_ego(timestamp_us) @ self.cameras[camera].ego_from_cam
        nothing = np.zeros((0, 0, 3), dtype=np.uint8)
        return CameraFrame(camera, index, timestamp_us, world_from_cam, image=nothing)

    def truth(self, frame: CameraFrame, shift_left_m: float = 0.0) -> ToyTruth:
        """What the frame's camera sees exactly, with the whole rig moved to the left.

        Args:
            frame: A frame of this drive's log (its camera, time and pose are used).
            shift_left_m: Along the ego car's y axis at the frame's own time [m].
        """
        shift = self._world_from_ego(frame.timestamp_us)[:3, 1] * shift_left_m
        world_from_cam = frame.world_from_cam.copy()
        world_from_cam[:3, 3] += shift
        return self.truth_at(frame.camera, world_from_cam, frame.timestamp_us)

    def truth_at(
        self, camera: str, world_from_cam: Float64[np.ndarray, "4 4"], timestamp_us: int
    ) -> ToyTruth:
        """What a camera of the rig sees from any pose at any time."""
        if camera not in self.cameras:
            raise ValueError(f"camera: expected one of {sorted(self.cameras)}, got {camera!r}")
        return take_picture(self.world, self.cameras[camera], world_from_cam, self._time_s(timestamp_us))

    def objects_at(
        self, camera: str, world_from_cam: Float64[np.ndarray, "4 4"], timestamp_us: int, truth: ToyTruth
    ) -> list[ToyObject]:
        """How much a camera sees of each object that would have a pixel in its picture.

        Args:
            camera: One of the rig's.
            world_from_cam: Its pose.
            timestamp_us: When.
            truth: What `truth_at` gives there.
        """
        return self._alone.objects(
            self.cameras[camera], world_from_cam, self._time_s(timestamp_us), truth.instance
        )

    def point_instances(self, sweep: LidarSweep) -> Int64[np.ndarray, " N"]:
        """Object number of every point of a sweep, 0 where it hit no object."""
        rows = sweep.points if isinstance(sweep.points, np.ndarray) else np.load(sweep.points)
        return rows[:, 4].astype(np.int64)

    def _frame_us(self, index: int) -> int:
        return _START_US + index * self.config.frame_interval_us

    def _time_s(self, timestamp_us: int) -> float:
        return (int(timestamp_us) - _START_US) * 1e-6

    def _world_from_ego(self, timestamp_us: int) -> Float64[np.ndarray, "4 4"]:
        return self.street.world_from_ego(self._time_s(timestamp_us))

    def _with_picture(self, frame: CameraFrame, store: Store) -> CameraFrame:
        def render() -> dict[str, np.ndarray]:
            truth = self.truth(frame)
            small = np.uint8 if len(self.instance_ids) < 256 else np.uint16
            return {
                "image": truth.image,
                "semantic": truth.semantic,
                "instance": truth.instance.astype(small),
                "moving": self.is_moving(truth.instance).astype(np.uint8) * 255,
                "sky": (truth.semantic == CLASS_ID["sky"]).astype(np.uint8) * 255,
            }

        pictures: dict[str, PictureSource] = store.pictures(f"{frame.camera}/{frame.index:06d}", render)
        image = pictures.pop("image")
        return CameraFrame(
            frame.camera, frame.index, frame.timestamp_us, frame.world_from_cam, image=image, masks=pictures
        )

    def is_moving(self, instance: np.ndarray) -> np.ndarray:
        """Which pixels of an instance picture belong to objects that move."""
        table = np.array([False, *(actor.moving for actor in self.scenery.actors)])
        return table[instance]

    def _sweep_indices(self) -> range:
        return range(self.config.frames if self.config.lidar_beams else 0)

    def _sweep(self, index: int, store: Store) -> LidarSweep:
        timestamp_us = self._frame_us(index)
        points = store.points(
            f"lidar/{index:06d}", lambda: sweep_points(self.world, index, self._time_s(timestamp_us))
        )
        return LidarSweep(timestamp_us, self._world_from_ego(timestamp_us) @ ego_from_lidar(), points)

    def _tracks(self, key_times: Int64[np.ndarray, " T"]) -> tuple[Track, ...]:
        tracks = []
        for actor in self.scenery.actors:
            times = [
                t for t in key_times.tolist() if actor.present_s[0] <= self._time_s(t) <= actor.present_s[1]
            ]
            if times:
                poses = np.stack([actor.world_from_actor(self._time_s(t)) for t in times])
                tracks.append(
                    Track(actor.id, actor.category, actor.size_lwh, np.array(times, dtype=np.int64), poses)
                )
        return tuple(tracks)


def make_toy(
    config: ToyConfig = _DEFAULT, cache: Path | str | None = "auto", threads: int | None = None
) -> ToyDrive:
    """A toy drive.

    Args:
        config: What to make; equal configs give equal bits, whatever the number of threads.
        cache: Folder that keeps rendered drives. "auto" is `$XDG_CACHE_HOME/gsrecon` (or ~/.cache/gsrecon)
            for drives that are large, and memory for small ones; None always keeps them in memory.
        threads: Rendering threads; None takes every core.

    Raises:
        BackendUnavailableError: embreex, which traces the rays, is missing (when the street is first built).
    """
    if cache == "auto":
        size = config.frames * config.cameras * config.width * config.height * 8
        cache = cache_root() if size > _MEMORY_LIMIT_BYTES else None
    return ToyDrive(config, None if cache is None else Path(cache), threads or os.cpu_count() or 1)
