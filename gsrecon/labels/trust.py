"""How far a view or an object lies from what was recorded, as numbers in 0 .. 1 that can be refused.

A view's score is the product of three shares: nearness to the nearest fitted pose (one half at 3 m or 45
degrees), the share of its pixels that some fitted camera had in its picture unhidden, and the opacity of
what is shown. An object's score is that of the direction and distance it is seen from, in its own frame, so
that a car which drove by is trusted from all sides it showed.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float32, Float64

from gsrecon.data.projection import project, unproject
from gsrecon.labels.recorded_sides import RecordedSides, fitted
from gsrecon.labels.subjects import Subject
from gsrecon.ops.rasterize import Backend, rasterize
from gsrecon.scene.graph import SceneGraph
from gsrecon.scene.groups_scene import Scene, for_frame
from gsrecon.scene.recording import RecordedCamera, RecordedFrame
from gsrecon.scene.render import camera_at

_HALF_M, _HALF_DEG = 3.0, 45.0
"""Away from the nearest recorded pose at which a view is trusted by one half."""
_OBJECT_HALF_DEG = 60.0
"""Turned from the nearest recorded direction at which an object is trusted by one half."""
_NEIGHBOURS = 6
"""Fitted pictures that are asked whether they saw a pixel's place."""
_STRIDE = 4
"""Every n-th pixel in both directions is asked."""
_REFERENCE_WIDTH = 160
"""Depth of fitted pictures is drawn at about this width [px]."""
_KEPT = 48
"""Depth pictures in memory."""
_DEEPER, _DEEPER_M = 1.05, 0.3
"""A place is hidden from a fitted picture that shows something nearer by more than 5 % and 0.3 m."""


@dataclass(frozen=True)
class ViewTrust:
    """Where a view stands against the recording."""

    distance_m: float
    """From the nearest fitted pose [m]."""
    angle_deg: float
    """Between its direction and that pose's [deg]."""
    unobserved: float
    """Share of its pixels whose place no neighbouring fitted picture shows."""
    alpha: float
    """Mean opacity of the pixels that are not sky."""

    @property
    def score(self) -> float:
        """0 .. 1."""
        near = _falling(self.distance_m / _HALF_M) * _falling(self.angle_deg / _HALF_DEG)
        return near * (1 - self.unobserved) * self.alpha


@dataclass(frozen=True)
class ObjectTrust:
    """How an object is seen against how it was recorded."""

    distance_ratio: float
    """Its distance over the nearest recorded one; below 1 it is seen from nearer than ever recorded."""
    angle_deg: float
    """Between the direction it is seen from and the nearest recorded one, in its own frame [deg]."""
    alpha: float
    """Mean opacity over its pixels."""

    @property
    def score(self) -> float:
        """0 .. 1."""
        return _falling(self.angle_deg / _OBJECT_HALF_DEG) * min(1.0, self.distance_ratio) * self.alpha


def _falling(x: float) -> float:
    return 1 / (1 + x * x)


class Trust:
    """Judges views of one scene against the pictures it was fitted to."""

    def __init__(self, scene: Scene, sides: RecordedSides, backend: Backend = "auto") -> None:
        assert scene.recording is not None
        self._scene = scene
        self._backend: Backend = backend
        self._recording = scene.recording
        self._fitted = fitted(self._recording, scene.camera_refinement)
        self._sides = sides
        self._poses = np.stack([frame.world_from_cam for frame in self._fitted])
        self._depths: OrderedDict[int, Float32[np.ndarray, "_ _"]] = OrderedDict()

    def view(
        self,
        lens: RecordedCamera,
        world_from_cam: Float64[np.ndarray, "4 4"],
        depth: Float32[np.ndarray, "H W"],
        alpha: Float32[np.ndarray, "H W"],
        sky: Bool[np.ndarray, "H W"],
    ) -> ViewTrust:
        """Judges a picture.

        Args:
            lens: Its camera.
            world_from_cam: Its pose in the scene.
            depth: Along z [m], 0 where there is none.
            alpha: Opacity.
            sky: Pixels that show the sky.
        """
        away = np.linalg.norm(self._poses[:, :3, 3] - world_from_cam[:3, 3], axis=1)
        cosine = self._poses[:, :3, 2] @ world_from_cam[:3, 2]
        turned = np.degrees(np.arccos(cosine.clip(-1, 1)))
        worth = away / _HALF_M + turned / _HALF_DEG
        nearest = int(np.argmin(worth))
        order = np.argsort(worth, kind="stable")[:_NEIGHBOURS]
        solid = ~sky
        return ViewTrust(
            distance_m=float(away[nearest]),
            angle_deg=float(turned[nearest]),
            unobserved=self._unobserved(lens, world_from_cam, depth, sky, order.tolist()),
            alpha=float(alpha[solid].mean()) if solid.any() else 1.0,
        )

    def object(
        self,
        subject: Subject,
        world_from_actor: Float64[np.ndarray, "4 4"],
        world_from_cam: Float64[np.ndarray, "4 4"],
        alpha: float,
    ) -> ObjectTrust:
        """Judges one object in a picture; one that was never recorded has the widest angle."""
        angle, ratio = self._sides.nearest(subject.id, world_from_actor, world_from_cam)
        return ObjectTrust(ratio, angle, alpha)

    def _unobserved(
        self,
        lens: RecordedCamera,
        world_from_cam: Float64[np.ndarray, "4 4"],
        depth: Float32[np.ndarray, "H W"],
        sky: Bool[np.ndarray, "H W"],
        neighbours: Sequence[int],
    ) -> float:
        y, x = np.mgrid[_STRIDE // 2 : lens.height : _STRIDE, _STRIDE // 2 : lens.width : _STRIDE]
        x, y = x.ravel(), y.ravel()
        shown = ~sky[y, x]
        x, y = x[shown], y[shown]
        z = depth[y, x].astype(np.float64)
        if len(z) == 0:
            return 0.0
        rays = unproject(np.stack([x + 0.5, y + 0.5], axis=1), lens.K, lens.model, lens.distortion)
        points = (rays / rays[:, 2:]) * z[:, None] @ world_from_cam[:3, :3].T + world_from_cam[:3, 3]
        observed = np.zeros(len(z), dtype=bool)
        for number in neighbours:
            rest = np.flatnonzero(~observed & (z > 0))
            if len(rest) == 0:
                break
            observed[rest] |= self._saw(number, points[rest])
        return float(1 - observed.mean())

    def _saw(self, number: int, points: Float64[np.ndarray, "N 3"]) -> Bool[np.ndarray, " N"]:
        frame = self._fitted[number]
        lens = _small(self._recording.cameras[frame.camera])
        in_cam = (points - frame.world_from_cam[:3, 3]) @ frame.world_from_cam[:3, :3]
        seen = in_cam[:, 2] > 0.1
        pixels = np.zeros((len(points), 2))
        pixels[seen] = project(in_cam[seen], lens.K, lens.model, lens.distortion)
        seen &= ((pixels >= 0) & (pixels < [lens.width, lens.height])).all(axis=1)
        column, row = pixels[seen].astype(int).T
        shown = self._depth(number, frame, lens)[row, column]
        seen[seen] = in_cam[seen, 2] <= shown * _DEEPER + _DEEPER_M
        return seen

    def _depth(self, number: int, frame: RecordedFrame, lens: RecordedCamera) -> Float32[np.ndarray, "H W"]:
        if number in self._depths:
            self._depths.move_to_end(number)
            return self._depths[number]
        graph: SceneGraph = for_frame(self._scene, frame)
        time = torch.tensor([self._recording.time_s(frame.timestamp_us)])
        cameras = camera_at(lens, torch.from_numpy(frame.world_from_cam)).to(graph.device)
        with torch.no_grad():
            splats = graph.splats_at(time, 0, cameras)
            drawn = rasterize(splats, cameras, graph.settings, backend=self._backend)
        assert drawn.depth is not None
        self._depths[number] = drawn.depth[0].cpu().numpy().copy()
        while len(self._depths) > _KEPT:
            self._depths.popitem(last=False)
        return self._depths[number]


def _small(lens: RecordedCamera) -> RecordedCamera:
    scale = min(1.0, _REFERENCE_WIDTH / lens.width)
    width, height = max(1, round(lens.width * scale)), max(1, round(lens.height * scale))
    ratios = np.diag([width / lens.width, height / lens.height, 1.0])
    return RecordedCamera(
        lens.name, ratios @ lens.K, width, height, lens.ego_from_cam, lens.model, lens.distortion
    )
