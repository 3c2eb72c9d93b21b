"""A drive of a few small pictures that a known scene took, so that the right answers are known."""

from dataclasses import replace

import numpy as np
import torch

from gsrecon.data.log import Camera, CameraFrame, DrivingLog, LidarSweep
from gsrecon.gaussians.gaussians import Gaussians
from gsrecon.scene.graph import SceneGraph
from gsrecon.scene.recording import RecordedCamera, RecordedFrame, Recording
from gsrecon.scene.render import render_frame
from gsrecon.scene.sky import Sky
from gsrecon.scene.static import StaticGroup

WIDTH, HEIGHT = 48, 33
FRAMES = 6
EVERY, OFFSET = 3, 1
CAMERAS = {"front": 0.0, "left": np.pi / 2}
"""Cameras by name with the angle their view makes with the way ahead [rad]."""


def tiny_scene() -> SceneGraph:
    """Coloured Gaussians around a straight way along x, and a sky."""
    generator = torch.Generator().manual_seed(5)
    count = 120

    def draw(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=generator)

    gaussians = Gaussians(
        means=draw(count, 3) * torch.tensor([24.0, 14.0, 4.0]) + torch.tensor([3.0, -5.0, 0.0]),
        quats=torch.nn.functional.normalize(draw(count, 4) - 0.5, dim=-1),
        log_scales=(0.2 + 0.5 * draw(count, 3)).log(),
        logit_opacities=1.0 + 2.0 * draw(count),
        sh0=2.5 * (draw(count, 3) - 0.5),
        sh_rest=torch.zeros(count, 3, 3),
    )
    sky = Sky.plain(4, torch.tensor([0.5, 0.6, 0.9]))
    return SceneGraph([StaticGroup("background", gaussians), sky], recording=tiny_recording())


def tiny_recording() -> Recording:
    """Two cameras, six frames each at 10 Hz and 1 m; frames 1 and 4 are held out."""
    K = np.array([[30.0, 0, WIDTH / 2], [0, 30.0, HEIGHT / 2], [0, 0, 1]])
    cameras = {
        name: RecordedCamera(name, K, WIDTH, HEIGHT, ego_from_cam(angle)) for name, angle in CAMERAS.items()
    }
    frames = []
    for index in range(FRAMES):
        for camera in cameras.values():
            pose = world_from_ego(index) @ camera.ego_from_cam
            time_us = 1_000_000 + 100_000 * index
            frames.append(RecordedFrame(camera.name, index, time_us, pose, index % EVERY == OFFSET))
    source_from_world = np.eye(4)
    source_from_world[:3, 3] = [4.5e5, 5.4e6, 110.0]
    return Recording("tiny", "folder", 1_000_000, source_from_world, cameras, tuple(frames))


def tiny_log(graph: SceneGraph) -> DrivingLog:
    """The drive whose pictures the scene itself took; lidar is exact at the Gaussians' centres of frame 1."""
    recording = graph.recording
    assert recording is not None
    frames = []
    for frame in recording.frames:
        with torch.no_grad():
            drawn = render_frame(graph, recording, frame)
        image = (drawn.image[0].clamp(0, 1) * 255 + 0.5).to(torch.uint8).numpy()
        moving = np.zeros((HEIGHT, WIDTH), np.uint8)
        moving[10:20, 10:20] = 255
        frames.append(
            CameraFrame(
                frame.camera, frame.index, frame.timestamp_us, frame.world_from_cam, image, {"moving": moving}
            )
        )
    times = np.array([1_000_000 + 100_000 * k for k in range(FRAMES)])
    sweeps = tuple(LidarSweep(int(t), world_from_ego(k), _wall_points()) for k, t in enumerate(times))
    return DrivingLog(
        name="tiny",
        source="folder",
        cameras={
            c.name: Camera(c.name, c.K, c.width, c.height, c.ego_from_cam) for c in recording.cameras.values()
        },
        frames=tuple(frames),
        ego_timestamps_us=times,
        world_from_ego=np.stack([world_from_ego(k) for k in range(FRAMES)]),
        source_from_world=recording.source_from_world,
        convention="Made for tests in gsrecon's own conventions.",
        sweeps=sweeps,
    )


def brighter(graph: SceneGraph, by: float) -> SceneGraph:
    """The scene with all Gaussians brighter by a constant."""
    node = graph["background"]
    assert isinstance(node, StaticGroup)
    gaussians = replace(node.gaussians, sh0=node.gaussians.sh0 + by / 0.28209479)
    return SceneGraph([StaticGroup("background", gaussians), graph["sky"]], recording=graph.recording)


def ego_from_cam(angle: float) -> np.ndarray:
    """A camera 1.5 m up that looks to the left of ahead by an angle [rad]."""
    ahead = np.array([np.cos(angle), np.sin(angle), 0.0])
    right = np.array([np.sin(angle), -np.cos(angle), 0.0])
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, [0.0, 0.0, -1.0], ahead], axis=1)
    pose[:3, 3] = [0.0, 0.0, 1.5]
    return pose


def world_from_ego(index: int) -> np.ndarray:
    """1 m a frame along x."""
    pose = np.eye(4)
    pose[0, 3] = float(index)
    return pose


def _wall_points() -> np.ndarray:
    y, z = np.meshgrid(np.linspace(-4, 4, 9), np.linspace(0, 3, 4))
    return np.stack([np.full(y.size, 12.0), y.ravel(), z.ravel()], axis=1).astype(np.float32)
