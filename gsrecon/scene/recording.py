"""What a scene was fitted to: cameras, poses and times, kept in the scene for rendering and judging it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64

from gsrecon.geometry.camera import CameraModel


@dataclass(frozen=True)
class RecordedCamera:
    """A camera of the rig, at the size of the training pictures."""

    name: str
    K: Float64[np.ndarray, "3 3"]
    width: int
    height: int
    ego_from_cam: Float64[np.ndarray, "4 4"]
    model: CameraModel = "pinhole"
    distortion: tuple[float, float, float, float] | None = None


@dataclass(frozen=True)
class RecordedFrame:
    """A picture's place in the recording."""

    camera: str
    index: int
    timestamp_us: int
    world_from_cam: Float64[np.ndarray, "4 4"]
    """As recorded; the scene's camera refinement comes on top."""
    held_out: bool


@dataclass(frozen=True)
class Recording:
    """The part of a drive that a scene remembers."""

    name: str
    source: str
    """Kind of recording, such as `kitti-raw`."""
    start_us: int
    """Time of the log's start; `time_s` counts from here."""
    source_from_world: Float64[np.ndarray, "4 4"]
    """Brings results back into the data set's own world."""
    cameras: Mapping[str, RecordedCamera]
    frames: tuple[RecordedFrame, ...]

    def time_s(self, timestamp_us: int) -> float:
        """Seconds from the log's start."""
        return (timestamp_us - self.start_us) * 1e-6

    def pictures(self) -> list[tuple[str, int, int, bool, int, int]]:
        """Which pictures there are: camera, index, timestamp [us], held out, width and height [px]."""
        return [
            (
                frame.camera,
                frame.index,
                frame.timestamp_us,
                frame.held_out,
                self.cameras[frame.camera].width,
                self.cameras[frame.camera].height,
            )
            for frame in self.frames
        ]

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "name": self.name,
            "source": self.source,
            "start_us": self.start_us,
            "source_from_world": self.source_from_world.tolist(),
            "cameras": [
                {
                    "name": camera.name,
                    "K": camera.K.tolist(),
                    "width": camera.width,
                    "height": camera.height,
                    "ego_from_cam": camera.ego_from_cam.tolist(),
                    "model": camera.model,
                    "distortion": camera.distortion,
                }
                for camera in self.cameras.values()
            ],
            "frames": [
                {
                    "camera": frame.camera,
                    "index": frame.index,
                    "timestamp_us": frame.timestamp_us,
                    "world_from_cam": frame.world_from_cam.tolist(),
                    "held_out": frame.held_out,
                }
                for frame in self.frames
            ],
        }

    @staticmethod
    def from_json(stored: Mapping[str, Any]) -> "Recording":
        """From what `to_json` gave."""
        cameras = {
            camera["name"]: RecordedCamera(
                name=camera["name"],
                K=np.array(camera["K"], dtype=np.float64),
                width=camera["width"],
                height=camera["height"],
                ego_from_cam=np.array(camera["ego_from_cam"], dtype=np.float64),
                model=camera["model"],
                distortion=None if camera["distortion"] is None else tuple(camera["distortion"]),
            )
            for camera in stored["cameras"]
        }
        frames = tuple(
            RecordedFrame(
                camera=frame["camera"],
                index=frame["index"],
                timestamp_us=frame["timestamp_us"],
                world_from_cam=np.array(frame["world_from_cam"], dtype=np.float64),
                held_out=frame["held_out"],
            )
            for frame in stored["frames"]
        )
        return Recording(
            name=stored["name"],
            source=stored["source"],
            start_us=stored["start_us"],
            source_from_world=np.array(stored["source_from_world"], dtype=np.float64),
            cameras=cameras,
            frames=frames,
        )
