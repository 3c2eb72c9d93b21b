"""One rendered picture with everything that is known to be in it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float32, Float64, Int32, UInt8

from gsrecon.data.log import Lane
from gsrecon.data.pictures import to_uint8
from gsrecon.data.projection import unproject
from gsrecon.labels.adaptor import Adaptor
from gsrecon.labels.lanes import LaneInView, lanes_in_view
from gsrecon.labels.project import ProjectedBox, box_outline, project_box
from gsrecon.labels.recorded_sides import RecordedSides
from gsrecon.labels.subjects import Placed, Subject, place, pose_at
from gsrecon.labels.visibility import Measured, Prior, measure
from gsrecon.ops.rasterize import Backend, rasterize
from gsrecon.scene.graph import SceneGraph
from gsrecon.scene.recording import RecordedCamera
from gsrecon.scene.render import camera_at

BACKGROUND, SKY = 0, 1
_UNSEEN_DEG = 40.0
"""A side is unseen where no recorded direction is nearer than this [deg]."""
FIRST_CLASS = 2
"""Numbers in semantic pictures: classes of objects count from here, in the order of their names."""


@dataclass(frozen=True)
class ObjectInView:
    """One object in one picture."""

    subject: Subject
    world_from_actor: Float64[np.ndarray, "4 4"]
    """Its box in the scene at the picture's time."""
    box: ProjectedBox
    """Its 3D box in the picture."""
    measured: Measured
    """What the scene shows of it."""


@dataclass(frozen=True)
class LabeledView:
    """A rendered picture and its labels."""

    camera: str
    timestamp_us: int
    world_from_cam: Float64[np.ndarray, "4 4"]
    """In the scene's frame."""
    image: UInt8[np.ndarray, "H W 3"]
    depth: Float32[np.ndarray, "H W"]
    """Median depth along z [m], 0 where there is none."""
    alpha: Float32[np.ndarray, "H W"]
    """Opacity."""
    instance: Int32[np.ndarray, "H W"]
    """Number of the object at each pixel, 0 for none."""
    semantic: UInt8[np.ndarray, "H W"]
    """0 background, 1 sky, classes of objects from 2."""
    objects: tuple[ObjectInView, ...]
    """Those whose box is in the picture and which are measured; hidden ones too."""
    unmeasured: tuple[str, ...]
    """Ids of objects whose box is in the picture but of which the scene has nothing to show there."""
    lanes: tuple[LaneInView, ...]


@dataclass(frozen=True)
class Labeler:
    """Draws views of a scene with their labels."""

    subjects: tuple[Subject, ...]
    lanes: Sequence[Lane]
    adaptor: Adaptor
    sides: RecordedSides | None = None
    """From where each object was recorded; None: from everywhere."""
    backend: Backend = "auto"

    @property
    def classes(self) -> tuple[str, ...]:
        """Categories of the objects in the order of their numbers in semantic pictures."""
        return tuple(sorted({subject.category for subject in self.subjects}))

    def view(
        self,
        graph: SceneGraph,
        lens: RecordedCamera,
        world_from_cam: Float64[np.ndarray, "4 4"],
        timestamp_us: int,
    ) -> LabeledView:
        """Draws one view.

        Args:
            graph: The scene, with its recording.
            lens: The camera.
            world_from_cam: Its pose in the scene.
            timestamp_us: Moment of the drive.

        Returns:
            The picture, of the camera's own exposure, and its labels.
        """
        assert graph.recording is not None
        time_s = torch.tensor([graph.recording.time_s(timestamp_us)])
        cameras = camera_at(lens, torch.from_numpy(world_from_cam)).to(graph.device)
        with torch.no_grad():
            splats = graph.splats_at(time_s, graph.settings.sh_degree, cameras)
            placement = place(graph, self.subjects, self.adaptor, timestamp_us, splats)
            placed = [thing for thing in placement.placed if _in_picture(lens, world_from_cam, thing)]
            settings = replace(graph.settings, ids=True, median_depth=True)
            drawn = rasterize(placement.splats, cameras, settings, backend=self.backend)
            image = drawn.image
            if graph.sky is not None:
                image = graph.sky.composite(image, drawn.alpha, cameras)
            if graph.appearance is not None:
                image = graph.appearance.apply(image, lens.name, None)
            assert drawn.ids is not None
            assert drawn.median_depth is not None
            ids, depth = drawn.ids[0].cpu().numpy(), drawn.median_depth[0].cpu().numpy()
            priors = self._priors(lens, world_from_cam, placed)
            found = measure(placement, cameras, graph.settings, ids, placed, priors, self.backend)
        objects, unmeasured = [], []
        for thing in placed:
            box = project_box(lens, world_from_cam, thing.subject.size_lwh, thing.world_from_actor)
            assert box is not None
            if thing.row in found:
                objects.append(ObjectInView(thing.subject, thing.world_from_actor, box, found[thing.row]))
            else:
                unmeasured.append(thing.subject.id)
        sky = _sky(lens, world_from_cam, ids) if graph.sky is not None else np.zeros(ids.shape, dtype=bool)
        instance, semantic = self._pictures(sky, objects)
        return LabeledView(
            camera=lens.name,
            timestamp_us=timestamp_us,
            world_from_cam=world_from_cam,
            image=to_uint8(image[0].cpu().numpy()),
            depth=depth,
            alpha=drawn.alpha[0].cpu().numpy(),
            instance=instance,
            semantic=semantic,
            objects=tuple(objects),
            unmeasured=tuple(unmeasured),
            lanes=tuple(lanes_in_view(self.lanes, self.adaptor, lens, world_from_cam, depth)),
        )

    def pose(
        self, graph: SceneGraph, subject: Subject, timestamp_us: int
    ) -> Float64[np.ndarray, "4 4"] | None:
        """Where an object is in the scene at a time; None where it is not there."""
        return pose_at(graph, subject, self.adaptor, timestamp_us)

    def _priors(
        self, lens: RecordedCamera, world_from_cam: Float64[np.ndarray, "4 4"], placed: Sequence[Placed]
    ) -> dict[int, Prior]:
        """What stands in for sides that no camera saw, by the object's row."""
        priors: dict[int, Prior] = {}
        if self.sides is None:
            return priors
        for thing in placed:
            angle, _ = self.sides.nearest(thing.subject.id, thing.world_from_actor, world_from_cam)
            if angle > _UNSEEN_DEG:
                size = thing.subject.size_lwh
                hull = box_outline(lens, world_from_cam, size, thing.world_from_actor)
                priors[thing.row] = "mirror" if thing.rigid and angle < 180 else hull
        return priors

    def _pictures(
        self, sky: Bool[np.ndarray, "H W"], objects: Sequence[ObjectInView]
    ) -> tuple[Int32[np.ndarray, "H W"], UInt8[np.ndarray, "H W"]]:
        instance = np.zeros(sky.shape, dtype=np.int32)
        semantic = np.where(sky, np.uint8(SKY), np.uint8(BACKGROUND))
        for thing in objects:
            left, top, right, bottom = thing.measured.window
            mask = thing.measured.visible
            instance[top:bottom, left:right][mask] = thing.subject.number
            semantic[top:bottom, left:right][mask] = FIRST_CLASS + self.classes.index(thing.subject.category)
        return instance, semantic


def _sky(
    lens: RecordedCamera, world_from_cam: Float64[np.ndarray, "4 4"], ids: Int32[np.ndarray, "H W"]
) -> Bool[np.ndarray, "H W"]:
    """Pixels that show no Gaussian and look up; those that look down are holes."""
    sky = ids < 0
    y, x = np.nonzero(sky)
    if len(y):
        rays = unproject(np.stack([x + 0.5, y + 0.5], axis=1), lens.K, lens.model, lens.distortion)
        sky[y, x] = rays @ world_from_cam[2, :3] > 0
    return sky


def _in_picture(lens: RecordedCamera, world_from_cam: Float64[np.ndarray, "4 4"], thing: Placed) -> bool:
    """Whether any of a box lies in the picture."""
    pose, size = thing.world_from_actor, thing.subject.size_lwh
    forward = float((pose[:3, 3] - world_from_cam[:3, 3]) @ world_from_cam[:3, 2])
    if forward < -0.5 * float(np.linalg.norm(size)):
        return False
    box = project_box(lens, world_from_cam, size, pose)
    return box is not None and bool((box.inside[2:] > box.inside[:2]).all())
