"""How pictures and labels change as the rig leaves the recorded way.

Where the truth is known from any pose (the toy drive), labels are compared with it. Everywhere, they are
compared with themselves: what an object shows from the recorded way, carried by depth into the shifted view,
must lie on that object's mask there.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Float64, UInt8

from gsrecon.data.projection import project, unproject
from gsrecon.labels.project import in_cam
from gsrecon.labels.trust import Trust
from gsrecon.labels.views import SKY, LabeledView, Labeler, ObjectInView
from gsrecon.labels.visibility import box_around, visibility_level
from gsrecon.ops.metrics import psnr
from gsrecon.scene.camera_refinement import refined_pose
from gsrecon.scene.groups_scene import Scene, for_pose
from gsrecon.scene.recording import RecordedCamera, RecordedFrame

LARGE_PX = 12
"""Objects whose box has no edge longer than this are left out of the comparison with the truth [px]."""
_FARTHEST_M = 80.0
_DEEPER, _DEEPER_M = 1.05, 0.3


@dataclass(frozen=True)
class TrueObject:
    """How a camera truly sees an object."""

    id: str
    alone: Bool[np.ndarray, "H W"]
    """Pixels that would show it with nothing else there."""
    visible: Bool[np.ndarray, "H W"]


@dataclass(frozen=True)
class TrueView:
    """What a camera truly sees."""

    image: UInt8[np.ndarray, "H W 3"]
    depth: Float32[np.ndarray, "H W"]
    """Along z [m]; inf where the sky is."""
    objects: tuple[TrueObject, ...]


Truth = Callable[[str, Float64[np.ndarray, "4 4"], int], TrueView]
"""What a camera (by name) sees from a pose at a time [us]."""


@dataclass(frozen=True)
class ShiftScore:
    """Quality of all views at one shift; None where it was not or could not be measured."""

    shift_m: float
    """To the vehicle's left [m]."""
    views: int
    trust: float
    """Mean score of the views (0 .. 1)."""
    unobserved: float
    """Mean share of pixels whose place no neighbouring fitted picture shows."""
    carried: float | None
    """Share of object pixels of the recorded way that fall on the same object here."""
    psnr: float | None = None
    """Mean [dB]."""
    box_iou: float | None = None
    """Median intersection over union of modal boxes."""
    fraction_error: float | None = None
    """Mean absolute error of visible fractions."""
    level_share: float | None = None
    """Share of objects with the true visibility level."""
    hidden: int = 0
    """Objects that are truly hidden."""
    hidden_labelled: int = 0
    """Of these, how many were labelled visible."""
    depth_error: float | None = None
    """Median over views of the median relative error of depth."""
    lane_error_px: float | None = None
    """Median distance of lane points from where the true camera sees them [px]."""


def score_shift(
    scene: Scene,
    labeler: Labeler,
    trust: Trust,
    frames: Sequence[RecordedFrame],
    shift_m: float,
    truth: Truth | None = None,
    kept: Callable[[ObjectInView], bool] | None = None,
) -> ShiftScore:
    """Draws some recorded frames from beside their way and judges pictures and labels.

    Args:
        scene: The scene.
        labeler: Draws views of it.
        trust: Judges them.
        frames: Which frames.
        shift_m: To the vehicle's left [m].
        truth: What is truly seen; None: not known.
        kept: Which objects are labelled; None: those with a visible pixel.
    """
    recording = scene.recording
    assert recording is not None
    kept = kept or (lambda thing: thing.measured.visible_px > 0)
    tally = _Tally()
    for frame in frames:
        lens = recording.cameras[frame.camera]
        time_s = recording.time_s(frame.timestamp_us)
        refined = refined_pose(scene.camera_refinement, frame.world_from_cam, frame.camera, time_s)
        pose = _shifted(refined, lens, shift_m)
        view = _drawn(scene, labeler, lens, pose, frame.timestamp_us)
        judged = trust.view(lens, pose, view.depth, view.alpha, view.semantic == SKY)
        tally.trust.append(judged.score)
        tally.unobserved.append(judged.unobserved)
        before = _drawn(scene, labeler, lens, refined, frame.timestamp_us) if shift_m else view
        tally.carried += _carried(lens, before, view)
        if truth is not None:
            true_pose = _shifted(frame.world_from_cam, lens, shift_m)
            _compare(tally, view, truth(frame.camera, true_pose, frame.timestamp_us), kept)
            for lane in view.lanes:
                points = lane.points_in_cam @ pose[:3, :3].T + pose[:3, 3]
                seen = in_cam(true_pose, points)
                pixels = project(seen, lens.K, lens.model, lens.distortion)
                tally.lanes += np.linalg.norm(pixels - lane.pixels, axis=1)[lane.visible].tolist()
    return tally.score(shift_m)


class _Tally:
    """Sums over views."""

    def __init__(self) -> None:
        self.trust: list[float] = []
        self.unobserved: list[float] = []
        self.carried: list[bool] = []
        self.psnr: list[float] = []
        self.ious: list[float] = []
        self.fractions: list[float] = []
        self.levels: list[bool] = []
        self.depths: list[float] = []
        self.lanes: list[float] = []
        self.hidden = self.hidden_labelled = 0

    def score(self, shift_m: float) -> ShiftScore:
        return ShiftScore(
            shift_m=shift_m,
            views=len(self.trust),
            trust=float(np.mean(self.trust)),
            unobserved=float(np.mean(self.unobserved)),
            carried=_or_none(np.mean, self.carried),
            psnr=_or_none(np.mean, self.psnr),
            box_iou=_or_none(np.median, self.ious),
            fraction_error=_or_none(np.mean, self.fractions),
            level_share=_or_none(np.mean, self.levels),
            hidden=self.hidden,
            hidden_labelled=self.hidden_labelled,
            depth_error=_or_none(np.median, self.depths),
            lane_error_px=_or_none(np.median, self.lanes),
        )


def _or_none(average: Callable, values: Sequence[float] | Sequence[bool]) -> float | None:
    return float(average(values)) if values else None


def _shifted(
    world_from_cam: Float64[np.ndarray, "4 4"], lens: RecordedCamera, left_m: float
) -> Float64[np.ndarray, "4 4"]:
    left_in_cam = lens.ego_from_cam[1, :3]  # row y of ego_from_cam: ego's y in the camera
    moved = world_from_cam.copy()
    moved[:3, 3] += left_m * (world_from_cam[:3, :3] @ left_in_cam)
    return moved


def _drawn(
    scene: Scene,
    labeler: Labeler,
    lens: RecordedCamera,
    pose: Float64[np.ndarray, "4 4"],
    timestamp_us: int,
) -> LabeledView:
    return labeler.view(for_pose(scene, torch.from_numpy(pose)), lens, pose, timestamp_us)


def _carried(lens: RecordedCamera, before: LabeledView, view: LabeledView) -> list[bool]:
    """Of each object pixel of one view that the other can see: whether it shows the same object there."""
    y, x = np.nonzero((before.instance > 0) & (before.depth > 0))
    if len(y) == 0:
        return []
    rays = unproject(np.stack([x + 0.5, y + 0.5], axis=1), lens.K, lens.model, lens.distortion)
    points = rays / rays[:, 2:] * before.depth[y, x][:, None]
    world = points @ before.world_from_cam[:3, :3].T + before.world_from_cam[:3, 3]
    seen = in_cam(view.world_from_cam, world)
    front = seen[:, 2] > 0.1
    pixels = np.full((len(seen), 2), -1.0)
    pixels[front] = project(seen[front], lens.K, lens.model, lens.distortion)
    inside = ((pixels >= 0) & (pixels < [lens.width, lens.height])).all(axis=1)
    column, row = pixels[inside].astype(int).T
    unhidden = seen[inside, 2] <= view.depth[row, column] * _DEEPER + _DEEPER_M
    same = view.instance[row, column] == before.instance[y[inside], x[inside]]
    return same[unhidden].tolist()


def _compare(tally: _Tally, view: LabeledView, true: TrueView, kept: Callable[[ObjectInView], bool]) -> None:
    image = torch.from_numpy(view.image).float() / 255
    tally.psnr.append(float(psnr(image, torch.from_numpy(true.image).float() / 255)))
    known = (true.depth < _FARTHEST_M) & (view.depth > 0)
    if known.any():
        error = np.abs(view.depth[known] - true.depth[known]) / true.depth[known]
        tally.depths.append(float(np.median(error)))
    found = {thing.subject.id: thing for thing in view.objects}
    window = (0, 0, view.image.shape[1], view.image.shape[0])
    for thing in true.objects:
        label = found.get(thing.id)
        modal, amodal = box_around(thing.visible, window), box_around(thing.alone, window)
        if modal is None:
            tally.hidden += 1
            tally.hidden_labelled += label is not None and kept(label)
        elif _large(modal):
            labelled = None if label is None else label.measured.modal_box
            tally.ious.append(0.0 if labelled is None else _iou(modal, labelled))
        if amodal is not None and _large(amodal):
            fraction = float(thing.visible.sum() / thing.alone.sum())
            # What the scene shows nothing of counts as hidden.
            measured = 0.0 if label is None else label.measured.visible_fraction
            tally.fractions.append(abs(measured - fraction))
            tally.levels.append(visibility_level(measured) == visibility_level(fraction))
    absent = [label for id, label in found.items() if id not in {thing.id for thing in true.objects}]
    tally.hidden += len(absent)
    tally.hidden_labelled += sum(map(kept, absent))


def _large(box: Float[np.ndarray, " 4"]) -> bool:
    return max(box[2] - box[0], box[3] - box[1]) > LARGE_PX


def _iou(a: Float[np.ndarray, " 4"], b: Float[np.ndarray, " 4"]) -> float:
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    both = float(np.prod(sides.clip(0)))
    either = float(np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2])) - both
    return both / either
