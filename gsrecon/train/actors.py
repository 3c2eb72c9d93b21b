"""Annotated tracks become objects of the scene: lidar points in their boxes, a shell, a mirrored side."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from gsrecon.data.log import Track
from gsrecon.gaussians.gaussians import Gaussians
from gsrecon.gaussians.init import InitialGaussians, gaussians_from_points, thin_to_most
from gsrecon.gaussians.resample import Resample
from gsrecon.ops.knn import mean_neighbour_distance
from gsrecon.scene.actors import RigidActors
from gsrecon.scene.deformation import Deformation
from gsrecon.scene.deformation_config import Extent
from gsrecon.scene.trajectories import Trajectories
from gsrecon.train.boxes import BOTTOM_M, Boxes
from gsrecon.train.coloring import colors_in, sweeps_in_pictures
from gsrecon.train.config import InitialPoints, TrainConfig
from gsrecon.train.dynamics import ActorsConfig, actors_of, inside_of
from gsrecon.train.first_gaussians import at_most
from gsrecon.train.split import Split
from gsrecon.train.views import Views

_FASTEST_MPS = 70.0
"""Between two keys of a track; what is faster is told as a jump."""
_SHELL_OPACITY = 0.1
_LEAST_SHELL = 50
"""Points on the shell of an object that no lidar point tells about, whatever the settings say."""
_SHELL_SCALE = 0.93
"""The shell lies this far out: cars are rounder than boxes."""
_SHADE_SCALE = 1.1
"""Shade lies on the ground this far out: `RigidActors.outside` pulls back what is farther."""
_SHADE_HEIGHT_M = 0.02
"""Above the bottom of the box."""
_log = logging.getLogger(__name__)


@dataclass
class _Object:
    """Coloured points in a box's frame."""

    points: Float[Tensor, "N 3"]
    colors: Float[Tensor, "N 3"]
    measured: int
    """The first ones are measured or mirrored, the others guessed."""
    shade: int
    """The last ones lie on the ground and are for the shadow that goes along."""


def usable_tracks(split: Split, config: ActorsConfig) -> tuple[Track, ...]:
    """Tracks that are there in some fitted picture; jumps and objects without extent are told."""
    times = [frame.timestamp_us for frame in split.fitted]
    kept = []
    for track in split.log.tracks:
        if not bool((track.size_lwh > 0).all()):
            _log.warning("track %s has the size %s and is left out", track.id, track.size_lwh.tolist())
            continue
        _tell_jumps(track)
        first, last = track.timestamps_us[0] - config.padding_us, track.timestamps_us[-1] + config.padding_us
        if is_parked(track, config) or any(first <= time <= last for time in times):
            kept.append(track)
    return tuple(kept)


def is_parked(track: Track, config: ActorsConfig) -> bool:
    """Whether the object never moves; one that was seen once is taken to be moving."""
    places = track.world_from_actor[:, :3, 3]
    return len(places) > 1 and float(np.ptp(places, axis=0).max()) <= config.standing_m


def boxes_of(tracks: Sequence[Track], config: ActorsConfig) -> Boxes:
    """The boxes of usable tracks, at the times at which the scene has the objects there."""
    parked = [is_parked(track, config) for track in tracks]
    return Boxes(tracks, config.padding_us, parked)


def start_actors(
    split: Split,
    views: Views,
    boxes: Boxes,
    run: TrainConfig,
    generator: torch.Generator,
) -> RigidActors | None:
    """The annotated objects as one node, as the settings of a run model them; None where there is none."""
    tracks, config, inside = boxes.tracks, actors_of(run.dynamics), inside_of(run.dynamics)
    assert config is not None
    if not tracks:
        _log.warning("%s: no track is there in a fitted picture, so no object is modelled", split.log.name)
        return None
    found = _lidar_points(split, views, boxes, config, run.initial)
    objects = [_object(track, *found[k], config) for k, track in enumerate(tracks)]
    shape = InitialGaussians(sh_degree=run.sh_degree, opacity=run.initial.opacity)
    gaussians = Gaussians.concatenate([_gaussians(thing, shape) for thing in objects])
    labels = torch.repeat_interleave(
        torch.arange(len(tracks), dtype=torch.int32), torch.tensor([len(thing.points) for thing in objects])
    )
    change = Resample.keep(at_most(config.cap, torch.arange(len(gaussians)), generator))
    gaussians, labels = gaussians.resampled(change), change.label(labels)
    sizes = torch.from_numpy(np.stack([track.size_lwh for track in tracks])).float()
    deforms = torch.tensor([_deforms(track, config) for track in tracks])
    deformation = None
    if inside is not None and bool(deforms.any()):
        state = torch.where(deforms[labels.long()], inside.first_state, 0.0)
        extent = _extent_inside(split, sizes[deforms])
        deformation = Deformation.start(inside, extent, state, generator, objects=len(tracks))
    return RigidActors(
        [track.id for track in tracks],
        gaussians,
        labels,
        sizes,
        _trajectories(split, tracks, config),
        deformation,
        deforms if deformation is not None else None,
    )


def _trajectories(split: Split, tracks: Sequence[Track], config: ActorsConfig) -> Trajectories:
    log = split.log
    times = [
        torch.tensor([log.time_s(int(t)) for t in track.timestamps_us], dtype=torch.float64)
        for track in tracks
    ]
    spans = [
        (-np.inf, np.inf)
        if is_parked(track, config)
        else (float(of_track[0]) - config.padding_s, float(of_track[-1]) + config.padding_s)
        for track, of_track in zip(tracks, times, strict=True)
    ]
    poses = [torch.from_numpy(track.world_from_actor) for track in tracks]
    return Trajectories.start(times, poses, spans, config.knot_interval_s)


def _lidar_points(
    split: Split, views: Views, boxes: Boxes, config: ActorsConfig, initial: InitialPoints
) -> list[tuple[Float[Tensor, "N 3"], Float[Tensor, "N 3"]]]:
    """Of each box, points of all sweeps in its frame, coloured by the pictures nearest in time that see them.

    An object goes on moving between sweep and picture: its points are looked up where it is by then.
    """
    log = split.log
    found: list[list[tuple[np.ndarray, np.ndarray]]] = [[] for _ in boxes.tracks]
    for sweep, pictures in sweeps_in_pictures(split, views, initial.largest_gap_ms):
        if not pictures:
            continue
        in_lidar = log.points(sweep).astype(np.float64)
        in_world = in_lidar @ sweep.world_from_lidar[:3, :3].T + sweep.world_from_lidar[:3, 3]
        for number, _, in_actor in boxes.contents(in_world, sweep.timestamp_us):
            seen = np.zeros(len(in_actor), dtype=bool)
            rgb = np.zeros((len(in_actor), 3), dtype=np.float32)
            for frame, view in pictures:
                pose = boxes.pose(number, frame.timestamp_us)
                if pose is None:
                    continue
                then_in_world = in_actor @ pose[:3, :3].T + pose[:3, 3]
                visible, color = colors_in(log, frame, view, then_in_world)
                rgb[visible & ~seen] = color[visible & ~seen]
                seen |= visible
            found[number].append((in_actor[seen].astype(np.float32), rgb[seen]))
    return [_thinned(parts, config) for parts in found]


def _thinned(
    parts: list[tuple[np.ndarray, np.ndarray]], config: ActorsConfig
) -> tuple[Float[Tensor, "N 3"], Float[Tensor, "N 3"]]:
    """One point a voxel, which grows until there are few enough."""
    if not parts:
        return torch.zeros(0, 3), torch.zeros(0, 3)
    points, colors = (torch.from_numpy(np.concatenate(columns)) for columns in zip(*parts, strict=True))
    rows = thin_to_most(points, config.lidar_voxel_m, config.most_points)
    return points[rows], colors[rows]


def _object(
    track: Track, points: Float[Tensor, "N 3"], colors: Float[Tensor, "N 3"], config: ActorsConfig
) -> _Object:
    if config.mirror and not _deforms(track, config) and len(points) > 0:
        mirrored = points * torch.tensor([1.0, -1.0, 1.0])
        new = torch.cdist(mirrored, points).amin(dim=1) > 2 * config.lidar_voxel_m
        points, colors = torch.cat([points, mirrored[new]]), torch.cat([colors, colors[new]])
    measured = len(points)
    wanted = config.shell_points if measured > 1 else max(config.shell_points, _LEAST_SHELL)
    shell, spacing = _shell(track.size_lwh, wanted)
    if measured > 0:
        distance, nearest = torch.cdist(shell, points).min(dim=1)
        shell, nearest = shell[distance > spacing], nearest[distance > spacing]
        shell_colors = colors[nearest]
    else:
        shell_colors = torch.full((len(shell), 3), 0.5)
    shade = torch.zeros(0, 3) if is_parked(track, config) else _shade(track.size_lwh, config.shade_points)
    black = torch.zeros_like(shade)
    return _Object(
        torch.cat([points, shell, shade]), torch.cat([colors, shell_colors, black]), measured, len(shade)
    )


def _shell(size_lwh: Float64[np.ndarray, " 3"], count: int) -> tuple[Float[Tensor, "N 3"], float]:
    """Points evenly on the sides and the top of a box, a little inside, and their spacing [m]."""
    length, width, height = (float(v) for v in size_lwh)
    area = 2 * height * (length + width) + length * width
    spacing = (area / max(1, count)) ** 0.5
    if count == 0:
        return torch.zeros(0, 3), spacing
    x, y, z = (_spread(extent, spacing) for extent in (length, width, height))
    half = _SHELL_SCALE * 0.5 * torch.tensor([length, width, height])
    sides = [torch.cartesian_prod(torch.tensor([-1.0, 1.0]), y, z)]
    sides.append(torch.cartesian_prod(x, torch.tensor([-1.0, 1.0]), z))
    sides.append(torch.cartesian_prod(x, y, torch.tensor([1.0])))
    points = torch.cat(sides) * half
    above = min(BOTTOM_M, 0.5 * height)
    return points[points[:, 2] > -0.5 * height + above], spacing


def _shade(size_lwh: Float64[np.ndarray, " 3"], count: int) -> Float[Tensor, "N 3"]:
    """Points evenly on the ground that a box stands on."""
    if count == 0:
        return torch.zeros(0, 3)
    length, width, height = (float(v) for v in size_lwh)
    spacing = (length * width / count) ** 0.5
    x, y = (0.5 * _SHADE_SCALE * extent * _spread(extent, spacing) for extent in (length, width))
    return torch.cartesian_prod(x, y, torch.tensor([_SHADE_HEIGHT_M - 0.5 * height]))


def _spread(extent: float, spacing: float) -> Float[Tensor, " N"]:
    """Middles of about equal parts of -1 to 1."""
    count = max(1, round(extent / spacing))
    return (2 * torch.arange(count) + 1) / count - 1


def _gaussians(thing: _Object, shape: InitialGaussians) -> Gaussians:
    scales = shape.scale_factor * mean_neighbour_distance(thing.points, k=3)
    gaussians = gaussians_from_points(thing.points, thing.colors, shape, scales.clamp(max=0.3))
    gaussians.logit_opacities[thing.measured :] = torch.logit(torch.tensor(_SHELL_OPACITY))
    lying = len(gaussians) - thing.shade
    gaussians.quats[lying:] = torch.tensor([1.0, 0.0, 0.0, 0.0])
    gaussians.log_scales[lying:, :2] = scales[lying:, None].clamp(max=0.3).log()
    gaussians.log_scales[lying:, 2] = torch.log(torch.tensor(0.5 * _SHADE_HEIGHT_M))
    return gaussians


def _extent_inside(split: Split, sizes_lwh: Float[Tensor, "K 3"]) -> Extent:
    times = [split.log.time_s(frame.timestamp_us) for frame in split.fitted]
    return Extent((0.0, 0.0, 0.0), 0.5 * float(sizes_lwh.max()), min(times), max(times) + 1e-3, 0.0)


def _deforms(track: Track, config: ActorsConfig) -> bool:
    return any(word in track.category.lower() for word in config.deforming)


def _tell_jumps(track: Track) -> None:
    seconds = np.diff(track.timestamps_us) * 1e-6
    metres = np.linalg.norm(np.diff(track.world_from_actor[:, :3, 3], axis=0), axis=1)
    jumps = (metres > _FASTEST_MPS * seconds).nonzero()[0]
    if len(jumps) > 0:
        first = int(jumps[0])
        _log.warning(
            "track %s jumps %.1f m within %.2f s after its key %d (%d such jumps); its pictures there will "
            "be blurred: correct the annotation",
            track.id,
            metres[first],
            seconds[first],
            first,
            len(jumps),
        )
