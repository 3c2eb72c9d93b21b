"""Training by groups: what is shared first, then group after group, each beside its neighbours as they are.

A round visits every group once. In a visit the group's own Gaussians and the corrections of its own pictures
are fitted; its halo is what the neighbours have on disk by then. One group is the plain scene and the plain
run.
"""

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from gsrecon.data.log import DrivingLog
from gsrecon.data.spec import SceneSpec
from gsrecon.errors import CheckpointError, SpecError
from gsrecon.gaussians.schedule import Rounds
from gsrecon.memory import give_back_memory
from gsrecon.ops.device import pick_device
from gsrecon.scene.groups import GroupPlan
from gsrecon.scene.groups_scene import GroupedScene
from gsrecon.scene.groups_store import GroupStore, only_own_pictures
from gsrecon.scene.sealed import read_sealed
from gsrecon.train.checkpoint import (
    LATEST,
    has_checkpoint,
    load_checkpoint,
    remove_leftovers,
    save_checkpoint,
)
from gsrecon.train.config import TrainConfig
from gsrecon.train.corrections import first_corrections
from gsrecon.train.dynamics import NoDynamics
from gsrecon.train.groups_start import (
    Objects,
    group_part,
    group_start,
    sampled_part,
    shared_start,
)
from gsrecon.train.held_out import HeldOutScores
from gsrecon.train.loop import fit_step, show_scene, train
from gsrecon.train.metrics_file import MetricsFile, peak_memory_bytes
from gsrecon.train.progress import Observer, Progress, TrainResult
from gsrecon.train.run_folder import RunFolder
from gsrecon.train.split import Split
from gsrecon.train.state import TrainState
from gsrecon.train.stopping import StopFlag, stop_on_signals
from gsrecon.train.stopwatch import Stopwatch
from gsrecon.train.views import Views

_log = logging.getLogger(__name__)


@dataclass
class Share:
    """A part of the run: the shared pass or one group."""

    told: str
    """What it is called where progress is shown."""
    folder: Path
    """Its checkpoints."""
    config: TrainConfig
    """The settings of its own run."""
    weight: float
    """Its part of the whole run."""
    step: int = 0
    progress: float = 0.0
    seconds: float = 0.0

    def read(self) -> None:
        """Takes up where the newest checkpoint is; a folder without one is at its start."""
        try:
            files = read_sealed(self.folder / LATEST, lambda name: name == "training/counters.json")
            counters = json.loads(files["training/counters.json"])
        except (CheckpointError, KeyError, ValueError):
            return
        self.step, self.progress, self.seconds = (counters[name] for name in ("step", "progress", "seconds"))

    def note(self, state: TrainState) -> None:
        """Takes up where a state is."""
        self.step, self.progress, self.seconds = state.step, state.progress, state.seconds


def train_groups(
    log: DrivingLog,
    spec: SceneSpec,
    config: TrainConfig,
    run_dir: Path,
    observers: Sequence[Observer] = (),
    resume: bool = False,
    only: int | None = None,
) -> TrainResult:
    """Fits a scene to a drive, cut into groups as the settings say, and leaves it in the run's folder.

    Args:
        log: The drive.
        spec: Names the held-out frames and whether moving objects are masked.
        config: All settings; numbers of points and of Gaussians are those of one group.
        run_dir: Folder of the run.
        observers: Told about every step.
        resume: Continue the run in the folder.
        only: Train this group alone, to its end, beside the halo that is on disk; the run is begun where
            there is none, and continued where there is one.

    Raises:
        SpecError: There is no group of that number.
        BackendUnavailableError, TrainingError, CheckpointError, DatasetError: See `gsrecon.train.loop.train`.
    """
    pick_device(config.device, config.backend)  # a wrong one is told before anything is written
    split = Split.of(log, spec)
    plan = GroupPlan.cut(split.recording(), config.groups)
    if only is not None and not 0 <= only < len(plan):
        raise SpecError(f"group {only}: the drive is cut into {len(plan)} groups, 0 to {len(plan) - 1}")
    if (config.groups.count or 0) > len(plan):
        _log.warning(
            "%s: cut into %d groups instead of %d, because each needs a picture to learn from",
            log.name,
            len(plan),
            config.groups.count,
        )
    if len(plan) == 1:
        return train(log, spec, config, run_dir, observers, resume)
    run = RunFolder(run_dir)
    begun = resume or (only is not None and run.begun)
    if not begun:
        run.begin(config, spec)
    # Groups that are trained alone may be so in one folder at a time.
    with run.held() if only is None else nullcontext():
        if begun:
            run.check_same(config, spec)
        return _GroupedRun(run, split, plan, spec, config, observers, only).run()


class _GroupedRun:
    """A run over groups, with where each of its parts is."""

    def __init__(
        self,
        run: RunFolder,
        split: Split,
        plan: GroupPlan,
        spec: SceneSpec,
        config: TrainConfig,
        observers: Sequence[Observer],
        only: int | None,
    ) -> None:
        self.run_folder, self.split, self.plan, self.spec = run, split, plan, spec
        self.config, self.observers, self.only = config, observers, only
        self.device = pick_device(config.device, config.backend)
        self.store = GroupStore(run.path / "groups")
        self.objects = Objects.of(split, plan, config)
        self._write_or_check_plan()
        of_shared = config.groups.shared_share
        # Things that move are their groups' own: where they are known, their pixels are left out.
        still = replace(_part_of(config, of_shared), dynamics=NoDynamics())
        self.shared = Share("what all groups share", self.store.shared, still, of_shared)
        fitted = [sum(not frame.held_out for frame in plan.frames(k)) for k in range(len(plan))]
        weights = [(1 - of_shared) * count / sum(fitted) for count in fitted]
        self.groups = [
            Share(f"group {k + 1} of {len(plan)}", self.store.group(k), _part_of(config, weight), weight)
            for k, weight in enumerate(weights)
        ]
        for share in (self.shared, *self.groups):
            remove_leftovers(share.folder)
            share.read()
        name = "metrics.jsonl" if only is None else f"metrics-{only:03d}.jsonl"
        self.metrics = MetricsFile(run.path / name, self.step or None)
        self.watch = Stopwatch()

    @property
    def step(self) -> int:
        """Steps of all parts."""
        return sum(share.step for share in (self.shared, *self.groups))

    def run(self) -> TrainResult:
        """Does what is left to do."""
        with stop_on_signals() as stop:
            # First Gaussians come first: reading sweeps and training are not to need memory together.
            self._start_groups(stop)
            if not stop.requested:
                self._fit_shared(stop)
            for number, until, told in self._visits():
                if stop.requested:
                    break
                self._visit(number, until, told, stop)
        parts = self.groups if self.only is None else [self.groups[self.only]]
        finished = all(share.progress >= 1 for share in parts)
        started = all(has_checkpoint(share.folder) for share in (self.shared, *self.groups))
        scores = self._scores() if finished and self.only is None and self.config.evaluations > 0 else {}
        return TrainResult(
            run_dir=self.run_folder.path,
            scene_dir=self.store.folder,
            steps=self.step,
            seconds=sum(share.seconds for share in (self.shared, *self.groups)),
            gaussians=len(GroupedScene(self.store.folder)) if started else 0,
            finished=finished,
            held_out=scores,
        )

    def _write_or_check_plan(self) -> None:
        if not self.store.planned:
            self.plan.objects = self.objects.by_id
            self.store.write_plan(self.plan, self.config.settings)
            return
        known, _ = self.store.read_plan()
        if known.recording.pictures() != self.plan.recording.pictures():
            raise CheckpointError(
                f"{self.run_folder.path}: the run was begun on other pictures than {self.split.log.name} "
                "has; resume with the same recording or start a new run"
            )
        self.plan.objects = known.objects  # none where another gsrecon began the run: it goes on as begun
        self.objects = self.objects.as_planned(known.objects)

    def _fit_shared(self, stop: StopFlag) -> None:
        """Far field, sky and cameras, beside a coarse background, on pictures of the whole drive.

        They come first and stay as they are, so that groups can be trained in any order, and apart.
        """
        share = self.shared
        if share.progress >= 1:
            return
        part = sampled_part(self.split, self.spec, share.config)
        if has_checkpoint(share.folder):
            state = load_checkpoint(share.folder, len(part.views), share.config)
            share.note(state)
        else:
            generator = torch.Generator().manual_seed(self.config.seed)
            graph = shared_start(self.split, part, self.plan, share.config, generator).to(self.device)
            state = TrainState.start(graph, len(part.views), share.config, generator)
        for node in (state.graph.appearance, state.graph.camera_refinement):
            for name, table in {} if node is None else node.parameters().items():
                # A picture's own corrections belong to its group.
                table.requires_grad_(name.startswith("camera_"))
        self._steps(state, part.views, share, 1.0, share.told, stop)

    def _start_groups(self, stop: StopFlag) -> None:
        for number, share in enumerate(self.groups):
            if stop.requested:
                return
            if has_checkpoint(share.folder):
                continue
            for observer in self.observers:
                observer.on_event(f"{share.told}: first Gaussians")
            self._start_group(number, share)
            give_back_memory()

    def _start_group(self, number: int, share: Share) -> None:
        part = group_part(self.split, self.plan, number, self.spec, share.config)
        corrections = first_corrections(self.split, share.config)
        seed = self.config.seed + 1 + number
        graph = group_start(part, self.plan, number, self.objects, corrections, share.config, seed)
        generator = torch.Generator().manual_seed(seed)
        save_checkpoint(TrainState.start(graph, len(part.views), share.config, generator), share.folder)

    def _visits(self) -> Iterator[tuple[int, float, str]]:
        """Group, the fraction of its run at the end of the visit, and how progress names it; in order."""
        if self.only is not None:
            yield self.only, 1.0, self.groups[self.only].told
            return
        rounds = self.config.groups.rounds
        for done in range(rounds):
            # The first rounds are short: a group learns little beside neighbours that are still first points.
            until = (done + 1) * (done + 2) / (rounds * (rounds + 1))
            for number, share in enumerate(self.groups):
                if share.progress < until:
                    yield number, until, f"round {done + 1} of {rounds}, {share.told}"

    def _visit(self, number: int, until: float, told: str, stop: StopFlag) -> None:
        give_back_memory()
        share = self.groups[number]
        part = group_part(self.split, self.plan, number, self.spec, share.config)
        state = load_checkpoint(share.folder, len(part.views), share.config)
        share.note(state)  # an older one than was thought, where the newest is damaged
        self.store.surround(state.graph, number, self.plan)
        only_own_pictures(state.graph, number, self.plan)
        give_back_memory()
        self._steps(state, part.views, share, until, told, stop)

    def _steps(
        self, state: TrainState, views: Views, share: Share, until: float, told: str, stop: StopFlag
    ) -> None:
        """Steps of one part up to a fraction of its run, with checkpoints on the way and at the end."""
        checkpoints = Rounds(count=self.config.checkpoints)
        saved_at = state.step if has_checkpoint(share.folder) else -1
        show_scene(self.observers, state.graph)
        while state.progress < until and not stop.requested:
            before = state.progress
            loss = fit_step(state, views, share.config, self.watch)
            share.note(state)
            for observer in self.observers:
                observer.on_step(self._progress(state, loss, told))
            if self.step % self.config.log_every == 0:
                self.metrics.add(self.step, self._row(state, loss))
            if checkpoints.due(before, state.progress):
                saved_at = state.step
                save_checkpoint(state, share.folder)
        if saved_at != state.step:
            save_checkpoint(state, share.folder)
        for observer in self.observers:
            observer.on_event(
                f"{told}: step {state.step}, {state.psnr:.2f} dB, {len(state.graph):,} Gaussians"
            )

    def _progress(self, state: TrainState, loss: float, told: str) -> Progress:
        parts = (self.shared, *self.groups)
        return Progress(
            step=self.step,
            fraction=sum(share.weight * share.progress for share in parts),
            seconds=sum(share.seconds for share in parts),
            psnr=state.psnr,
            gaussians=len(state.graph),
            loss=loss,
            part=told,
        )

    def _row(self, state: TrainState, loss: float) -> dict[str, float | int]:
        parts = (self.shared, *self.groups)
        return {
            "seconds": round(sum(share.seconds for share in parts), 3),
            "progress": round(sum(share.weight * share.progress for share in parts), 6),
            "loss": loss,
            "psnr": state.psnr,
            "gaussians": len(state.graph),
            "peak_memory_bytes": peak_memory_bytes(),
            **{f"ms_{stage}": round(1000 * seconds, 3) for stage, seconds in self.watch.means().items()},
        }

    def _scores(self) -> dict[str, float]:
        """Of the held-out pictures, each drawn from its own group."""
        scene = GroupedScene(self.store.folder, self.device)
        judged = HeldOutScores()
        for number in range(len(self.plan)):
            held_out = {(f.camera, f.index) for f in self.plan.frames(number) if f.held_out}
            frames = tuple(f for f in self.split.held_out if (f.camera, f.index) in held_out)
            if not frames:
                continue
            part = Split(replace(self.split.log, frames=frames), frames, ())
            views = Views.of(part, frames, self.spec, self.config)
            judged.add(scene.group(number), views, self.config.backend)
        scores = judged.told()
        if scores:
            self.metrics.add(self.step, {f"held_out_{name}": value for name, value in scores.items()})
        return scores


def _part_of(config: TrainConfig, share: float) -> TrainConfig:
    """The same settings for a part of the steps and of the time."""
    return replace(
        config,
        steps=None if config.steps is None else max(1, round(config.steps * share)),
        max_minutes=None if config.max_minutes is None else config.max_minutes * share,
    )
