"""The car's own bonnet, boot or flank in a camera's pictures, found from what never moves while the car does.

Two things are measured over many pairs of pictures. First, is a pixel better explained by itself in the next
picture, or by the road moving past below the camera, whose motion the poses tell? Second, which edges stay
where they are? Plain asphalt, plain paint and lines that lead to the vanishing point answer neither, so the
outline is found as a whole: in every column the own car reaches from the lower border up to one row, and
those rows are chosen together.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float32, Float64
from torch import Tensor

from gsrecon.data.log import Camera, CameraFrame, DrivingLog
from gsrecon.data.own_car_outline import best_outline
from gsrecon.data.pictures import resize_nearest
from gsrecon.data.projection import project, unproject

_GROUND_HEIGHTS_M = tuple(np.arange(-2.0, 0.6, 0.25))
_FARTHEST_ROAD_M = 25.0
_NOISE = 2.0  # gray levels that differ without meaning
_STRONG_EDGE = 6.0  # gray levels a pixel
_LEAST_BELIEF = 0.12  # mean evidence of a part of the own car
_STRUCTURE = 0.7  # what an edge that stays says for the own car where the road cannot be seen
_DOUBT = 0.06  # what a pixel without evidence costs: without any, there is no own car


@dataclass(frozen=True)
class OwnCarSettings:
    """How much is looked at."""

    pairs: int = 40
    """Pairs of pictures compared, at most."""
    fewest_pairs: int = 8
    """With fewer pairs in motion nothing is said."""
    least_step_m: float = 0.3
    """The car drives at least this far between the pictures of a pair [m]."""
    longest_step_m: float = 4.0
    """And at most this far [m]."""
    working_width: int = 256
    """Pictures are shrunk to this width [px]."""
    smallest_share: float = 0.003
    """A smaller part of the picture is taken for a flaw, not for the own car."""


@dataclass(frozen=True)
class _Evidence:
    """What the pairs say about each pixel of the shrunk picture."""

    own: Float64[np.ndarray, "H W"]
    """-1 moves with the world, 1 stays; 0 cannot be told."""
    edge: Float64[np.ndarray, "H W"]
    """0 to 1: an edge that stays where it is."""


def find_own_car(
    log: DrivingLog, camera: str, settings: OwnCarSettings | None = None
) -> Bool[np.ndarray, "H W"] | None:
    """Pixels of a camera that show the car it is mounted on; the shadow that goes with it may be among them.

    Only what reaches the lower border is found, and plain paint only where the road would be seen in its
    place: a flank that rises above the horizon without any structure is cut there.

    Args:
        log: The recording.
        camera: Name of one of its cameras.
        settings: How much is looked at.

    Returns:
        True on pixels of the own car, all False where the camera does not see it; None where the car hardly
        moves or too few pictures show it moving.

    Raises:
        DatasetError: A picture is missing or damaged; the message names it.
    """
    if camera not in log.cameras:
        raise ValueError(f"camera: expected one of {sorted(log.cameras)}, got {camera!r}")
    settings = settings or OwnCarSettings()
    size = log.cameras[camera]
    small = log.select([camera]).at_scale(min(1.0, settings.working_width / size.width))
    pairs = _moving_pairs(small, settings)
    if len(pairs) < settings.fewest_pairs:
        return None
    evidence = _gather(small, pairs)
    mask = _believed(best_outline(evidence.own - _DOUBT, evidence.edge), evidence.own)
    if mask.mean() < settings.smallest_share:
        mask[:] = False
    return resize_nearest(mask, size.width, size.height)


def with_own_car(log: DrivingLog, settings: OwnCarSettings | None = None) -> DrivingLog:
    """The log with a mask `ego` for every camera that has none and in which the own car is found."""
    found = {}
    for name in log.cameras:
        if any("ego" in frame.masks for frame in log.frames if frame.camera == name):
            continue
        mask = find_own_car(log, name, settings)
        if mask is not None and mask.any():
            lens = log.cameras[name].recorded_lens
            found[name] = mask if lens is None else lens.distort_ids(mask)  # frames hold masks as recorded
    frames = tuple(
        replace(frame, masks={**frame.masks, "ego": found[frame.camera]}) if frame.camera in found else frame
        for frame in log.frames
    )
    return replace(log, frames=frames)


def _believed(mask: Bool[np.ndarray, "H W"], own: Float64[np.ndarray, "H W"]) -> Bool[np.ndarray, "H W"]:
    """The parts side by side whose pixels, taken together, stay.

    Where only an edge speaks (a line on the road that leads to the vanishing point), it is not believed.
    """
    edges = np.diff(mask[-1].astype(np.int8), prepend=0, append=0)
    for start, stop in zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1), strict=True):
        part = mask[:, start:stop]
        if own[:, start:stop][part].mean() < _LEAST_BELIEF:
            part[:] = False
    return mask


def _moving_pairs(log: DrivingLog, settings: OwnCarSettings) -> list[tuple[CameraFrame, CameraFrame]]:
    """Pictures near in time between which the car drove, spread over the drive."""
    pairs = []
    for i, first in enumerate(log.frames):
        for second in log.frames[i + 1 : i + 40]:
            step = np.linalg.norm(second.world_from_cam[:3, 3] - first.world_from_cam[:3, 3])
            if step >= settings.least_step_m:
                if step <= settings.longest_step_m:
                    pairs.append((first, second))
                break
    chosen = np.unique(np.linspace(0, len(pairs) - 1, settings.pairs).astype(int)) if pairs else []
    return [pairs[i] for i in chosen]


def _gather(log: DrivingLog, pairs: Sequence[tuple[CameraFrame, CameraFrame]]) -> _Evidence:
    camera = next(iter(log.cameras.values()))
    details = {id(frame): _detail(log, frame) for pair in pairs for frame in pair}
    height_m = _ground_height(camera, pairs, details)
    told, count = np.zeros((camera.height, camera.width)), np.zeros((camera.height, camera.width))
    change = np.zeros((camera.height, camera.width))
    # Both ways in time: what leaves the picture one way comes from within it the other way.
    both_ways = [*pairs, *((second, first) for first, second in pairs)]
    for first, second in both_ways:
        still = _difference(details[id(second)], details[id(first)])
        moved, valid = _seen_again(camera, first, second, details[id(second)], height_m)
        road = _difference(moved, details[id(first)])
        told += np.where(valid, (road - still) / (road + still + _NOISE), 0.0)
        count += valid
        change += still / (still + 2 * _NOISE)
    # Above the road's reach change speaks against the own car, and structure that stays for it.
    edge = _staying_edges(log, pairs)
    beyond = _STRUCTURE * edge - change / len(both_ways)
    own = np.where(count > 0.3 * len(both_ways), 1.5 * told / np.maximum(count, 1), beyond)
    return _Evidence(np.clip(own, -1, 1), edge)


def _ground_height(
    camera: Camera, pairs: Sequence[tuple[CameraFrame, CameraFrame]], details: dict[int, Tensor]
) -> float:
    """The height of the road in the ego frame at which pictures are explained best [m]."""
    sample = pairs[:: max(1, len(pairs) // 6)]
    errors = []
    for height_m in _GROUND_HEIGHTS_M:
        total, pixels = 0.0, 0
        for first, second in sample:
            moved, valid = _seen_again(camera, first, second, details[id(second)], height_m)
            difference = _difference(moved, details[id(first)])
            total += difference[valid].sum()
            pixels += valid.sum()
        errors.append(total / pixels if pixels else np.inf)
    return float(_GROUND_HEIGHTS_M[int(np.argmin(errors))])


def _seen_again(
    camera: Camera, first: CameraFrame, second: CameraFrame, detail: Tensor, height_m: float
) -> tuple[Tensor, Bool[np.ndarray, "H W"]]:
    """The second picture as the first would see it if all of it were road, and where that can be said."""
    x, y = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    pixels = np.stack([x.ravel(), y.ravel()], axis=1)
    rays_in_cam = unproject(pixels, camera.K, camera.model, camera.distortion)
    rays = rays_in_cam @ camera.ego_from_cam[:3, :3].T
    start = camera.ego_from_cam[:3, 3]
    with np.errstate(divide="ignore", invalid="ignore"):
        reach = (height_m - start[2]) / rays[:, 2]
    valid = np.isfinite(reach) & (reach > 0) & (reach < _FARTHEST_ROAD_M)
    points = rays_in_cam * np.where(valid, reach, 1.0)[:, None]
    second_from_first = np.linalg.inv(second.world_from_cam) @ first.world_from_cam
    points = points @ second_from_first[:3, :3].T + second_from_first[:3, 3]
    valid &= points[:, 2] > 0.1
    places = project(np.where(valid[:, None], points, [0.0, 0, 1]), camera.K, camera.model, camera.distortion)
    size = np.array([camera.width, camera.height])
    valid &= ((places > 0) & (places < size)).all(axis=1)
    grid = torch.from_numpy((2 * places / size - 1).astype(np.float32)).reshape(
        1, camera.height, camera.width, 2
    )
    moved = F.grid_sample(detail, grid, padding_mode="border", align_corners=False)
    return moved, valid.reshape(camera.height, camera.width)


def _staying_edges(
    log: DrivingLog, pairs: Sequence[tuple[CameraFrame, CameraFrame]]
) -> Float64[np.ndarray, "H W"]:
    """Edges whose gradient points the same way in all pictures, by their strength."""
    frames = {id(frame): frame for pair in pairs for frame in pair}
    total, length = torch.zeros(1), torch.zeros(1)
    for frame in frames.values():
        gray = F.pad(_gray(log, frame), (1, 1, 1, 1), mode="replicate")
        dx = 0.5 * (gray[..., 1:-1, 2:] - gray[..., 1:-1, :-2])
        dy = 0.5 * (gray[..., 2:, 1:-1] - gray[..., :-2, 1:-1])
        gradient = torch.cat([dx, dy])
        total = total + gradient
        length = length + gradient.norm(dim=0)
    mean, usual = total.norm(dim=0) / len(frames), length / len(frames)
    alike = ((mean / usual.clamp_min(1e-3) - 0.5) / 0.4).clamp(0, 1)
    strength = (mean / _STRONG_EDGE).clamp(0, 1)
    return (alike * strength)[0].numpy().astype(np.float64)


def _difference(one: Tensor, other: Tensor) -> Float64[np.ndarray, "H W"]:
    """Mean absolute difference over a small window [gray levels]."""
    window = F.avg_pool2d((one - other).abs(), 3, stride=1, padding=1, count_include_pad=False)
    return window[0, 0].numpy().astype(np.float64)


def _detail(log: DrivingLog, frame: CameraFrame) -> Float32[Tensor, "1 1 H W"]:
    """The picture without its slow changes, which exposure and reflections are."""
    gray = _gray(log, frame)
    return gray - F.avg_pool2d(gray, 9, stride=1, padding=4, count_include_pad=False)


def _gray(log: DrivingLog, frame: CameraFrame) -> Float32[Tensor, "1 1 H W"]:
    weights = torch.tensor([0.299, 0.587, 0.114])
    gray = torch.from_numpy(log.image(frame)).float() @ weights
    return F.avg_pool2d(gray[None, None], 3, stride=1, padding=1, count_include_pad=False)
