"""The scene at the start of a run: lidar points, points beyond the lidar, a sky, no corrections yet."""

from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gsrecon.errors import DatasetError
from gsrecon.gaussians.gaussians import Gaussians
from gsrecon.gaussians.init import thin_by_voxels
from gsrecon.scene.deformable_field import DeformableField
from gsrecon.scene.deformation import Deformation
from gsrecon.scene.deformation_config import Extent
from gsrecon.scene.graph import SceneGraph
from gsrecon.scene.node import GaussianNode
from gsrecon.scene.sky import Sky
from gsrecon.scene.static import StaticGroup
from gsrecon.train.actors import boxes_of, start_actors, usable_tracks
from gsrecon.train.beyond_lidar import points_beyond_lidar
from gsrecon.train.boxes import Boxes
from gsrecon.train.coloring import colors_in, sweeps_in_pictures
from gsrecon.train.config import InitialPoints, TrainConfig
from gsrecon.train.corrections import first_corrections
from gsrecon.train.dynamics import DynamicsConfig, actors_of, field_of
from gsrecon.train.first_gaussians import at_most, first_gaussians
from gsrecon.train.lidar_evidence import gather_evidence
from gsrecon.train.lidar_passing import Passing, PassingFinder
from gsrecon.train.sparse_start import found_points
from gsrecon.train.split import Split
from gsrecon.train.views import Views

Colored = tuple[Float[Tensor, "N 3"], Float[Tensor, "N 3"]]
"""Points in world [m] and their colours in [0, 1]."""

_MOST_WAITING = 1_000_000
"""Lidar points that wait to be thinned, so that memory does not grow with the length of the drive."""

_MOST_DISTANCES = 2**22
"""Distances between points and cameras that are held at once."""


def start_scene(split: Split, views: Views, config: TrainConfig, generator: torch.Generator) -> SceneGraph:
    """A scene with trainable parameters, ready for the first step.

    Raises:
        DatasetError: There is no point to start from, or a picture or sweep is damaged.
    """
    graph = SceneGraph(recording=split.recording(), settings=config.settings)
    boxes = _boxes(split, config)
    finder = passing_finder(split, config)
    background, passing, passes = _background(split, views, config, generator, boxes, finder)
    graph.add(background_node("background", background, split, config.dynamics, generator, passing, passes))
    actors = None if boxes is None else start_actors(split, views, boxes, config, generator)
    if actors is not None:
        for id in actors.object_ids:
            graph.objects.append(id)
        graph.add(actors)
    if config.sky_resolution > 0:
        graph.add(Sky.plain(config.sky_resolution, _upper_color(views)))
    for node in first_corrections(split, config):
        graph.add(node)
    graph.trainable()
    return graph


def background_node(
    id: str,
    gaussians: Gaussians,
    split: Split,
    dynamics: DynamicsConfig,
    generator: torch.Generator,
    passing: Passing | None = None,
    passes: Bool[Tensor, " N"] | None = None,
) -> GaussianNode:
    """Gaussians of the background, still or under a deformation that is the identity at first.

    Args:
        id: Of the node.
        gaussians: In world.
        split: The drive; its pictures' times and its sweeps are asked.
        dynamics: Whether there is a deformation, and its settings.
        generator: For first weights and evidence.
        passing: What was seen to pass by; it tells the deformation where it went.
        passes: Which of the Gaussians stand for that.
    """
    chosen = field_of(dynamics)
    if chosen is None:
        return StaticGroup(id, gaussians)
    log = split.log
    by_camera = [
        sorted(log.time_s(frame.timestamp_us) for frame in split.fitted if frame.camera == name)
        for name in log.cameras
    ]
    gaps = [after - before for times in by_camera for before, after in pairwise(times)]
    interval_s = float(np.median(gaps)) if gaps else 0.0
    extent = Extent.around(gaussians.means, [time for times in by_camera for time in times], interval_s)
    state = torch.full((len(gaussians),), chosen.first_state)
    evidence = gather_evidence(log, gaussians.means) if chosen.lidar_evidence > 0 and log.sweeps else None
    if evidence is not None:
        state[evidence.transient] = chosen.lidar_state
    if passes is not None:
        state[passes] = 1.0
    deformation = Deformation.start(chosen, extent, state, generator)
    if evidence is not None:
        told = [evidence.presence(gaussians.means, chosen.lidar_evidence // 4, generator)]
        if passing is not None:
            told.append(passing.answers(0.5 * interval_s, chosen.lidar_evidence // 2, generator))
        deformation.evidence = torch.cat(told)
    return DeformableField(id, gaussians, deformation)


def passing_finder(split: Split, config: TrainConfig) -> PassingFinder | None:
    """Looks for what passes by, where a field is to carry it and sweeps tell."""
    field = field_of(config.dynamics)
    wanted = field is not None and field.lidar_evidence > 0 and config.initial.lidar > 0 and split.log.sweeps
    return PassingFinder(split.log) if wanted else None


def _boxes(split: Split, config: TrainConfig) -> Boxes | None:
    """The annotated objects that are modelled by themselves, if any are to be."""
    actors = actors_of(config.dynamics)
    return None if actors is None else boxes_of(usable_tracks(split, actors), actors)


def _background(
    split: Split,
    views: Views,
    config: TrainConfig,
    generator: torch.Generator,
    boxes: Boxes | None,
    finder: PassingFinder | None,
) -> tuple[Gaussians, Passing | None, Bool[Tensor, " N"]]:
    """First Gaussians, what passes by, and which of the Gaussians stand for that."""
    initial = config.initial
    points, colors = lidar_points(split, views, initial, generator, boxes, finder)
    passing, passing_count = None if finder is None else finder.passing(), 0
    if passing is not None:
        points, colors = torch.cat([passing.points, points]), torch.cat([passing.colors, colors])
        passing_count = len(passing.points)
    far_points, far_colors, far_scales = points_beyond_lidar(views, split.log, initial, generator)
    # Points beyond the lidar are thinly spread over a large space: their pixel limits them, not a neighbour.
    limits = torch.cat([torch.full((len(points),), torch.inf), far_scales])
    points, colors = torch.cat([points, far_points]), torch.cat([colors, far_colors])
    if len(points) < 2:
        raise DatasetError(
            f"{split.log.name}: there is nothing to start from, neither lidar points that a picture sees nor "
            "points beyond the lidar; set initial.beyond-lidar above 0"
        )
    gaussians, rows = first_gaussians(points, colors, limits, config, generator)
    return gaussians, passing, rows < passing_count


def lidar_points(
    split: Split,
    views: Views,
    initial: InitialPoints,
    generator: torch.Generator,
    boxes: Boxes | None = None,
    finder: PassingFinder | None = None,
) -> Colored:
    """Lidar points of all usable sweeps, coloured by the picture nearest in time that sees them.

    Points that structure from motion found in the pictures come after them.

    Points in one of the boxes at the sweep's time belong to an object and are left out. What passes by is
    left to the finder.

    One point a voxel is kept; voxels grow with the distance to the nearest camera, so that the points are
    about evenly spread over the pictures.
    """
    log = split.log
    centres = _camera_centres(split)
    points, colors = torch.zeros(0, 3), torch.zeros(0, 3)
    waiting: list[tuple[Tensor, Tensor]] = []
    most_waiting = _MOST_WAITING
    sweeps = sweeps_in_pictures(split, views, initial.largest_gap_ms) if initial.lidar > 0 else ()
    for number, (sweep, pictures) in enumerate(sweeps):
        in_lidar = log.points(sweep).astype(np.float64)
        in_world = in_lidar @ sweep.world_from_lidar[:3, :3].T + sweep.world_from_lidar[:3, 3]
        if boxes is not None:
            in_world = in_world[~boxes.holds(in_world, sweep.timestamp_us)]
        seen = np.zeros(len(in_world), dtype=bool)
        rgb = np.zeros((len(in_world), 3), dtype=np.float32)
        for frame, view in pictures:
            visible, color = colors_in(log, frame, view, in_world)
            rgb[visible & ~seen] = color[visible & ~seen]
            seen |= visible
        in_world, rgb = in_world[seen], rgb[seen]
        if finder is not None:
            stands = ~finder.take(number, in_world, rgb)
            in_world, rgb = in_world[stands], rgb[stands]
        waiting.append((torch.from_numpy(in_world).float(), torch.from_numpy(rgb)))
        if sum(len(of_sweep) for of_sweep, _ in waiting) > most_waiting:
            points, colors = _thinned([(points, colors), *waiting], centres, initial)
            waiting, most_waiting = [], max(_MOST_WAITING, len(points))
    if finder is not None:
        waiting.append(finder.rest())
    points, colors = _thinned([(points, colors), *waiting], centres, initial)
    kept = at_most(initial.lidar, torch.arange(len(points)), generator)
    points, colors = points[kept], colors[kept]
    found, found_colors = found_points(split, initial.lidar)
    return torch.cat([points, found]), torch.cat([colors, found_colors])


def _thinned(
    parts: list[tuple[Tensor, Tensor]], centres: Float[Tensor, "F 3"], initial: InitialPoints
) -> Colored:
    """One point a voxel, the first of each, in order; edges are the smallest voxel times powers of two.

    Which point is kept does not depend on how often the points were thinned on the way.
    """
    points, colors = (torch.cat(columns) for columns in zip(*parts, strict=True))
    if len(points) == 0:
        return points, colors
    # In place: small results between large ones that come and go would tear holes into memory.
    distances, rows_at_once = points.new_empty(len(points)), max(1, _MOST_DISTANCES // len(centres))
    for part, nearest in zip(points.split(rows_at_once), distances.split(rows_at_once), strict=True):
        nearest.copy_(torch.cdist(part, centres).amin(dim=1))
    octave = (distances * initial.voxel_angle / initial.smallest_voxel).log2().round().clamp(0, 12)
    kept = []
    for level in octave.unique().tolist():
        rows = (octave == level).nonzero()[:, 0]
        kept.append(rows[thin_by_voxels(points[rows], initial.smallest_voxel * 2**level)])
    rows = torch.cat(kept).sort().values
    return points[rows], colors[rows]


def _camera_centres(split: Split) -> Float[Tensor, "F 3"]:
    return torch.stack([torch.from_numpy(frame.world_from_cam[:3, 3]) for frame in split.fitted]).float()


def _upper_color(views: Views) -> Float[Tensor, " 3"]:
    """A first guess of the sky: the mean of known sky pixels, else of the bright ones in the top rows."""
    colors = []
    for view in views.in_order(range(0, len(views), max(1, len(views) // 8))):
        pixels = view.image[: max(1, len(view.image) // 10)].reshape(-1, 3).float() / 255
        if view.sky is not None and bool(view.sky.any()):
            pixels = view.image[view.sky].float() / 255
        brightness = pixels.mean(dim=1)
        colors.append(pixels[brightness >= brightness.median()].mean(dim=0))
    return torch.stack(colors).mean(dim=0)
