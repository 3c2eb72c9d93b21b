"""Measures edits of a toy run against the truth: what fills a removed object, how labels of a moved one lie.

    python scripts/measure_edits.py runs/toy

The run needs objects: gsrecon train toy dynamics:actor-dynamics.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from gsrecon.cli.runs import Run
from gsrecon.data.log import CameraFrame, DrivingLog
from gsrecon.data.toy import ToyConfig, ToyDrive, make_toy
from gsrecon.data.toy.actors import Actor
from gsrecon.data.toy.mesh import Mesh
from gsrecon.labels.adaptor import RefinedPoses
from gsrecon.labels.edited_tracks import edited_tracks
from gsrecon.labels.subjects import subjects
from gsrecon.labels.views import LabeledView, Labeler
from gsrecon.scene.bundle import load_scene
from gsrecon.scene.edits import Edit, Move, Remove, Surroundings, apply_edits, fresh_copy
from gsrecon.scene.graph import SceneGraph

LEAST_PX = 300
"""Objects with fewer pixels in a picture are left out of it."""
BY = (1.0, 0.3, 0.0)
PARKED = 4


@dataclass
class Bench:
    """A toy run and the street it was made of."""

    run: Run

    @cached_property
    def log(self) -> DrivingLog:
        """The recording."""
        return self.run.drive()[0]

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
            pose = torch.from_numpy(frame.world_from_cam)
            if graph.camera_refinement is not None:
                time_s = graph.recording.time_s(frame.timestamp_us)
                pose = graph.camera_refinement.refine(pose, frame.camera, time_s).detach().cpu()
            lens = graph.recording.cameras[frame.camera]
            yield frame, labeler.view(graph, lens, pose.double().numpy(), frame.timestamp_us)

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

    def filled(self, id: str) -> str:
        """PSNR where an object was removed, and of the object itself before it was."""
        without, number = self.changed(id, None), self.plain.instance_ids[id]
        there = [f for f in self.log.frames if (self.log.ids(f, "instance") == number).sum() > LEAST_PX]
        errors: list[list[np.ndarray]] = [[], []]
        for frame, view in self.views((Remove(id),), there):
            behind = self.log.ids(frame, "instance") == number
            errors[0].append(view.image[behind] - without.truth(frame).image[behind].astype(np.float64))
        for frame, view in self.views((), there):
            own = self.log.ids(frame, "instance") == number
            errors[1].append(view.image[own] - self.log.image(frame)[own].astype(np.float64))
        if not there:
            return "too small"
        told = [f"{-10 * np.log10(((np.concatenate(each) / 255) ** 2).mean()):.1f} dB" for each in errors]
        return f"{len(there)} pictures: behind it {told[0]}, itself before {told[1]}"

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
            told.append(
                f"{len(shown)} pictures, boxes {np.median(boxes):.3f}, masks {np.median(masks):.3f}"
                if shown
                else "too small"
            )
        return f"moved {told[0]}; as recorded {told[1]}"


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
    for id in [*moving, *parked]:
        print(f"{id} removed: {bench.filled(id)}", flush=True)
    for id in [*moving, *parked]:
        print(f"{id} IoU, medians: {bench.landed(id)}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
