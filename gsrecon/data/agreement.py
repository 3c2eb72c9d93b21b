"""Do calibration and poses agree with what the pictures show? Judged on corners found in two pictures."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Float64

from gsrecon.data.log import Camera, CameraFrame, DrivingLog
from gsrecon.data.matching import corners, follow
from gsrecon.data.projection import project, unproject
from gsrecon.geometry.rigid import se3_exp

_FAR_M = 30.0  # where corners without lidar are looked for first
_NEAREST_M = 0.5
_SMALLEST_BASELINE_M = 0.05


@dataclass(frozen=True)
class Matches:
    """Corners of one frame and where the second frame shows them; the pictures alone decide."""

    first: CameraFrame
    second: CameraFrame
    start: Float64[np.ndarray, "N 2"]
    """Pixels in the first picture (centres at +0.5)."""
    found: Float64[np.ndarray, "N 2"]
    """Pixels in the second picture."""
    lidar_in_first: Float64[np.ndarray, "M 3"]
    """The lidar points of that time in the first camera, calibration as it is [m]."""


@dataclass(frozen=True)
class Correction:
    """A change of one camera's calibration: turned about its own axes, focal length multiplied."""

    turn_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Rotation vector (x right, y down, z forward) [deg]."""
    focal: float = 1.0
    """Factor on fx and fy."""

    def motion(self) -> Float64[np.ndarray, "4 4"]:
        """`cam_from_corrected`."""
        turn = torch.deg2rad(torch.tensor(self.turn_deg, dtype=torch.float64))
        return se3_exp(torch.cat([torch.zeros(3, dtype=torch.float64), turn])).numpy()


@dataclass(frozen=True)
class Residuals:
    """Errors of the matches of one pair [px]."""

    epipolar_px: Float64[np.ndarray, " N"]
    """Distance from the epipolar line; needs no depth, and a baseline."""
    lidar_px: Float64[np.ndarray, " M"]
    """Distance from where the corner's lidar depth puts it; empty without lidar."""


def find_matches(log: DrivingLog, first: CameraFrame, second: CameraFrame, max_gap_us: int) -> Matches:
    """Follows corners from one frame to another: of one camera, or of two that see the same place."""
    picture, camera = log.image(first), log.cameras[first.camera]
    start = corners(picture)
    if len(start) == 0:
        return Matches(first, second, start, start, np.zeros((0, 3)))
    pixels = np.floor(start).astype(np.int64)
    start = start[log.valid(first)[pixels[:, 1], pixels[:, 0]]]
    lidar = _points_in_camera(log, first, max_gap_us)
    depth = _depth_at(lidar, camera.K, camera, start)
    usual = float(np.nanmedian(depth)) if np.isfinite(depth).any() else _FAR_M
    rays = unproject(start, camera.K, camera.model, camera.distortion)
    points = _at_depth(rays, np.where(np.isfinite(depth), depth, usual))
    second_from_first = np.linalg.inv(second.world_from_cam) @ first.world_from_cam
    guess, visible = _land(log.cameras[second.camera], points, second_from_first)
    start, guess = start[visible], guess[visible]
    found, good = follow(picture, log.image(second), start, guess)
    return Matches(first, second, start[good], found[good], lidar)


def residuals(log: DrivingLog, matches: Matches, correction: Correction = Correction()) -> Residuals:
    """How far the matches are from what calibration, poses and lidar say.

    Args:
        log: The recording that the matches are of.
        matches: From `find_matches`.
        correction: Applied to every camera of the pair before comparing.
    """
    first, second = log.cameras[matches.first.camera], log.cameras[matches.second.camera]
    zoom = np.diag([correction.focal, correction.focal, 1.0])
    # diag(f, f, 1) applied from the right scales fx and fy and leaves cx and cy.
    K_first, K_second = first.K @ zoom, second.K @ zoom
    motion = correction.motion()
    second_from_first = (
        np.linalg.inv(matches.second.world_from_cam @ motion) @ matches.first.world_from_cam @ motion
    )
    rays_first = unproject(matches.start, K_first, first.model, first.distortion)
    rays_second = unproject(matches.found, K_second, second.model, second.distortion)
    depth = _depth_at(matches.lidar_in_first @ motion[:3, :3], K_first, first, matches.start)
    known = np.isfinite(depth)
    points = _at_depth(rays_first[known], depth[known])
    landed, visible = _land(second, points, second_from_first, K_second)
    error = np.linalg.norm(landed - matches.found[known], axis=1)[visible]
    return Residuals(_epipolar_distance(rays_first, rays_second, second_from_first, K_second[0, 0]), error)


def _points_in_camera(log: DrivingLog, frame: CameraFrame, max_gap_us: int) -> Float64[np.ndarray, "M 3"]:
    sweep = log.nearest_sweep(frame.timestamp_us, max_gap_us)
    if sweep is None:
        return np.zeros((0, 3))
    cam_from_lidar = np.linalg.inv(frame.world_from_cam) @ sweep.world_from_lidar
    points = log.points(sweep).astype(np.float64) @ cam_from_lidar[:3, :3].T + cam_from_lidar[:3, 3]
    return points[points[:, 2] > _NEAREST_M]


def _at_depth(rays: Float64[np.ndarray, "N 3"], depth: Float64[np.ndarray, " N"]) -> np.ndarray:
    return rays * (depth / np.maximum(rays[:, 2], 1e-3))[:, None]


def _land(
    camera: Camera,
    points_in_first: Float64[np.ndarray, "N 3"],
    second_from_first: Float64[np.ndarray, "4 4"],
    K: Float64[np.ndarray, "3 3"] | None = None,
) -> tuple[Float64[np.ndarray, "N 2"], Bool[np.ndarray, " N"]]:
    """Pixels of points in the second camera, and which of them its picture shows."""
    points = points_in_first @ second_from_first[:3, :3].T + second_from_first[:3, 3]
    in_front = points[:, 2] > _NEAREST_M
    landed = np.full((len(points), 2), -1.0)
    landed[in_front] = project(
        points[in_front], camera.K if K is None else K, camera.model, camera.distortion
    )
    inside = ((landed > 0) & (landed < [camera.width, camera.height])).all(axis=1)
    return landed, in_front & inside


def _depth_at(
    lidar: Float64[np.ndarray, "M 3"],
    K: Float64[np.ndarray, "3 3"],
    camera: Camera,
    pixels: Float[np.ndarray, "N 2"],
) -> Float64[np.ndarray, " N"]:
    """Lidar depth around pixels [m]; NaN where there is none, or where near and far lie side by side."""
    radius = max(3, camera.width // 150)
    lidar = lidar[lidar[:, 2] > _NEAREST_M]
    places = np.floor(project(lidar, K, camera.model, camera.distortion)).astype(np.int64)
    inside = ((places >= 0) & (places < [camera.width, camera.height])).all(axis=1)
    if not inside.any() or len(pixels) == 0:
        return np.full(len(pixels), np.nan)
    (x, y), depth = places[inside].T, lidar[inside, 2]
    # Inverse depth is linear in the picture on a plane, so that is what is averaged.
    planes = np.zeros((4, camera.height, camera.width))
    np.add.at(planes[0], (y, x), 1.0)
    np.add.at(planes[1], (y, x), 1.0 / depth)
    np.maximum.at(planes[2], (y, x), depth)
    np.maximum.at(planes[3], (y, x), 1.0 / depth)
    tensors = torch.from_numpy(planes)[:, None]
    kernel = torch.exp(-0.5 * (torch.arange(-radius, radius + 1, dtype=torch.float64) * 2 / radius) ** 2)
    sums = F.conv2d(tensors[:2], kernel.view(1, 1, 1, -1), padding=(0, radius))
    sums = F.conv2d(sums, kernel.view(1, 1, -1, 1), padding=(radius, 0))
    extremes = F.max_pool2d(tensors[2:], 2 * radius + 1, stride=1, padding=radius)
    column, row = np.floor(pixels).astype(np.int64).T
    count, inverse = sums[:, 0, row, column].numpy()
    farthest, nearest_inverse = extremes[:, 0, row, column].numpy()
    smooth = (count > 0.5) & (farthest * nearest_inverse < 1.1)
    return np.where(smooth, count / np.maximum(inverse, 1e-9), np.nan)


def _epipolar_distance(
    rays_first: Float64[np.ndarray, "N 3"],
    rays_second: Float64[np.ndarray, "N 3"],
    second_from_first: Float64[np.ndarray, "4 4"],
    focal_px: float,
) -> Float64[np.ndarray, " M"]:
    """Angle between each found ray and its epipolar plane, in pixels.

    Rays close to the baseline, where the plane is undefined, are left out; so is a pair without baseline.
    """
    baseline = second_from_first[:3, 3]
    length = np.linalg.norm(baseline)
    if length < _SMALLEST_BASELINE_M:
        return np.zeros(0)
    normals = np.cross(baseline / length, rays_first @ second_from_first[:3, :3].T)
    sine = np.linalg.norm(normals, axis=1)
    usable = sine > 0.03
    triple = (normals[usable] * rays_second[usable]).sum(axis=1)
    return np.abs(np.arcsin(np.clip(triple / sine[usable], -1, 1))) * focal_px
