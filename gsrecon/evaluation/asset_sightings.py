"""How much of each object the recorded pictures show, from which sides, and how well it is drawn there."""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gsrecon.data.log import CameraFrame, DrivingLog
from gsrecon.ops.metrics import HIGHEST_PSNR
from gsrecon.scene.actors import RigidActors
from gsrecon.scene.assets import Quality, Seen
from gsrecon.scene.graph import SceneGraph
from gsrecon.scene.groups_scene import Scene, for_frame
from gsrecon.scene.recording import RecordedFrame, Recording
from gsrecon.scene.render import frame_cameras, render_frame
from gsrecon.scene.sides import SIDES, mean_azimuth, side_of
from gsrecon.scene.sight import may_be_seen


@dataclass(frozen=True)
class Sighting:
    """One object in one recorded picture."""

    pixels: int
    """On which it is in front of everything else."""
    side: str
    """From which it is seen."""
    time_s: float
    held_out: bool
    squared: float = 0.0
    """Sum over judged pixels and channels of the squared error, of pictures in [0, 1]."""
    judged: int = 0
    """Pixels that were compared with the recorded picture."""


@dataclass
class Sightings:
    """All there are of one object."""

    found: list[Sighting] = field(default_factory=list)

    def seen(self, picture_pixels: int) -> Seen:
        """Counts pictures, and sides, that show at least so many pixels of the object."""
        counted = [each for each in self.found if each.pixels >= picture_pixels]
        sides = {each.side for each in counted}
        return Seen(
            pictures=len(counted),
            pixels=sum(each.pixels for each in counted),
            largest=max((each.pixels for each in counted), default=0),
            sides=tuple(side for side in SIDES if side in sides),
        )

    def best_time_s(self) -> float:
        """When it is seen largest; 0 where it never is [s]."""
        return max(self.found, key=lambda each: each.pixels).time_s if self.found else 0.0

    def best_azimuth(self) -> float:
        """From about where most pixels are seen, counter-clockwise from the object's x axis [rad]."""
        pixels: Counter[str] = Counter()
        for each in self.found:
            pixels[each.side] += each.pixels
        return mean_azimuth(pixels)

    def quality(self, solid_share: float, picture_pixels: int, why_not: str) -> Quality:
        """PSNR on the object's own pixels: of held-out pictures where enough are, else of the fitted ones.

        Args:
            solid_share: Passed on.
            picture_pixels: Fewer judged pixels than this over all held-out pictures are not enough.
            why_not: Why nothing was judged, where that is so.
        """
        kinds = (("held-out", True), ("fitted", False))
        for kind, held_out in kinds:
            judged = [each for each in self.found if each.held_out == held_out and each.judged > 0]
            pixels = sum(each.judged for each in judged)
            if pixels >= picture_pixels or (not held_out and pixels > 0):
                mean = sum(each.squared for each in judged) / (3 * pixels)
                psnr = HIGHEST_PSNR if mean <= 0 else min(HIGHEST_PSNR, -10 * math.log10(mean))
                told = f"{pixels} pixels of {len(judged)} {kind} pictures"
                return Quality(round(psnr, 3), told, solid_share)
        return Quality(None, f"not judged: {why_not}", solid_share)


def sightings(
    scene: Scene,
    log: DrivingLog | None = None,
    done: Callable[[], None] = lambda: None,
) -> dict[str, Sightings]:
    """Draws every recorded picture and finds each object in it, by its id.

    Args:
        scene: A scene that remembers its recording, whole or in groups.
        log: The drive, to compare pictures with; None: nothing is compared.
        done: Called after each picture.

    Raises:
        ValueError: The scene remembers no recording.
        DatasetError: A picture of the drive is missing or damaged.
    """
    recording = scene.recording
    if recording is None:
        raise ValueError("scene: expected one that remembers its recording, got one without")
    frames = {} if log is None else {(frame.camera, frame.index): frame for frame in log.frames}
    found: dict[str, Sightings] = {}
    for recorded in recording.frames:
        graph = for_frame(scene, recorded)
        frame = frames.get((recorded.camera, recorded.index))
        for id, sighting in _in_picture(graph, recording, recorded, log, frame).items():
            found.setdefault(id, Sightings()).found.append(sighting)
        done()
    return found


def _in_picture(
    graph: SceneGraph,
    recording: Recording,
    recorded: RecordedFrame,
    log: DrivingLog | None,
    frame: CameraFrame | None,
) -> dict[str, Sighting]:
    time_s = recording.time_s(recorded.timestamp_us)
    directions = _directions(graph, recording, recorded, time_s)
    if not directions:
        return {}
    settings = replace(graph.settings, ids=True, depth=False)
    with torch.no_grad():
        drawn = render_frame(graph, recording, recorded, settings)
    assert drawn.ids is not None
    ids = drawn.ids[0].cpu().numpy()
    squared, valid = None, None
    if log is not None and frame is not None:
        truth = log.image(frame).astype(np.float32) / 255
        squared = ((drawn.image[0].clamp(0, 1).cpu().numpy() - truth) ** 2).sum(axis=-1)
        valid = log.valid(frame)
    found = {}
    for id, offset in directions.items():
        own = ids == graph.objects.number(id)
        pixels = int(own.sum())
        if pixels == 0:
            continue
        sighting = Sighting(pixels, side_of(offset), time_s, recorded.held_out)
        if squared is not None and valid is not None:
            judged = own & valid
            sighting = replace(
                sighting, squared=float(squared[judged].sum(dtype=np.float64)), judged=int(judged.sum())
            )
        found[id] = sighting
    return found


def _directions(
    graph: SceneGraph, recording: Recording, recorded: RecordedFrame, time_s: float
) -> dict[str, np.ndarray]:
    """Where the camera is in the frame of each object that is there at the time and may be in its picture."""
    found = {}
    with torch.no_grad():
        cameras = frame_cameras(graph, recording, recorded)
        viewmat = cameras.viewmats[0].double()
        centre: Float[Tensor, " 3"] = -viewmat[:3, :3].T @ viewmat[:3, 3]
        times = torch.tensor([time_s], dtype=torch.float64)
        for node in actors_of(graph):
            poses, there = node.trajectories.at(times)[0], node.trajectories.present(times)[0]
            # An object may deform out of its box, but not farther than the box is large.
            there = there & may_be_seen(poses[:, :3, 3].float(), 2 * node.sizes_lwh.norm(dim=1), cameras)
            for number, id in enumerate(node.object_ids):
                if bool(there[number]):
                    offset = poses[number, :3, :3].T @ (centre.to(poses) - poses[number, :3, 3])
                    found[id] = offset.cpu().numpy()
    return found


def actors_of(graph: SceneGraph) -> list[RigidActors]:
    """The nodes that hold objects."""
    return [node for node in graph.gaussian_nodes if isinstance(node, RigidActors)]
