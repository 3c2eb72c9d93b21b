"""Renders a drive again from any camera path and writes it as a labelled data set.

Boxes, masks, visibility and lanes are measured on the scene at the new poses. Ctrl-C, a crash or a kill lose
nothing: the same command goes on. `gsrecon verify FOLDER` reads the result back.

Examples:
  gsrecon export-dataset runs/toy --format coco
  gsrecon export-dataset runs/toy --format kitti --path shift --shift-left 1
  gsrecon export-dataset runs/toy --format nuscenes --path random --takes 4 --lateral-m 1.5 --workers 2
  gsrecon export-dataset runs/toy --format openlane --path file --path-file my_path.toml
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from gsrecon.cli.options import DeviceName, OptionalName, OptionalPath, RunFolder
from gsrecon.cli.usage import UsageError

if TYPE_CHECKING:
    from gsrecon.data.log import DrivingLog
    from gsrecon.datasets.labeled import LabelRules
    from gsrecon.labels.adaptor import Adaptor, AlignedPoses
    from gsrecon.labels.lidar import LidarSpec
    from gsrecon.labels.rig_paths import PlannedView, Rig, RigSampling
    from gsrecon.scene.camera_refinement import CameraRefinement
    from gsrecon.scene.recording import Recording


@dataclass(frozen=True)
class ExportDataset:
    """Options of `gsrecon export-dataset`."""

    run_folder: RunFolder
    """Folder that `gsrecon train` wrote."""
    format: Literal["nuscenes", "kitti", "coco", "yolo", "openlane"] = "nuscenes"
    """How to write it."""
    out: OptionalPath = None
    """Folder for the data set; exports/FORMAT-PATH inside the run's folder when left out."""
    path: Literal["recorded", "shift", "file", "random"] = "recorded"
    """Where the rig goes: as recorded, beside it, along a camera path file, or at random near by."""
    shift_left: float = 1.0
    """With --path shift: to the vehicle's left; negative is to the right [m]."""
    path_file: OptionalPath = None
    """With --path file: a camera path (TOML or JSON) of the first camera; the others ride along."""
    takes: int = 1
    """With --path random: passes over the drive."""
    lateral_m: float = 1.0
    """With --path random: to the left or right, at most [m]."""
    yaw_deg: float = 5.0
    """With --path random: turned, at most [deg]."""
    height_m: float = 0.2
    """With --path random: up or down, at most [m]."""
    at_recorded_times: bool = False
    """With --path random: only at times of recorded pictures, not between them."""
    seed: int = 0
    """With --path random: of everything drawn."""
    cameras: tuple[str, ...] = ()
    """Cameras to render; all when left out."""
    every: int = 1
    """Only every n-th moment."""
    workers: int = 1
    """Processes that render; the cores are shared among them."""
    no_lidar: bool = False
    """Do without lidar sweeps (nuscenes and kitti have them)."""
    lidar_beams: int = 32
    """Beams of the rendered lidar."""
    lidar_azimuths: int = 1080
    """Shots of each beam in one turn."""
    id_pictures: bool = False
    """Also write instance, semantic and depth pictures, into the data set's folder gsrecon/."""
    visible_px: int = 8
    """Objects with fewer visible pixels are left out."""
    visible_fraction: float = 0.05
    """Objects of which less is visible are left out (0 .. 1)."""
    object_trust: float = 0.0
    """Objects whose trust is lower are left out (0 .. 1)."""
    view_trust: float = 0.0
    """Pictures whose trust is lower are left out (0 .. 1)."""
    drive: Annotated[str | None, tyro.conf.arg(metavar="DRIVE")] = None
    """Where the recorded drive lies now, if it was moved; only its annotations are needed."""
    tolerance_m: float = 0.3
    """With --labels: frames whose poses disagree by more give no labels [m]."""
    tolerance_deg: float = 1.0
    """With --labels: the same for their orientation [deg]."""
    edits: OptionalPath = None
    """Edit list (TOML): what is done to the scene's objects first; labels follow. See `gsrecon edit`."""
    labels: Annotated[str | None, tyro.conf.arg(metavar="DRIVE")] = None
    """Annotated recording of the same drive, for a scene whose poses were found from pictures: its boxes and
    lanes are carried into the scene."""
    camera: OptionalName = None
    """With --path file: whose path it is; the first camera when left out."""
    device: DeviceName = "auto"
    """Where to render: cpu, cuda, cuda:1; auto is a GPU where there is one."""

    def run(self) -> int:
        """Exports and tells what was written."""
        self._check()
        rules, lidar, sampling = self._parts()
        from gsrecon.cli.adaptor_facts import recording_of
        from gsrecon.cli.console import counting
        from gsrecon.cli.runs import Run
        from gsrecon.datasets.export import Provenance, export_dataset
        from gsrecon.datasets.rendering import RenderJob
        from gsrecon.labels.edited_tracks import edited_tracks
        from gsrecon.labels.rig_paths import Rig
        from gsrecon.labels.subjects import subjects
        from gsrecon.scene.edited import edited_scene, objects_of
        from gsrecon.scene.edits import read_edits
        from gsrecon.scene.groups_scene import open_scene

        run = Run.at(self.run_folder)
        log, _ = run.drive(self.drive)
        scene = open_scene(run.scene_folder)
        recording = recording_of(scene)
        annotated, adaptor, told = self._annotated(log, recording, scene.camera_refinement)
        edits = () if self.edits is None else read_edits(self.edits)
        tracks = annotated.tracks
        if edits:  # a mistake in the list is told before anything is written
            lanes = [adaptor.points(lane.points_in_world) for lane in annotated.lanes]
            edited = edited_scene(run.scene_folder, edits, lanes=lanes)
            tracks = edited_tracks(tracks, edits, objects_of(edited))
        rig = Rig(recording, scene.camera_refinement, self.cameras or None)
        views = [view for view in self._views(rig, sampling) if view.moment % self.every == 0]
        wants_lidar = self.format in ("nuscenes", "kitti") and not self.no_lidar
        job = RenderJob(
            scene=run.scene_folder.resolve(),
            subjects=subjects(tracks, adaptor.scale),
            lanes=annotated.lanes,
            adaptor=adaptor,
            views=tuple(views),
            lidar=lidar if wants_lidar else None,
            id_pictures=self.id_pictures,
            edits=edits,
            device=self.device,
        )
        del scene
        folder = self.out or self.run_folder / "exports" / f"{self.format}-{self.path}"
        licence = "; ".join(dict.fromkeys(each for each in (log.licence, annotated.licence) if each))
        provenance = Provenance(annotated.name, annotated.source, licence, self._told_path(), told, edits)
        with counting("rendering", len(views)) as counter:

            def on_views(count: int) -> None:
                for _ in range(count):
                    counter.step()

            settings = (self.format, Path(folder), rules, self.workers)
            card = export_dataset(job, recording, provenance, *settings, on_views)
        _tell(folder, card)
        return 0

    def _annotated(
        self, log: "DrivingLog", recording: "Recording", refinement: "CameraRefinement | None"
    ) -> "tuple[DrivingLog, Adaptor, dict[str, Any]]":
        """The recording with the labels, how they are carried into the scene, and what to tell of that."""
        from gsrecon.cli.adaptor_facts import refined_facts
        from gsrecon.cli.console import console
        from gsrecon.data.spec import find_spec, open_drive
        from gsrecon.labels.adaptor import RefinedPoses

        if self.labels is None:
            annotated, adaptor = log, RefinedPoses(log, refinement)
            told = refined_facts(recording, refinement)
        else:
            annotated, _ = open_drive(find_spec(self.labels))
            adaptor, told = self._aligned(log, annotated, refinement)
        if not annotated.tracks:
            console().print(
                f"{annotated.name} has no annotated objects, so no picture will have a label of one "
                "(--labels names an annotated recording of the same drive)"
            )
        return annotated, adaptor, told

    def _aligned(
        self, log: "DrivingLog", annotated: "DrivingLog", refinement: "CameraRefinement | None"
    ) -> "tuple[AlignedPoses, dict[str, Any]]":
        from gsrecon.cli.adaptor_facts import aligned_facts
        from gsrecon.cli.console import console
        from gsrecon.labels.adaptor import AlignedPoses
        from gsrecon.labels.frame_pairs import align

        alignment, times, scene_poses = align(log, annotated, refinement)
        adaptor = AlignedPoses(alignment, times, self.tolerance_m, self.tolerance_deg)
        told = aligned_facts(alignment, scene_poses, self.tolerance_m, self.tolerance_deg)
        console().print(
            f"adaptor: {len(times)} frames of {annotated.name} laid onto {log.name}: median "
            f"{told['median residual [m]']:.3f} m, {told['median residual [deg]']:.3f} deg; "
            f"{told['frames beyond the tolerance']} frames beyond the tolerance give no labels",
            markup=False,
        )
        return adaptor, told

    def _check(self) -> None:
        if self.path == "file" and self.path_file is None:
            raise UsageError("--path file needs --path-file")
        if (self.path_file is not None or self.camera is not None) and self.path != "file":
            raise UsageError("--path-file and --camera need --path file")
        for name, least in (("every", 1), ("workers", 1), ("takes", 1)):
            if getattr(self, name) < least:
                raise UsageError(f"--{name}: expected at least {least}, got {getattr(self, name)}")

    def _parts(self) -> "tuple[LabelRules, LidarSpec, RigSampling]":
        """Settings of the library's own; what is out of range there is a mistake in the call."""
        from gsrecon.datasets.labeled import LabelRules
        from gsrecon.labels.lidar import LidarSpec
        from gsrecon.labels.rig_paths import RigSampling

        try:
            rules = LabelRules(
                visible_px=self.visible_px,
                visible_fraction=self.visible_fraction,
                object_trust=self.object_trust,
                view_trust=self.view_trust,
            )
            lidar = LidarSpec(self.lidar_beams, self.lidar_azimuths)
            between = not self.at_recorded_times
            sampling = RigSampling(
                self.takes, self.lateral_m, self.yaw_deg, self.height_m, between, self.seed
            )
        except ValueError as error:
            raise UsageError(str(error)) from error
        return rules, lidar, sampling

    def _views(self, rig: "Rig", sampling: "RigSampling") -> "list[PlannedView]":
        from gsrecon.evaluation.path_file import read_path_file

        if self.path == "file":
            assert self.path_file is not None
            return rig.along(read_path_file(self.path_file), self.camera)
        if self.path == "random":
            return rig.sampled(sampling)
        return rig.recorded(self.shift_left if self.path == "shift" else 0.0)

    def _told_path(self) -> dict[str, Any]:
        told: dict[str, Any] = {"kind": self.path, "every": self.every}
        if self.path == "shift":
            told["shift_left_m"] = self.shift_left
        if self.path == "file":
            told["file"] = Path(self.path_file or "").name
        if self.path == "random":
            told |= {
                "takes": self.takes,
                "lateral_m": self.lateral_m,
                "yaw_deg": self.yaw_deg,
                "height_m": self.height_m,
                "between_frames": not self.at_recorded_times,
                "seed": self.seed,
            }
        return told


def _tell(folder: Path, card: dict[str, Any]) -> None:
    """What was written, and how to check it."""
    from gsrecon.cli.console import console
    from gsrecon.datasets.export import DOUBTFUL

    left_out = ", ".join(f"{count} {reason}" for reason, count in card["left out"].items()) or "none"
    console().print(
        f"{folder}: {card['pictures']} pictures, {card['labels']} labels; left out: {left_out}\n"
        f"check it: gsrecon verify {folder}"
    )
    doubtful = card["pictures of little trust"]
    if doubtful:
        console().print(
            f"{doubtful} of {card['pictures']} pictures show much that was hardly recorded (trust below "
            f"{DOUBTFUL:g}); --view-trust {DOUBTFUL:g} leaves them out"
        )


COMMAND = ExportDataset
