"""Pictures of a scene."""

from dataclasses import replace
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

from gsrecon.geometry.camera import Cameras
from gsrecon.geometry.rigid import inverse
from gsrecon.ops.rasterize import Backend, rasterize
from gsrecon.ops.settings import Rasterized, RasterizeSettings
from gsrecon.scene.graph import SceneGraph
from gsrecon.scene.recording import RecordedCamera, RecordedFrame, Recording


def render(
    graph: SceneGraph,
    cameras: Cameras,
    times_s: Float[Tensor, " C"],
    settings: RasterizeSettings | None = None,
    exposure: str | None = None,
    backend: Backend = "auto",
) -> Rasterized:
    """The scene from any cameras, the sky behind it.

    Args:
        graph: The scene.
        cameras: Where to look from; on any device.
        times_s: Time of each camera from the start of the log [s].
        settings: Passed to the rasterizer, `sh_degree` also limits what is handed over; None takes those
            the scene was fitted with.
        exposure: Render as this recorded camera would on the whole; None takes the scene's own colours.
        backend: Passed to the rasterizer.

    Returns:
        What the rasterizer gives, on the device of the scene; the image is not clamped, alpha is that of the
        Gaussians alone.
    """
    settings = graph.settings if settings is None else settings
    cameras = cameras.to(graph.device)
    splats = graph.splats_at(times_s, settings.sh_degree, cameras)
    drawn = rasterize(splats, cameras, settings, backend=backend)
    image = drawn.image
    if graph.sky is not None:
        image = graph.sky.composite(image, drawn.alpha, cameras)
    if exposure is not None and graph.appearance is not None:
        image = graph.appearance.apply(image, exposure, None)
    return replace(drawn, image=image)


def render_frame(
    graph: SceneGraph,
    recording: Recording,
    frame: RecordedFrame,
    settings: RasterizeSettings | None = None,
    backend: Backend = "auto",
) -> Rasterized:
    """A recorded picture as the scene sees it: pose refined, exposure applied, C = 1.

    Frames that were held out take both interpolated from their neighbours in time.
    """
    time_s = recording.time_s(frame.timestamp_us)
    cameras = frame_cameras(graph, recording, frame)
    drawn = render(graph, cameras, torch.tensor([time_s]), settings, backend=backend)
    if graph.appearance is None:
        return drawn
    return replace(drawn, image=graph.appearance.apply(drawn.image, frame.camera, time_s))


def frame_cameras(graph: SceneGraph, recording: Recording, frame: RecordedFrame) -> Cameras:
    """The camera of a recorded picture with the scene's pose refinement, on its device, C = 1."""
    lens = recording.cameras[frame.camera]
    if graph.camera_refinement is None:
        return camera_at(lens, torch.from_numpy(frame.world_from_cam).to(graph.device, non_blocking=True))
    time_s = recording.time_s(frame.timestamp_us)
    return _seen_by(lens, graph.camera_refinement.viewmats(frame.world_from_cam, frame.camera, time_s))


def camera_at(lens: RecordedCamera, world_from_cam: Float[Tensor, "4 4"]) -> Cameras:
    """A recorded camera's lens at any pose, on its device, C = 1; differentiable in the pose."""
    return _seen_by(lens, inverse(world_from_cam.double()).float()[None])


def _seen_by(lens: RecordedCamera, viewmats: Float[Tensor, "1 4 4"]) -> Cameras:
    K = tuple(lens.K.ravel().tolist())
    Ks, distortion = _lens_tensors(K, lens.distortion, viewmats.device)
    return Cameras(viewmats, Ks, lens.width, lens.height, lens.model, distortion)


@lru_cache(maxsize=16)
def _lens_tensors(
    K: tuple[float, ...], distortion: tuple[float, ...] | None, device: torch.device
) -> tuple[Float[Tensor, "1 3 3"], Float[Tensor, "1 4"] | None]:
    """A lens where it is used, kept for the next picture."""
    Ks = torch.tensor(K).reshape(1, 3, 3).to(device, non_blocking=True)
    if distortion is None:
        return Ks, None
    return Ks, torch.tensor([distortion]).to(device, non_blocking=True)
