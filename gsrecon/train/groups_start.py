"""Where groups start from: what all share, and each group's Gaussians from the points that it observes."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

from gsrecon.data.log import CameraFrame, Track
from gsrecon.data.spec import SceneSpec
from gsrecon.errors import DatasetError
from gsrecon.gaussians.gaussians import Gaussians
from gsrecon.gaussians.resample import Resample
from gsrecon.scene.graph import SceneGraph
from gsrecon.scene.groups import GroupPlan, ObjectGroups
from gsrecon.scene.groups_store import BACKGROUND, FAR
from gsrecon.scene.node import Node
from gsrecon.scene.static import StaticGroup
from gsrecon.train.actors import boxes_of, is_parked, start_actors, usable_tracks
from gsrecon.train.beyond_lidar import points_beyond_lidar
from gsrecon.train.boxes import Boxes
from gsrecon.train.config import TrainConfig
from gsrecon.train.corrections import first_corrections
from gsrecon.train.dynamics import actors_of
from gsrecon.train.first_gaussians import at_most, first_gaussians
from gsrecon.train.initialise import background_node, lidar_points, passing_finder, start_scene
from gsrecon.train.lidar_passing import Passing, PassingFinder
from gsrecon.train.split import Split
from gsrecon.train.views import Views

_MOST_SAMPLED = 120
"""Pictures of the whole drive that what is shared is fitted to."""

_COARSER = 4
"""The background that they are fitted beside starts from so many times fewer points than a group."""

_UNLIMITED = 10**9

_TRIED_FOR_ONE = 4
_RAYS_FOR_ONE = 2
"""Points of the lidar, and beyond it, that are tried for each one that stays: many are at home elsewhere."""


@dataclass(frozen=True)
class Objects:
    """The annotated objects that are modelled by themselves, each at home in one group."""

    tracks: tuple[Track, ...]
    groups: tuple[ObjectGroups, ...]
    """Of each track the home, the group with most of its pixels, and all that see it."""
    boxes: Boxes | None
    """Of all of them."""

    @staticmethod
    def of(split: Split, plan: GroupPlan, config: TrainConfig) -> "Objects":
        """None where the settings model no objects."""
        actors = actors_of(config.dynamics)
        if actors is None:
            return Objects((), (), None)
        tracks = usable_tracks(split, actors)
        times = np.array([frame.timestamp_us for frame in plan.recording.frames], dtype=np.int64)
        groups = tuple(
            plan.groups_of_object(_places(track, times, is_parked(track, actors), actors.padding_us))
            for track in tracks
        )
        return Objects(tracks, groups, boxes_of(tracks, actors))

    def as_planned(self, planned: Mapping[str, ObjectGroups]) -> "Objects":
        """Each where a plan has it; those that it does not list stay where they are."""
        pairs = zip(self.tracks, self.groups, strict=True)
        return replace(self, groups=tuple(planned.get(track.id, of_track) for track, of_track in pairs))

    @property
    def by_id(self) -> dict[str, ObjectGroups]:
        """Groups of each object, as a plan keeps them."""
        return {track.id: of_track for track, of_track in zip(self.tracks, self.groups, strict=True)}

    def add_to(
        self, graph: SceneGraph, part: "Part", group: int, config: TrainConfig, generator: torch.Generator
    ) -> None:
        """Numbers all objects, the same in every group, and adds the node of those at home in one."""
        actors = actors_of(config.dynamics)
        if actors is None:
            return
        for track in self.tracks:
            graph.objects.append(track.id)
        own = [
            track for track, of_track in zip(self.tracks, self.groups, strict=True) if of_track.home == group
        ]
        node = start_actors(part.split, part.views, boxes_of(own, actors), config, generator)
        if node is not None:
            graph.add(node)


@dataclass(frozen=True)
class Part:
    """Some pictures of a drive and the sweeps that belong to them."""

    split: Split
    views: Views

    @staticmethod
    def of(split: Split, frames: list[CameraFrame], spec: SceneSpec, config: TrainConfig) -> "Part":
        """The fitted ones among some frames; sweeps that are nearer in time to other frames are left out."""
        log, chosen = split.log, {id(frame) for frame in frames}
        fitted = tuple(frame for frame in split.fitted if id(frame) in chosen)
        times = torch.tensor([frame.timestamp_us for frame in log.frames])
        of_part = torch.tensor([id(frame) in chosen for frame in log.frames])
        sweeps = tuple(
            sweep
            for sweep in log.sweeps
            if bool(
                of_part[(times - sweep.timestamp_us).abs() == (times - sweep.timestamp_us).abs().min()].any()
            )
        )
        part = Split(replace(log, frames=fitted, sweeps=sweeps), fitted, ())
        return Part(part, Views.of(part, part.fitted, spec, config))


def sampled_part(split: Split, spec: SceneSpec, config: TrainConfig) -> Part:
    """Pictures evenly over the drive, of all cameras alike."""
    indices = sorted({frame.index for frame in split.fitted})
    every = -(-len(split.fitted) // _MOST_SAMPLED)
    chosen = set(indices[::every])
    return Part.of(split, [frame for frame in split.fitted if frame.index in chosen], spec, config)


def group_part(split: Split, plan: GroupPlan, group: int, spec: SceneSpec, config: TrainConfig) -> Part:
    """The pictures that a group is fitted to: its own and its neighbours' within the overlap."""
    around = {(frame.camera, frame.index) for frame in plan.frames_around(group)}
    frames = [frame for frame in split.fitted if (frame.camera, frame.index) in around]
    return Part.of(split, frames, spec, config)


def shared_start(
    split: Split, part: Part, plan: GroupPlan, config: TrainConfig, generator: torch.Generator
) -> SceneGraph:
    """A coarse scene of the whole drive: far field, sky, cameras, and a background that is dropped later."""
    initial = config.initial
    coarse = replace(
        initial, lidar=initial.lidar // _COARSER, beyond_lidar=-(-initial.beyond_lidar // _COARSER)
    )
    graph = start_scene(part.split, part.views, replace(config, initial=coarse), generator)
    for node in first_corrections(split, config):
        graph.remove(node.id)
        graph.add(node)
    background = graph[BACKGROUND]
    assert isinstance(background, StaticGroup)
    gaussians = background.gaussians.detached()
    far = plan.homes(gaussians.means) < 0
    if bool(far.any()) and not bool(far.all()):
        graph.add(StaticGroup(FAR, _rows(gaussians, far)))
        background.gaussians = _rows(gaussians, ~far)
    graph.trainable()
    return graph


def group_start(
    part: Part,
    plan: GroupPlan,
    group: int,
    objects: Objects,
    corrections: list[Node],
    config: TrainConfig,
    seed: int,
) -> SceneGraph:
    """What a group owns before its first step: its background, the objects at home here, its corrections.

    Raises:
        DatasetError: The group's pictures show no point to start from, or a picture or sweep is damaged.
    """
    generator = torch.Generator().manual_seed(seed)
    background, passing, passes = _background(part, plan, group, objects, config, generator)
    graph = SceneGraph(recording=part.split.recording(), settings=config.settings)
    graph.add(
        background_node(BACKGROUND, background, part.split, config.dynamics, generator, passing, passes)
    )
    objects.add_to(graph, part, group, config, generator)
    for node in corrections:
        graph.add(node)
    graph.trainable()
    return graph


def _background(
    part: Part,
    plan: GroupPlan,
    group: int,
    objects: Objects,
    config: TrainConfig,
    generator: torch.Generator,
) -> tuple[Gaussians, Passing | None, Bool[Tensor, " N"]]:
    """First Gaussians, what passes by while the group's own pictures were taken, and which stand for that."""
    initial = config.initial
    lidar = replace(initial, lidar=_UNLIMITED if initial.lidar else 0)
    finder = passing_finder(part.split, config)
    points, colors = lidar_points(part.split, part.views, lidar, generator, objects.boxes, finder)
    # Far more points are seen than are needed; finding their homes is the slow part.
    some = at_most(_TRIED_FOR_ONE * initial.lidar, torch.arange(len(points)), generator)
    rows = some[plan.homes(points[some]) == group]
    rows = at_most(initial.lidar, rows, generator)
    points, colors = points[rows], colors[rows]
    rays = replace(initial, beyond_lidar=_RAYS_FOR_ONE * initial.beyond_lidar)
    far_points, far_colors, sizes = points_beyond_lidar(part.views, part.split.log, rays, generator)
    rows = _starts_here(plan, group, far_points).nonzero()[:, 0]
    rows = at_most(initial.beyond_lidar, rows, generator)
    passing, passing_count = None if finder is None else own_passing(finder, plan, group), 0
    if passing is not None:
        points, colors = torch.cat([passing.points, points]), torch.cat([passing.colors, colors])
        passing_count = len(passing.points)
    limits = torch.cat([torch.full((len(points),), torch.inf), sizes[rows]])
    points, colors = torch.cat([points, far_points[rows]]), torch.cat([colors, far_colors[rows]])
    if len(points) < 2:
        raise DatasetError(
            f"group {group} ({len(plan.frames(group))} pictures) observes no point to start from; cut the "
            "drive into fewer groups or set initial.beyond-lidar above 0"
        )
    gaussians, rows = first_gaussians(points, colors, limits, config, generator)
    return gaussians, passing, rows < passing_count


def own_passing(finder: PassingFinder, plan: GroupPlan, group: int) -> Passing:
    """What passes by in key moments that belong to a group: its neighbours have the others."""
    passing, start_us = finder.passing(), plan.recording.start_us
    groups = [plan.of_time(start_us + round(1e6 * time_s)) for time_s in passing.times_s.tolist()]
    return passing.select(torch.tensor(groups, dtype=torch.int64) == group)


def _places(
    track: Track, times_us: Int64[np.ndarray, " F"], parked: bool, padding_us: int
) -> Float64[np.ndarray, "F 3"]:
    """Where an object is at some times, NaN where it is not there; a parked one is always."""
    places = np.stack(
        [np.interp(times_us, track.timestamps_us, track.world_from_actor[:, k, 3]) for k in range(3)], axis=1
    )
    there = (times_us >= track.timestamps_us[0] - padding_us) & (
        times_us <= track.timestamps_us[-1] + padding_us
    )
    places[~(there | parked)] = np.nan
    return places


def _starts_here(plan: GroupPlan, group: int, points: Float[Tensor, "N 3"]) -> Bool[Tensor, " N"]:
    """What is at home here, and what this group needs for itself: far from here, near to others."""
    home = plan.homes(points)
    sight = plan.sight(group, around=True)
    near = sight.reaches(points, torch.zeros(len(points)), plan.groups.reach_m)
    return (home == group) | ((home >= 0) & ~near)


def _rows(gaussians: Gaussians, mask: Bool[Tensor, " N"]) -> Gaussians:
    return gaussians.resampled(Resample.keep(mask.nonzero()[:, 0]))
