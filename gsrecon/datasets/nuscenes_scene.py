"""The rows and files of one drive in a nuScenes folder."""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float64

from gsrecon.data.log import Camera, CameraFrame, DrivingLog, LidarSweep
from gsrecon.data.nuscenes import LIDAR
from gsrecon.data.trajectory import poses_at
from gsrecon.datasets.nuscenes_boxes import BoxRules, chain, require_whole_tracks, write_boxes
from gsrecon.datasets.nuscenes_files import write_own_car, write_picture, write_sweep
from gsrecon.datasets.nuscenes_samples import Samples, choose_samples
from gsrecon.datasets.nuscenes_vocabulary import token
from gsrecon.errors import DatasetError
from gsrecon.geometry.rigid import rotmat_to_quat

_FARTHEST_M = 20_000.0  # the devkit computes in float32, which resolves 1 mm up to here
_MARGIN_US = 500_000


class SceneWriter:
    """Adds one drive to the tables and its files to the folder."""

    def __init__(
        self,
        tables: dict[str, list[dict[str, Any]]],
        folder: Path,
        log: DrivingLog,
        name: str,
        channels: Mapping[str, str],
    ) -> None:
        self.tables = tables
        self.folder = folder
        self.log = log
        self.name = name
        self.logfile = name if slug(log.name) == name else f"{slug(log.name)}-{name}"
        self.channels = channels
        self.export_from_world = export_from_world(log)
        self._files: set[str] = set()

    def write(self, interval_s: float, pictures: Literal["jpeg", "png"], rules: BoxRules) -> None:
        """Adds every row but those of fixed tables, and every file but the map's.

        Raises:
            DatasetError: The drive cannot be expressed in nuScenes' tables, or one of its files is broken.
        """
        log = self.log
        self._require_expressible()
        samples = choose_samples(log, interval_s)
        tokens = [token(self.name, "sample", number) for number in range(len(samples))]
        self._scene_rows(samples, tokens)
        keys = samples.key_frames()
        for camera in log.cameras.values():
            frames = [frame for frame in log.frames if frame.camera == camera.name]
            self._camera(camera, frames, samples, keys, tokens, pictures)
        self._lidar(samples, keys, tokens)
        instances = self._instance_tokens()
        write_boxes(self.tables, log, samples, tokens, instances, rules, self.export_from_world, _quaternion)

    def _require_expressible(self) -> None:
        log = self.log
        if not log.frames:
            raise DatasetError(f"{log.name}: the drive has no pictures to write; select some")
        for camera in log.cameras.values():
            if camera.model != "pinhole":
                raise DatasetError(
                    f"{log.name}: {camera.name} is a {camera.model} camera, and nuScenes knows pinholes "
                    "only; leave it out or undistort its pictures"
                )
        require_whole_tracks(log)

    def _scene_rows(self, samples: Samples, tokens: list[str]) -> None:
        log_token, scene_token = token(self.name, "log"), token(self.name, "scene")
        moved = self.log.source_from_world[:3, 3] - self.export_from_world[:3, 3]
        words = f"{self.log.name} ({self.log.source}), written by gsrecon"
        if np.abs(moved).max() > 0:
            words += f"; its source has its origin at {(-moved).tolist()}"
        self.tables["scene"].append(
            {
                "token": scene_token,
                "log_token": log_token,
                "nbr_samples": len(samples),
                "first_sample_token": tokens[0],
                "last_sample_token": tokens[-1],
                "name": self.name,
                "description": words,
            }
        )
        rows = [
            {
                "token": key,
                "timestamp": sample.timestamp_us,
                "prev": "",
                "next": "",
                "scene_token": scene_token,
            }
            for key, sample in zip(tokens, samples.samples, strict=True)
        ]
        chain(rows)
        self.tables["sample"] += rows
        day = datetime.fromtimestamp(self.log.start_us * 1e-6, tz=UTC).strftime("%Y-%m-%d")
        self.tables["log"].append(
            {
                "token": log_token,
                "logfile": self.logfile,
                "vehicle": slug(self.log.source),
                "date_captured": day,
                "location": self.name,
            }
        )

    def _camera(
        self,
        camera: Camera,
        frames: list[CameraFrame],
        samples: Samples,
        keys: Mapping[int, int],
        tokens: list[str],
        pictures: Literal["jpeg", "png"],
    ) -> None:
        channel = self.channels[camera.name]
        K = camera.K.copy()
        K[:2, 2] -= 0.5
        self._calibration(channel, "camera", camera.ego_from_cam, K.tolist())
        ego_from_cam = np.linalg.inv(camera.ego_from_cam)
        rows = []
        for frame in frames:
            key = keys.get(id(frame))
            stem = self._stem(channel, frame.timestamp_us, key is not None)
            file = write_picture(self.log, frame, pictures, self.folder / stem)
            row = self._reading(channel, frame.timestamp_us, frame.world_from_cam @ ego_from_cam, file)
            sample = samples.at(frame.timestamp_us) if key is None else key
            rows.append({**row, "sample_token": tokens[sample], "is_key_frame": key is not None})
            rows[-1] |= {"height": camera.height, "width": camera.width}
        self._chained(rows)
        mask = self._own_car(frames) if frames else None
        if mask is not None:
            write_own_car(mask, self.folder / "masks" / self.name / f"{channel}.png")

    def _lidar(self, samples: Samples, keys: Mapping[int, int], tokens: list[str]) -> None:
        """Sweeps up to half a second outside of the pictures' time, in the sensor's frame as it is.

        The sensor's place on the car is taken from the first of them; where ego trajectory and sweeps do not
        fit together to the last digit, each sweep's own ego pose takes up the difference.
        """
        log = self.log
        first, last = log.frames[0].timestamp_us - _MARGIN_US, log.frames[-1].timestamp_us + _MARGIN_US
        sweeps = sorted(log.sweeps, key=lambda sweep: sweep.timestamp_us)
        sweeps = [s for s in sweeps if first <= s.timestamp_us <= last or id(s) in keys]
        if not sweeps:
            return
        ego_from_lidar = self._ego_from_lidar(sweeps[0])
        lidar_from_ego = np.linalg.inv(ego_from_lidar)
        self._calibration(LIDAR, "lidar", ego_from_lidar, [])
        rows = []
        for sweep in sweeps:
            key = keys.get(id(sweep))
            stem = self._stem(LIDAR, sweep.timestamp_us, key is not None)
            file = self.folder / f"{stem}.pcd.bin"
            write_sweep(sweep, file)
            row = self._reading(LIDAR, sweep.timestamp_us, sweep.world_from_lidar @ lidar_from_ego, file)
            sample = samples.at(sweep.timestamp_us) if key is None else key
            rows.append({**row, "sample_token": tokens[sample], "is_key_frame": key is not None})
        self._chained(rows)

    def _ego_from_lidar(self, sweep: LidarSweep) -> Float64[np.ndarray, "4 4"]:
        time = np.array([sweep.timestamp_us], dtype=np.int64)
        world_from_ego = poses_at(self.log.ego_timestamps_us, self.log.world_from_ego, time)[0]
        return np.linalg.inv(world_from_ego) @ sweep.world_from_lidar

    def _calibration(
        self, channel: str, modality: str, ego_from_sensor: Float64[np.ndarray, "4 4"], intrinsic: list[Any]
    ) -> None:
        if channel not in {row["channel"] for row in self.tables["sensor"]}:
            self.tables["sensor"].append(
                {"token": token("sensor", channel), "channel": channel, "modality": modality}
            )
        self.tables["calibrated_sensor"].append(
            {
                "token": token(self.name, "calibration", channel),
                "sensor_token": token("sensor", channel),
                "translation": ego_from_sensor[:3, 3].tolist(),
                "rotation": _quaternion(ego_from_sensor[:3, :3]),
                "camera_intrinsic": intrinsic,
            }
        )

    def _reading(
        self, channel: str, timestamp_us: int, world_from_ego: Float64[np.ndarray, "4 4"], file: Path
    ) -> dict[str, Any]:
        """A row of sample_data, still without its sample; its ego pose is added under the same token."""
        filename = file.relative_to(self.folder).as_posix()
        key = token(filename)
        pose = self.export_from_world @ world_from_ego
        self.tables["ego_pose"].append(
            {
                "token": key,
                "timestamp": int(timestamp_us),
                "rotation": _quaternion(pose[:3, :3]),
                "translation": pose[:3, 3].tolist(),
            }
        )
        return {
            "token": key,
            "sample_token": "",
            "ego_pose_token": key,
            "calibrated_sensor_token": token(self.name, "calibration", channel),
            "timestamp": int(timestamp_us),
            "fileformat": "pcd" if channel == LIDAR else file.suffix.removeprefix("."),
            "is_key_frame": False,
            "height": 0,
            "width": 0,
            "filename": filename,
            "prev": "",
            "next": "",
        }

    def _chained(self, rows: list[dict[str, Any]]) -> None:
        chain(rows)
        self.tables["sample_data"] += rows

    def _stem(self, channel: str, timestamp_us: int, is_key_frame: bool) -> str:
        """File name as nuScenes has it; of two readings at one time the second gets a number."""
        stem = (
            f"{'samples' if is_key_frame else 'sweeps'}/{channel}/{self.logfile}__{channel}__{timestamp_us}"
        )
        unique, number = stem, 1
        while unique in self._files:
            number += 1
            unique = f"{stem}-{number}"
        self._files.add(unique)
        return unique

    def _own_car(self, frames: list[CameraFrame]) -> np.ndarray | None:
        """What any of the camera's frames masks as the own car, for the layout has one mask a camera.

        Where a bent lens shows nothing of an undistorted picture, that counts as the own car too.
        """
        sources = {frame.masks["ego"]: frame for frame in frames if isinstance(frame.masks.get("ego"), Path)}
        others = {id(frame.masks["ego"]): frame for frame in frames if "ego" in frame.masks}
        different = [*sources.values(), *(f for f in others.values() if not isinstance(f.masks["ego"], Path))]
        masks = [self.log.mask(frame, "ego") for frame in different]
        masks += [~self.log.valid(replace(frame, masks={})) for frame in frames[:1]]
        covered = np.any([mask for mask in masks if mask is not None], axis=0)
        return covered if covered.any() else None

    def _instance_tokens(self) -> dict[str, str]:
        """Ids that are tokens already stay, so that a nuScenes scene keeps its instances."""
        used = {row["token"] for row in self.tables["instance"]}
        return {
            track.id: track.id
            if re.fullmatch("[0-9a-f]{32}", track.id) and track.id not in used
            else token(self.name, "instance", track.id)
            for track in self.log.tracks
        }


def export_from_world(log: DrivingLog) -> Float64[np.ndarray, "4 4"]:
    """From world to the tables' frame: the source's where the devkit's float32 resolves it, else world."""
    if np.abs(log.source_from_world[:3, 3]).max() <= _FARTHEST_M:
        return log.source_from_world
    return np.eye(4)


def slug(name: str) -> str:
    """Letters, digits, dots and dashes of a name: safe in file names, free of the `__` that splits them."""
    return re.sub(r"[^A-Za-z0-9.+-]+", "-", name).strip("-.") or "drive"


def _quaternion(rotation: Float64[np.ndarray, "3 3"]) -> list[float]:
    return rotmat_to_quat(torch.from_numpy(np.ascontiguousarray(rotation, dtype=np.float64))).tolist()
