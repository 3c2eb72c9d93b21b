"""Pictures of a scene along any camera path."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Float64
from torch import Tensor

from gsrecon.data.pictures import to_uint8
from gsrecon.errors import SpecError
from gsrecon.evaluation.pictures import RGB
from gsrecon.geometry.paths import CameraPath, recorded_path, shift_left
from gsrecon.scene.camera_refinement import refined_pose
from gsrecon.scene.groups_scene import Scene, for_pose
from gsrecon.scene.recording import RecordedCamera, Recording
from gsrecon.scene.render import Backend, camera_at, render


@dataclass(frozen=True)
class View:
    """One rendered picture of a path."""

    image: RGB
    depth: Float32[np.ndarray, "H W"]
    """Along z [m], 0 where there is none."""
    time_s: float
    """Moment of the drive [s]."""
    world_from_cam: Float64[Tensor, "4 4"]


def driven_path(graph: Scene, camera: str | None = None, left_m: float = 0.0) -> CameraPath:
    """The way one camera took, with the poses as the scene refined them.

    Args:
        graph: A scene that remembers its recording.
        camera: Name of the camera; None takes the first.
        left_m: Shift to the vehicle's left [m]; negative is to the right.

    Raises:
        SpecError: There is no such camera.
    """
    recording, lens = _camera(graph, camera)
    frames = [frame for frame in recording.frames if frame.camera == lens.name]
    if not frames:
        raise SpecError(f"camera {lens.name} has no recorded pictures; name another one")
    times_s = [recording.time_s(frame.timestamp_us) for frame in frames]
    poses = [
        refined_pose(graph.camera_refinement, frame.world_from_cam, lens.name, time_s)
        for frame, time_s in zip(frames, times_s, strict=True)
    ]
    path = recorded_path(torch.tensor(times_s, dtype=torch.float64), torch.from_numpy(np.stack(poses)))
    return shift_left(path, left_m, torch.from_numpy(lens.ego_from_cam)) if left_m else path


def render_path(
    graph: Scene, path: CameraPath, camera: str | None = None, backend: Backend = "auto"
) -> Iterator[View]:
    """Renders a path with one of the recorded cameras' lenses, one picture at a time.

    Exposure is what the camera has on the whole, not that of a single picture. Of a scene in groups each
    pose is drawn from the group with the nearest recorded one.

    Args:
        graph: A scene that remembers its recording.
        path: Where to fly.
        camera: Whose lens to use; None takes the first.
        backend: Rasterizer backend.

    Raises:
        SpecError: There is no such camera.
    """
    _, lens = _camera(graph, camera)
    for pose, time_s in zip(path.world_from_cam, path.times_s, strict=True):
        with torch.no_grad():
            drawn = render(
                for_pose(graph, pose),
                camera_at(lens, pose),
                time_s[None].float(),
                exposure=lens.name,
                backend=backend,
            )
        assert drawn.depth is not None
        yield View(
            image=to_uint8(drawn.image[0].cpu().float().numpy()),
            depth=drawn.depth[0].cpu().float().numpy(),
            time_s=float(time_s),
            world_from_cam=pose.double(),
        )


def _camera(graph: Scene, name: str | None) -> tuple[Recording, RecordedCamera]:
    if graph.recording is None:
        raise ValueError("graph: expected a scene that remembers its recording, got one without")
    cameras = graph.recording.cameras
    if name is None:
        return graph.recording, next(iter(cameras.values()))
    if name not in cameras:
        raise SpecError(f"camera '{name}' is not in the scene; it has {', '.join(cameras)}")
    return graph.recording, cameras[name]
