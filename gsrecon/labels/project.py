"""Boxes and lines of the scene in a picture: what of them lies in front of the camera, and where."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float64

from gsrecon.data.projection import project, unproject
from gsrecon.geometry.box import box_corners
from gsrecon.scene.recording import RecordedCamera

NEAREST_M = 0.1
"""What is nearer along z is cut off before it is projected [m]."""

_EDGES = np.array(
    [(0, 1), (1, 2), (2, 3), (3, 0), (4, 5), (5, 6), (6, 7), (7, 4), (0, 4), (1, 5), (2, 6), (3, 7)]
)
"""Pairs of corners in the order of `box_corners`."""
_BENT_STEPS = 16
"""Parts of an edge under a lens that bends straight lines."""


@dataclass(frozen=True)
class ProjectedBox:
    """A 3D box in a picture; pixel edges, [x0, y0, x1, y1]."""

    whole: Float64[np.ndarray, " 4"]
    """Around all of the box that lies in front of the camera, in the picture or not [px]."""
    inside: Float64[np.ndarray, " 4"]
    """The part of it in the picture [px]: the amodal box; without area where there is none."""

    @property
    def truncation(self) -> float:
        """Share of the whole rectangle's area that lies outside of the picture."""
        whole = area(self.whole)
        return 1 - area(self.inside) / whole if whole > 0 else 1.0


def area(box: Float64[np.ndarray, " 4"]) -> float:
    """Of a rectangle [px^2]."""
    return float(max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1]))


def corners_in_world(
    size_lwh: Float64[np.ndarray, " 3"], world_from_actor: Float64[np.ndarray, "4 4"]
) -> Float64[np.ndarray, "8 3"]:
    """Corners in the order of `gsrecon.geometry.box.box_corners` [m]."""
    return box_corners(torch.from_numpy(size_lwh), torch.from_numpy(world_from_actor)).numpy()


def project_box(
    lens: RecordedCamera,
    world_from_cam: Float64[np.ndarray, "4 4"],
    size_lwh: Float64[np.ndarray, " 3"],
    world_from_actor: Float64[np.ndarray, "4 4"],
) -> ProjectedBox | None:
    """A 3D box in a picture; None where none of it is in front of the camera.

    Edges are cut where they pass behind the camera, so a box beside it keeps what is seen of it.
    """
    corners = in_cam(world_from_cam, corners_in_world(size_lwh, world_from_actor))
    ends = _cut(corners[_EDGES[:, 0]], corners[_EDGES[:, 1]])
    if len(ends) == 0:
        return None
    if lens.model != "pinhole":
        share = np.linspace(0, 1, _BENT_STEPS + 1)[None, :, None]
        ends = ends[:, :1] + share * (ends[:, 1:] - ends[:, :1])
    pixels = project(ends.reshape(-1, 3), lens.K, lens.model, lens.distortion)
    whole = np.concatenate([pixels.min(axis=0), pixels.max(axis=0)])
    limits = np.array([lens.width, lens.height, lens.width, lens.height], dtype=np.float64)
    return ProjectedBox(whole, whole.clip(0.0, limits))


def box_outline(
    lens: RecordedCamera,
    world_from_cam: Float64[np.ndarray, "4 4"],
    size_lwh: Float64[np.ndarray, " 3"],
    world_from_actor: Float64[np.ndarray, "4 4"],
) -> tuple[tuple[int, int, int, int], Bool[np.ndarray, "h w"]]:
    """The pixels whose rays meet a box, and the window they lie in: left, top, right, bottom [px]."""
    box = project_box(lens, world_from_cam, size_lwh, world_from_actor)
    if box is None:
        return (0, 0, 0, 0), np.zeros((0, 0), dtype=bool)
    left, top = np.floor(box.inside[:2]).astype(int).tolist()
    right, bottom = np.ceil(box.inside[2:]).astype(int).tolist()
    y, x = np.mgrid[top:bottom, left:right] + 0.5
    rays = unproject(np.stack([x.ravel(), y.ravel()], axis=1), lens.K, lens.model, lens.distortion)
    actor_from_cam = np.linalg.inv(world_from_actor) @ world_from_cam
    directions, origin = rays @ actor_from_cam[:3, :3].T, actor_from_cam[:3, 3]
    # Slabs (Kay and Kajiya 1986): a ray is inside where it is inside of all three.
    steps = np.where(np.abs(directions) > 1e-12, directions, 1e-12)
    near, far = (-0.5 * size_lwh - origin) / steps, (0.5 * size_lwh - origin) / steps
    enters, leaves = np.minimum(near, far).max(axis=1), np.maximum(near, far).min(axis=1)
    return (left, top, right, bottom), ((leaves >= enters) & (leaves > 0)).reshape(x.shape)


def in_cam(
    world_from_cam: Float64[np.ndarray, "4 4"], points_in_world: Float64[np.ndarray, "N 3"]
) -> Float64[np.ndarray, "N 3"]:
    """Points of world in the camera [m]."""
    return (points_in_world - world_from_cam[:3, 3]) @ world_from_cam[:3, :3]


def _cut(
    starts: Float64[np.ndarray, "N 3"], stops: Float64[np.ndarray, "N 3"]
) -> Float64[np.ndarray, "M 2 3"]:
    """The parts of segments that lie at least `NEAREST_M` in front of the camera."""
    front = np.maximum(starts[:, 2], stops[:, 2]) > NEAREST_M
    starts, stops = starts[front], stops[front]
    step = stops - starts
    crosses = step[:, 2] != 0  # others lie in front as a whole
    share = ((NEAREST_M - starts[:, 2]) / np.where(crosses, step[:, 2], 1.0))[:, None]
    new_starts = np.where(starts[:, 2:] < NEAREST_M, starts + share * step, starts)
    new_stops = np.where(stops[:, 2:] < NEAREST_M, starts + share * step, stops)
    return np.stack([new_starts, new_stops], axis=1)
