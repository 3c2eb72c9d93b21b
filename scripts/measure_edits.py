"""Measures edits of a toy run against the truth: what fills a removed object, how labels of a moved one lie.

    python scripts/measure_edits.py runs/toy

The run needs objects: gsrecon train toy dynamics:actor-dynamics. Prints the two tables of docs/edits.md.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from gsrecon.cli.runs import Run
from gsrecon.data.log import CameraFrame, DrivingLog
from gsrecon.data.projection import project, unproject
from gsrecon.data.toy import ToyConfig, ToyDrive, make_toy
from gsrecon.data.toy.actors import Actor
from gsrecon.data.toy.mesh import Mesh
from gsrecon.data.toy.world import Moment
from gsrecon.labels.adaptor import RefinedPoses
from gsrecon.labels.edited_tracks import edited_tracks
from gsrecon.labels.subjects import subjects
from gsrecon.labels.views import LabeledView, Labeler
from gsrecon.scene.bundle import load_scene
from gsrecon.scene.camera_refinement import refined_pose
from gsrecon.scene.edits import Edit, Move, Remove, Surroundings, apply_edits, fresh_copy
from gsrecon.scene.graph import SceneGraph
from gsrecon.train.split import Split

LEAST_PX = 300
"""Objects with fewer pixels in a picture are left out of it."""
BY = (1.0, 0.3, 0.0)
PARKED = 4
FAR_M = 1e4
"""The sky, for rays."""
REACHED = 0.998
"""A ray that meets nothing for this share of the way to a point sees it,"""
GRAZING = float(np.sin(np.radians(10)))
"""unless it meets the surface at less than 10 degrees: that flat, a camera far away looks below a car."""


@dataclass
class Bench:
    """A toy run and the street it was made of."""

    run: Run

    @cached_property
    def log(self) -> DrivingLog:
        """The recording."""
        return self.run.drive()[0]

    @cached_property
    def fitted(self) -> tuple[CameraFrame, ...]:
        """Pictures that it was fitted to."""
        return tuple(Split.of(self.log, self.run.spec()).fitted)

    @cached_property
    def scene(self) -> SceneGraph:
        """What was fitted to it."""
        return load_scene(self.run.scene_folder)

    @cached_property
    def config(self) -> ToyConfig:
        """What the street is made of."""
        return ToyConfig(**self.run.drive()[1].toy)

    @cached_property
    def plain(self) -> ToyDrive:
        """The street as it was recorded."""
        return make_toy(self.config)

    def views(
        self, edits: tuple[Edit, ...], frames: list[CameraFrame]
    ) -> Iterator[tuple[CameraFrame, LabeledView]]:
        """Rendered pictures of frames after some edits, at their refined poses."""
        graph = fresh_copy(self.scene)
        assert graph.recording is not None
        apply_edits(graph, edits, Surroundings(graph, [lane.points_in_world for lane in self.log.lanes]))
        things = subjects(edited_tracks(self.log.tracks, edits, graph))
        labeler = Labeler(things, self.log.lanes, RefinedPoses(self.log, graph.camera_refinement))
        for frame in frames:
            time_s = graph.recording.time_s(frame.timestamp_us)
            pose = refined_pose(graph.camera_refinement, frame.world_from_cam, frame.camera, time_s)
            lens = graph.recording.cameras[frame.camera]
            yield frame, labeler.view(graph, lens, pose, frame.timestamp_us)

    def changed(self, id: str, by: tuple[float, float, float] | None) -> ToyDrive:
        """The same street with one object moved along its own axes, or without it."""
        drive, number = make_toy(self.config), self.plain.instance_ids[id]
        scenery = drive.scenery
        motion = np.eye(4)
        motion[:3, 3] = by or (0.0, 0.0, 0.0)

        def change(actor: Actor) -> Actor:
            if actor.id != id:
                return actor
            if by is None:
                return replace(actor, present_s=(np.inf, -np.inf))
            return replace(actor, world_from_actor=lambda time_s: actor.world_from_actor(time_s) @ motion)

        static, own = scenery.static, scenery.static.instance == number
        if by is None:
            static = Mesh(**{field.name: getattr(static, field.name)[~own] for field in fields(static)})
        elif own.any():
            pose = next(actor for actor in scenery.actors if actor.id == id).world_from_actor(0.0)
            moves = pose @ motion @ np.linalg.inv(pose)
            corners = static.triangles.copy()
            corners[own] = corners[own] @ moves[:3, :3].T.astype(np.float32) + moves[:3, 3].astype(np.float32)
            static = replace(static, triangles=corners)
        actors = tuple(change(actor) for actor in scenery.actors)
        drive.__dict__["scenery"] = replace(scenery, static=static, actors=actors)
        return drive

    def recorded(self, id: str) -> list[CameraFrame]:
        """The pictures in which an object is large enough."""
        number = self.plain.instance_ids[id]
        return [f for f in self.log.frames if (self.log.ids(f, "instance") == number).sum() > LEAST_PX]

    def behind(self, id: str) -> str:
        """PSNR where an object was removed: all of it, what a fitted picture saw at another time, the rest.

        A parked object's shadow stays where it was recorded. What was seen is compared with a truth that has
        this shadow too, all of it and the rest with one that has not.
        """
        without, shaded = self.changed(id, None), self.changed(id, None)
        vars(shaded.world)["_sun_grid"] = vars(self.plain.world)["_sun_grid"]
        number, there = self.plain.instance_ids[id], self.recorded(id)
        errors: dict[str, list[np.ndarray]] = {name: [] for name in ("all", "seen", "never", "before")}
        for frame, view in self.views((Remove(id),), there):
            hidden, truth = self.log.ids(frame, "instance") == number, without.truth(frame)
            seen = self.seen_elsewhere(frame, hidden, truth.depth)
            error = view.image[hidden] - truth.image[hidden].astype(np.float64)
            errors["all"].append(error)
            errors["never"].append(error[~seen])
            errors["seen"].append(
                (view.image[hidden] - shaded.truth(frame).image[hidden].astype(float))[seen]
            )
        for frame, view in self.views((), there):
            own = self.log.ids(frame, "instance") == number
            errors["before"].append(view.image[own] - self.log.image(frame)[own].astype(np.float64))
        pixels = {name: sum(map(len, parts)) for name, parts in errors.items()}
        told = [psnr(errors[name]) for name in ("all", "seen", "never", "before")]
        share = pixels["seen"] / pixels["all"]
        return f"| {id} | {len(there)} | {told[0]} | {100 * share:.0f} % | {' | '.join(told[1:])} |"

    def seen_elsewhere(self, frame: CameraFrame, hidden: np.ndarray, depth: np.ndarray) -> np.ndarray:
        """Which of a picture's hidden pixels have a surface behind them that some fitted picture shows.

        Args:
            frame: The picture.
            hidden: Its pixels in question [H, W].
            depth: Of the surfaces behind, along the camera's z [m]; inf for the sky.
        """
        y, x = hidden.nonzero()
        along = np.where(np.isinf(depth[hidden]), FAR_M, depth[hidden]).astype(np.float64)
        camera = self.log.cameras[frame.camera]
        rays = unproject(np.stack([x + 0.5, y + 0.5], axis=1), camera.K, camera.model, camera.distortion)
        in_world = rays / rays[:, 2:] * along[:, None] @ frame.world_from_cam[:3, :3].T
        in_world += frame.world_from_cam[:3, 3]
        seen = np.zeros(len(in_world), dtype=bool)
        for other in self.fitted:
            lens, centre = self.log.cameras[other.camera], other.world_from_cam[:3, 3]
            in_cam = (in_world - centre) @ other.world_from_cam[:3, :3]
            rows = (~seen & (in_cam[:, 2] > 0)).nonzero()[0]
            pixels = project(in_cam[rows], lens.K, lens.model, lens.distortion)
            rows = rows[((pixels > 0) & (pixels < [lens.width, lens.height])).all(axis=1)]
            moment = Moment(self.plain.world, (other.timestamp_us - self.log.start_us) * 1e-6)
            towards = (in_world[rows] - centre).astype(np.float32)
            hits = self.plain.world.trace(centre, towards, moment)
            normals, _ = self.plain.world.planes(hits.triangle, centre, moment)
            steep = np.abs(np.einsum("ij,ij->i", normals, towards)) > GRAZING * np.linalg.norm(
                towards, axis=1
            )
            seen[rows] = (hits.distance > REACHED) & (steep | (hits.triangle < 0))
        return seen

    def landed(self, id: str) -> str:
        """Overlap of an object's modal boxes and masks with its true pixels, moved and as recorded."""
        told, number = [], self.plain.instance_ids[id]
        for by in (BY, (0.0, 0.0, 0.0)):
            there = self.changed(id, by)
            truths = {(f.camera, f.index): there.truth(f).instance == number for f in self.log.frames}
            shown = [f for f in self.log.frames if truths[f.camera, f.index].sum() > LEAST_PX]
            boxes, masks = [], []
            for frame, view in self.views((Move(id, by, allow_collisions=True),), shown):
                expected = truths[frame.camera, frame.index]
                own = [thing.subject.number for thing in view.objects if thing.subject.id == id]
                mask = view.instance == (own[0] if own else -1)
                masks.append((expected & mask).sum() / (expected | mask).sum())
                boxes.append(overlap(rectangle(expected), rectangle(mask)))
            told.append(f"{np.median(boxes):.3f}, {np.median(masks):.3f}" if shown else "too small")
        return f"| {id} | {len(shown)} | {told[0]} | {told[1]} |"


def psnr(errors: list[np.ndarray]) -> str:
    """Of errors in 8-bit steps."""
    together = np.concatenate(errors)
    return f"{-10 * np.log10(((together / 255) ** 2).mean()):.1f} dB" if len(together) else ""


def rectangle(mask: np.ndarray) -> np.ndarray:
    """Pixel edges around a mask."""
    (rows,), (columns,) = mask.any(axis=1).nonzero(), mask.any(axis=0).nonzero()
    if len(rows) == 0:
        return np.zeros(4)
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], dtype=np.float64)


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two rectangles."""
    common = np.prod(np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None))
    return float(common / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - common))


def main(folder: Path) -> None:
    """Prints both for the moving cars and some that are parked."""
    bench = Bench(Run.at(folder))
    cars = [actor for actor in bench.plain.scenery.actors if actor.id in bench.scene.objects.ids]
    moving = [actor.id for actor in cars if actor.moving and actor.category == "car"]
    parked = [actor.id for actor in cars if not actor.moving][3 : 3 + PARKED]
    chosen = [id for id in (*moving, *parked) if bench.recorded(id)]
    print("| removed | pictures | PSNR behind it | seen at other times | PSNR there | of the rest | before |")
    print("|---|---|---|---|---|---|---|")
    for id in chosen:
        print(bench.behind(id), flush=True)
    print("\n| car | pictures | IoU of modal boxes, masks: moved | as recorded |\n|---|---|---|---|")
    for id in chosen:
        print(bench.landed(id), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
