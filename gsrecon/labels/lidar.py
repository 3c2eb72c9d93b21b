"""Lidar sweeps of a scene: range and object along every beam of a sensor, from pictures drawn around it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int32

from gsrecon.geometry.camera import Cameras
from gsrecon.geometry.rigid import inverse
from gsrecon.labels.adaptor import Adaptor
from gsrecon.labels.subjects import Subject, place
from gsrecon.ops.rasterize import Backend, rasterize
from gsrecon.scene.graph import SceneGraph

_FACES = 4
"""Pictures around the sensor, each a little wider than its share."""
_OVERLAP = 1.05
_OVERSAMPLING = 1.5
"""Pixels for each step of the beams."""
_ONE_SURFACE = 1.15
"""Neighbouring pixels whose depths differ by more than this factor show different things."""


@dataclass(frozen=True)
class LidarSpec:
    """A spinning sensor; the default is like nuScenes' (HDL-32E), with fewer shots."""

    beams: int = 32
    azimuths: int = 1080
    """Shots of each beam in one turn."""
    lowest_deg: float = -30.67
    highest_deg: float = 10.67
    farthest_m: float = 100.0
    nearest_m: float = 1.0
    place: tuple[float, float, float] = (0.94, 0.0, 1.84)
    """Of the sensor in ego, its axes along ego's [m]."""

    def __post_init__(self) -> None:
        if self.beams < 1 or self.azimuths < 4:
            raise ValueError(
                f"beams, azimuths: expected at least 1 and 4, got {self.beams} and {self.azimuths}"
            )
        if not -80 <= self.lowest_deg <= self.highest_deg <= 80:
            raise ValueError(
                "lowest_deg, highest_deg: expected -80 to 80 in ascending order, got "
                f"{self.lowest_deg} and {self.highest_deg}"
            )

    @property
    def ego_from_lidar(self) -> Float64[np.ndarray, "4 4"]:
        """Mounting."""
        mounting = np.eye(4)
        mounting[:3, 3] = self.place
        return mounting


@dataclass(frozen=True)
class RenderedSweep:
    """One turn as the scene shows it at one time."""

    points: Float32[np.ndarray, "N 5"]
    """x, y, z in the lidar frame [m], brightness 0..1, beam from below."""
    instance: Int32[np.ndarray, " N"]
    """Number of the object each point lies on, 0 for none."""


def sweep(
    graph: SceneGraph,
    subjects: Sequence[Subject],
    adaptor: Adaptor,
    spec: LidarSpec,
    world_from_lidar: Float64[np.ndarray, "4 4"],
    timestamp_us: int,
    backend: Backend = "auto",
) -> RenderedSweep:
    """Draws a sweep; the whole turn shows the scene at one time.

    Depth is where half of the light is stopped. A beam on which less is stopped gives no point.
    """
    assert graph.recording is not None
    cameras, directions, face, x, y = _rays(spec, world_from_lidar)
    cameras = cameras.to(graph.device)
    time_s = graph.recording.time_s(timestamp_us)
    with torch.no_grad():
        splats = graph.splats_at(torch.tensor([time_s]), 0)
        placement = place(graph, subjects, adaptor, timestamp_us, splats)
        settings = replace(graph.settings, ids=True, median_depth=True, sh_degree=None)
        numbers = np.zeros(2 * placement.around, dtype=np.int32)
        for thing in placement.placed:
            numbers[thing.row] = thing.subject.number
        z, ids, light = np.zeros(len(face)), np.zeros(len(face), np.int32), np.zeros(len(face))
        for number in range(_FACES):
            one = replace(
                cameras, viewmats=cameras.viewmats[number : number + 1], Ks=cameras.Ks[number : number + 1]
            )
            drawn = rasterize(placement.splats, one, settings, backend=backend)
            assert drawn.median_depth is not None
            assert drawn.ids is not None
            rays = np.flatnonzero(face == number)
            column, row = x[rays].astype(int), y[rays].astype(int)
            of_face = drawn.ids[0].cpu().numpy()
            z[rays] = _between(drawn.median_depth[0].cpu().numpy(), of_face, x[rays], y[rays])
            ids[rays] = of_face[row, column]
            light[rays] = drawn.image[0].mean(dim=-1).cpu().numpy()[row, column]
    # Directions have length 1 along their face's axis: z is the factor.
    points = directions * z[:, None]
    distance = np.linalg.norm(points, axis=1)
    hit = (z > 0) & (distance > spec.nearest_m) & (distance < spec.farthest_m)
    beam = np.tile(np.arange(spec.beams), spec.azimuths)
    columns = [points, light.clip(0, 1)[:, None], beam[:, None]]
    return RenderedSweep(
        points=np.concatenate(columns, axis=1)[hit].astype(np.float32),
        instance=numbers[ids.clip(0)][hit].astype(np.int32),
    )


def _between(
    depth: Float32[np.ndarray, "H W"],
    ids: Int32[np.ndarray, "H W"],
    x: Float64[np.ndarray, " R"],
    y: Float64[np.ndarray, " R"],
) -> Float64[np.ndarray, " R"]:
    """Depth between pixel centres: 1 / z is linear in the picture of a plane.

    Where the four pixels around do not show one surface, the pixel's own.
    """
    height, width = depth.shape
    left, top = np.floor(x - 0.5).astype(int), np.floor(y - 0.5).astype(int)
    columns = np.stack([left, left + 1, left, left + 1]).clip(0, width - 1)
    rows = np.stack([top, top, top + 1, top + 1]).clip(0, height - 1)
    across, down = x - 0.5 - left, y - 0.5 - top
    weights = np.stack([(1 - across) * (1 - down), across * (1 - down), (1 - across) * down, across * down])
    z = depth[rows, columns].astype(np.float64)
    own = depth[y.astype(int), x.astype(int)].astype(np.float64)
    smooth = (z.min(axis=0) > 0) & (z.max(axis=0) < _ONE_SURFACE * z.min(axis=0))
    smooth &= (ids[rows, columns] == ids[y.astype(int), x.astype(int)]).all(axis=0)
    inverse_z = (weights / np.where(z > 0, z, 1.0)).sum(axis=0)
    return np.where(smooth, 1 / inverse_z, own)


def _rays(
    spec: LidarSpec, world_from_lidar: Float64[np.ndarray, "4 4"]
) -> tuple[Cameras, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Cameras around the sensor; per ray its direction with length 1 along the face's axis, face, pixel."""
    azimuth = 2 * np.pi * np.arange(spec.azimuths) / spec.azimuths
    elevation = np.radians(np.linspace(spec.lowest_deg, spec.highest_deg, spec.beams))
    azimuth, elevation = (grid.ravel() for grid in np.meshgrid(azimuth, elevation, indexing="ij"))
    face = np.floor(azimuth / (2 * np.pi / _FACES) + 0.5).astype(int) % _FACES
    away = azimuth - face * (2 * np.pi / _FACES)
    along = np.cos(away)
    directions = np.stack([np.cos(azimuth), np.sin(azimuth), np.tan(elevation)], axis=1) / along[:, None]
    half = _OVERLAP * np.tan(np.pi / _FACES)
    focal = _OVERSAMPLING * spec.azimuths / (2 * np.pi)
    width = 2 * int(np.ceil(half * focal))
    up, down = (
        np.tan(np.radians(spec.highest_deg)) / np.cos(np.pi / _FACES),
        np.tan(np.radians(spec.lowest_deg)) / np.cos(np.pi / _FACES),
    )
    top, bottom = (
        max(up, np.tan(np.radians(spec.highest_deg))),
        min(down, np.tan(np.radians(spec.lowest_deg))),
    )
    height = int(np.ceil((top - bottom) * focal)) + 2
    K = np.array([[focal, 0, width / 2], [0, focal, top * focal + 1], [0, 0, 1]])
    # In a face's camera z is forward, x right, y down: pixels of the rays.
    right = -np.tan(away)
    x = (K[0, 0] * right + K[0, 2]).clip(0, width - 0.001)
    y = (K[1, 1] * -directions[:, 2] + K[1, 2]).clip(0, height - 0.001)
    poses = []
    for number in range(_FACES):
        turn = number * 2 * np.pi / _FACES
        lidar_from_cam = np.eye(4)
        lidar_from_cam[:3, :3] = np.array(
            [[np.sin(turn), 0, np.cos(turn)], [-np.cos(turn), 0, np.sin(turn)], [0, -1, 0]]
        )
        poses.append(world_from_lidar @ lidar_from_cam)
    cameras = Cameras(
        viewmats=inverse(torch.from_numpy(np.stack(poses))).float(),
        Ks=torch.from_numpy(K).float().expand(_FACES, 3, 3),
        width=width,
        height=height,
    )
    return cameras, directions, face, x, y
