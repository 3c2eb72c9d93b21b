"""Scores a run beside its recorded way and tells how quality and labels fall with the shift."""

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Column, Table

from gsrecon.cli.console import console, counting
from gsrecon.cli.runs import Run
from gsrecon.data.log import DrivingLog
from gsrecon.data.toy import ToyConfig, ToyDrive, make_toy
from gsrecon.datasets.labeled import LabelRules
from gsrecon.evaluation.shifts import ShiftScore, TrueObject, TrueView, Truth, score_shift
from gsrecon.labels.adaptor import RefinedPoses
from gsrecon.labels.recorded_sides import RecordedSides
from gsrecon.labels.subjects import subjects
from gsrecon.labels.trust import Trust
from gsrecon.labels.views import Labeler
from gsrecon.ops.device import pick_device
from gsrecon.scene.groups_scene import open_scene
from gsrecon.scene.recording import RecordedFrame, Recording


def shift_scores(
    run: Run, log: DrivingLog, shifts: Sequence[float], views: int, device: str = "auto"
) -> list[ShiftScore]:
    """Scores some views, evenly over the recording, at each shift; the recorded way comes first."""
    scene = open_scene(run.scene_folder, pick_device(device))
    recording = scene.recording
    assert recording is not None
    adaptor = RefinedPoses(log, scene.camera_refinement)
    things = subjects(log.tracks)
    sides = RecordedSides(recording, things, adaptor, scene.camera_refinement)
    labeler = Labeler(things, log.lanes, adaptor, sides)
    trust = Trust(scene, sides)
    rules = LabelRules()
    chosen = _evenly(recording, views)
    truth = _truth(run, log)
    found = []
    with counting("judging shifts", 1 + len(shifts)) as counter:
        for shift in (0.0, *shifts):
            found.append(
                score_shift(
                    scene,
                    labeler,
                    trust,
                    chosen,
                    shift,
                    truth,
                    lambda thing: rules.shows(thing.measured.visible_px, thing.measured.amodal_px),
                )
            )
            counter.step()
    return found


def _evenly(recording: Recording, views: int) -> list[RecordedFrame]:
    """Recorded frames evenly over the drive, the cameras taking turns."""
    by_camera = [[frame for frame in recording.frames if frame.camera == name] for name in recording.cameras]
    by_camera = [frames for frames in by_camera if frames]
    count = min(views, len(recording.frames))
    chosen: dict[tuple[str, int], RecordedFrame] = {}
    for k in range(count):
        of_camera = by_camera[k % len(by_camera)]
        frame = of_camera[int((k + 0.5) * len(of_camera) / count)]
        chosen[frame.camera, frame.index] = frame
    return list(chosen.values())


def _truth(run: Run, log: DrivingLog) -> Truth | None:
    """The toy drive is known from any pose."""
    if log.source != "toy":
        return None
    drive: ToyDrive = make_toy(ToyConfig(**run.spec().toy))

    def seen(camera, world_from_cam, timestamp_us) -> TrueView:
        true = drive.truth_at(camera, world_from_cam, timestamp_us)
        objects = drive.objects_at(camera, world_from_cam, timestamp_us, true)
        return TrueView(
            true.image,
            true.depth,
            tuple(TrueObject(thing.id, thing.alone, thing.visible) for thing in objects),
        )

    same = all(
        (camera.width, camera.height) == (drive.cameras[name].width, drive.cameras[name].height)
        for name, camera in log.cameras.items()
    )
    return seen if same else None


_COLUMNS = (
    "left",
    "trust",
    "unseen",
    "agree",
    "PSNR",
    "IoU",
    "frac",
    "level",
    "hidden",
    "depth",
    "lane",
)
_TOLD = (
    "left: shift in metres; trust: of the views; unseen: share of pixels that no fitted picture shows;\n"
    "agree: object pixels carried over from the recorded way"
)
_TOLD_TRUTH = (
    "against the truth: IoU of modal boxes (median), frac: error of visible fractions (mean),\n"
    "level: share right, hidden objects labelled visible, depth, lane points in pixels (medians)"
)


def tell_shifts(scores: Sequence[ShiftScore]) -> None:
    """A table of the scores; what nobody has is left out."""
    rows = [_cells(score) for score in scores]
    known = [k for k in range(len(_COLUMNS)) if any(row[k] != "-" for row in rows)]
    columns = [Column(_COLUMNS[k], justify="right", no_wrap=True) for k in known]
    table = Table(*columns, box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for row in rows:
        table.add_row(*(row[k] for k in known))
    out = console()
    out.print(table, soft_wrap=False)
    out.print(_TOLD)
    if any(score.psnr is not None for score in scores):
        out.print(_TOLD_TRUTH)


def _cells(score: ShiftScore) -> list[str]:
    def shown(value: float | None, digits: int) -> str:
        return "-" if value is None else f"{value:.{digits}f}"

    true = score.psnr is not None
    return [
        f"{score.shift_m:g}",
        shown(score.trust, 2),
        shown(score.unobserved, 3),
        shown(score.carried, 3),
        shown(score.psnr, 1),
        shown(score.box_iou, 3),
        shown(score.fraction_error, 3),
        shown(score.level_share, 3),
        f"{score.hidden_labelled}/{score.hidden}" if true else "-",
        "-" if score.depth_error is None else f"{100 * score.depth_error:.2f} %",
        shown(score.lane_error_px, 2),
    ]
