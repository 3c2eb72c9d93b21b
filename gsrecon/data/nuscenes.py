"""nuScenes, and other recordings in its layout, as a DrivingLog.

Source: Caesar et al., "nuScenes: A multimodal dataset for autonomous driving", CVPR 2020.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int64

from gsrecon.data.log import CameraFrame, DrivingLog, LidarSweep, Track
from gsrecon.data.nuscenes_cameras import read_cameras
from gsrecon.data.nuscenes_lanes import read_lanes
from gsrecon.data.nuscenes_own_car import NUSCENES_VEHICLES, own_car_masks
from gsrecon.data.nuscenes_scenes import find_scene
from gsrecon.data.nuscenes_tables import Annotation, Reading, SceneTables, read_tables

LIDAR = "LIDAR_TOP"
_LICENCE = "nuScenes, CC BY-NC-SA 4.0: non-commercial"
_LONGEST_REACH_US = 100_000  # a sample's pictures lie within one lidar turn and one shutter of its time


def read_nuscenes(path: Path | str, scene: str | None = None) -> DrivingLog:
    """Reads one scene: every picture (12 Hz), lidar sweep, box, and the map's lines where they are there.

    Each picture keeps its own time and the ego pose of its own row; nothing is interpolated. Boxes are tracks
    keyed at the samples' times. World has its origin at the earliest ego pose.

    Args:
        path: The data root, or the folder of one version's tables in it.
        scene: Name of the scene; None takes the first of the only version.

    Raises:
        BackendUnavailableError: The extra `nuscenes` is not installed.
        DatasetError: Tables are missing or contradict themselves, or the scene is not there. A missing
            picture or sweep is an error when it is asked for.
    """
    root, version, name = find_scene(path, scene)
    tables = read_tables(root, version, name)
    cameras = read_cameras(tables)
    times, source_from_ego = _trajectory(tables, list(cameras))
    origin = source_from_ego[0, :3, 3].copy()
    masks = own_car_masks(tables, cameras)
    world_from_ego = _moved(source_from_ego, origin)
    source_from_world = np.eye(4)
    source_from_world[:3, 3] = origin
    return DrivingLog(
        name=name,
        source="nuscenes",
        cameras=cameras,
        frames=tuple(
            CameraFrame(
                camera=reading.channel,
                index=index,
                timestamp_us=reading.timestamp_us,
                world_from_cam=_moved(reading.source_from_ego @ reading.ego_from_sensor, origin),
                image=root / reading.filename,
                masks={"ego": masks[reading.channel]} if reading.channel in masks else {},
                key_frame=reading.sample if reading.is_key_frame else None,
            )
            for camera in cameras
            for index, reading in _present(tables, camera)
        ),
        sweeps=tuple(
            LidarSweep(
                timestamp_us=reading.timestamp_us,
                world_from_lidar=_moved(reading.source_from_ego @ reading.ego_from_sensor, origin),
                points=root / reading.filename,
                key_frame=reading.sample if reading.is_key_frame else None,
            )
            for _, reading in _present(tables, LIDAR)
        ),
        tracks=_tracks(tables, origin),
        lanes=read_lanes(root, tables.location, world_from_ego, source_from_world),
        ego_timestamps_us=times,
        world_from_ego=world_from_ego,
        source_from_world=source_from_world,
        convention=(
            "nuScenes: source is the map's frame (x east, y north, z = 0 in every ego pose), ego the middle "
            "of the rear axle; calibration counts pixel centres at integers, so 0.5 px were added to cx and "
            "cy; sizes were turned from width, length, height; a sweep's time is its end."
        ),
        licence=_LICENCE if tables.vehicle in NUSCENES_VEHICLES else "",
    )


def _present(tables: SceneTables, channel: str) -> list[tuple[int, Reading]]:
    """A sensor's readings with their place in its recording.

    A sensor's whole folder under sweeps/ may never have been downloaded: then its key frames are what there
    is. A single file that is missing is somebody's mistake, and an error when it is asked for.
    """
    readings = enumerate(reading for reading in tables.readings if reading.channel == channel)
    folders: dict[Path, bool] = {}

    def there(reading: Reading) -> bool:
        folder = (tables.root / reading.filename).parent
        return reading.is_key_frame or folders.setdefault(folder, folder.is_dir())

    return [(index, reading) for index, reading in readings if there(reading)]


def _trajectory(
    tables: SceneTables, cameras: Sequence[str]
) -> tuple[Int64[np.ndarray, " T"], Float64[np.ndarray, "T 4 4"]]:
    """Times and ego poses of the lidar (without one, of the first camera), from end to end of the scene.

    Every sensor has ego poses of its own, which need not lie on one curve to the centimetre; those of one
    sensor do. The earliest and the latest of the others are added where they lie outside.
    """
    own = [reading for reading in tables.readings if reading.channel == LIDAR]
    own = own or [reading for reading in tables.readings if reading.channel == cameras[0]]
    used = [reading for reading in tables.readings if reading.channel in (*cameras, LIDAR)]
    chosen = {reading.timestamp_us: reading.source_from_ego for reading in reversed(own)}
    for end in (used[0], used[-1]):
        if not own[0].timestamp_us <= end.timestamp_us <= own[-1].timestamp_us:
            chosen[end.timestamp_us] = end.source_from_ego
    times = sorted(chosen)
    return np.array(times, dtype=np.int64), np.stack([chosen[time] for time in times])


def _tracks(tables: SceneTables, origin: Float64[np.ndarray, " 3"]) -> tuple[Track, ...]:
    """One track an instance, keyed at its samples' times, in the order of first appearance."""
    by_instance: dict[str, dict[int, Annotation]] = {}
    for annotation in tables.annotations:
        by_instance.setdefault(annotation.instance, {}).setdefault(annotation.sample, annotation)
    reach_us = _reach_us(tables)
    tracks = []
    for instance, found in by_instance.items():
        samples = sorted(found)
        annotations = [found[sample] for sample in samples]
        poses = np.stack([annotation.source_from_actor for annotation in annotations])
        tracks.append(
            Track(
                id=instance,
                category=annotations[0].category,
                size_lwh=np.median([annotation.size_lwh for annotation in annotations], axis=0),
                timestamps_us=tables.sample_timestamps_us[samples],
                world_from_actor=_moved(poses, origin),
                reach_us=reach_us,
            )
        )
    return tuple(tracks)


def _reach_us(tables: SceneTables) -> int:
    """How far a sample's pictures lie from its time, which is that of the end of the lidar's turn."""
    gaps: Iterable[int] = (
        abs(reading.timestamp_us - int(tables.sample_timestamps_us[reading.sample]))
        for reading in tables.readings
        if reading.is_key_frame and reading.modality == "camera"
    )
    return min(max(gaps, default=0), _LONGEST_REACH_US)


def _moved(poses: Float64[np.ndarray, "*N 4 4"], origin: Float64[np.ndarray, " 3"]) -> np.ndarray:
    result = poses.copy()
    result[..., :3, 3] -= origin
    return result
