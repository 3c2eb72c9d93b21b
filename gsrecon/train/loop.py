"""Training: fits a scene to the pictures of a drive."""

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from gsrecon.data.log import DrivingLog
from gsrecon.data.spec import SceneSpec
from gsrecon.errors import CheckpointError, TrainingError
from gsrecon.gaussians.density_classic import ClassicDensity
from gsrecon.gaussians.schedule import Rounds
from gsrecon.ops.device import pick_device
from gsrecon.ops.device_errors import device_errors
from gsrecon.ops.picture_loss import picture_loss
from gsrecon.ops.settings import RasterInfo
from gsrecon.scene.graph import SceneGraph
from gsrecon.scene.render import render_frame
from gsrecon.train.census import shown_pixels
from gsrecon.train.checkpoint import has_checkpoint, load_checkpoint, save_checkpoint
from gsrecon.train.config import TrainConfig
from gsrecon.train.held_out import score_held_out
from gsrecon.train.initialise import start_scene
from gsrecon.train.losses import depth_loss, regularisers
from gsrecon.train.metrics_file import MetricsFile, peak_memory_bytes
from gsrecon.train.progress import Observer, Progress, SceneObserver, TrainResult
from gsrecon.train.run_folder import RunFolder
from gsrecon.train.split import Split
from gsrecon.train.state import TrainState
from gsrecon.train.stopping import stop_on_signals
from gsrecon.train.stopwatch import Stopwatch
from gsrecon.train.views import READERS, View, Views


def train(
    log: DrivingLog,
    spec: SceneSpec,
    config: TrainConfig,
    run_dir: Path,
    observers: Sequence[Observer] = (),
    resume: bool = False,
) -> TrainResult:
    """Fits a scene to a drive and leaves it in the run's folder.

    Ctrl-C and SIGTERM end the run after a last checkpoint; it can be resumed, as can a run that was killed.

    Args:
        log: The drive.
        spec: Names the held-out frames and whether moving objects are masked.
        config: All settings.
        run_dir: Folder of the run.
        observers: Told about every step.
        resume: Continue the run in the folder from its last checkpoint, from its start where there is none.

    Raises:
        BackendUnavailableError: There is no such device here as the settings name.
        TrainingError: The loss is not finite, the disk is full, or there is a run in the folder already, or
            another process that goes on with it.
        CheckpointError: There is nothing to resume, or it does not fit the drive, the spec or the settings.
        DatasetError: A picture, mask or sweep is missing or damaged.
    """
    device = pick_device(config.device, config.backend)
    run = RunFolder(run_dir)
    if not resume:
        run.begin(config, spec)
    with run.held():
        if resume:
            run.check_same(config, spec)
        split = Split.of(log, spec)
        views = Views.of(split, split.fitted, spec, config)
        judged = Views.of(split, split.held_out, spec, config)
        if resume and has_checkpoint(run.checkpoints):
            state = load_checkpoint(run.checkpoints, len(views), config)
            _require_same_drive(state, split, run)
        else:
            generator = torch.Generator().manual_seed(config.seed)
            graph = start_scene(split, views, config, generator).to(device)
            state = TrainState.start(graph, len(views), config, generator)
        metrics = MetricsFile(run.metrics, state.step if state.step > 0 else None)
        return _run(state, views, judged, config, run, metrics, observers)


def _run(
    state: TrainState,
    views: Views,
    judged: Views,
    config: TrainConfig,
    run: RunFolder,
    metrics: MetricsFile,
    observers: Sequence[Observer],
) -> TrainResult:
    """Steps until the run is over or stopped, with checkpoints and evaluations on the way."""
    checkpoints, evaluations = Rounds(count=config.checkpoints), Rounds(count=config.evaluations)
    watch, scores = Stopwatch(), {}
    saved_at = state.step if state.step > 0 else -1
    show_scene(observers, state.graph)
    with stop_on_signals() as stop:
        while state.progress < 1 and not stop.requested:
            before = state.progress
            loss = fit_step(state, views, config, watch)
            for observer in observers:
                observer.on_step(_progress(state, loss))
            if state.step % config.log_every == 0 or state.progress >= 1:
                metrics.add(state.step, _row(state, loss, watch))
            if checkpoints.due(before, state.progress):
                saved_at = state.step
                _tell(observers, f"checkpoint {save_checkpoint(state, run.checkpoints)}")
            if evaluations.due(before, state.progress) and len(judged) > 0:
                scores = score_held_out(state.graph, judged, config.backend)
                metrics.add(state.step, {f"held_out_{name}": value for name, value in scores.items()})
                _tell(observers, f"held-out pictures: {scores['psnr']:.2f} dB, SSIM {scores['ssim']:.3f}")
        if saved_at != state.step:
            _tell(observers, f"checkpoint {save_checkpoint(state, run.checkpoints)}")
    return TrainResult(
        run_dir=run.path,
        scene_dir=run.checkpoints / f"step-{state.step}" / "scene",
        steps=state.step,
        seconds=state.seconds,
        gaussians=len(state.graph),
        finished=state.progress >= 1,
        held_out=scores,
    )


def fit_step(state: TrainState, views: Views, config: TrainConfig, watch: Stopwatch) -> float:
    """One optimiser step on one picture; gives its loss.

    Raises:
        TrainingError: The loss is not finite.
        DeviceMemoryError: The GPU's memory is not enough.
        DeviceFailedError: The GPU fails.
    """
    started = time.perf_counter()
    watch.start()
    graph = state.graph
    views.keep_on(graph.device)
    number = state.sampler.draw(state.generator)
    views.read_ahead(state.sampler.upcoming(READERS))
    with device_errors(len(graph), 1, *views.size(number), graph.device):
        return _fit_view(state, views[number], views, config, watch, started)


def _fit_view(
    state: TrainState, view: View, views: Views, config: TrainConfig, watch: Stopwatch, started: float
) -> float:
    graph, before = state.graph, state.progress
    settings = replace(
        graph.settings,
        sh_degree=config.sh_degree_at(before),
        absgrad=any(strategy.wants_screen_gradients(before) for strategy in state.strategies.values()),
        depth=config.weights.depth > 0 and len(view.depths) > 0,
    )
    moving = [d for id, d in graph.deformations.items() if id in state.strategies]
    for deformation in moving:
        deformation.begin_step(before, state.generator)
    watch.lap("sample")
    assert graph.recording is not None
    drawn = render_frame(graph, graph.recording, view.frame, settings, config.backend)
    watch.lap("render")
    counts = None if view.counts is None else view.counts[None]
    picture, squared = picture_loss(drawn.image, view.image[None], counts, config.weights.ssim)
    parts = regularisers(graph, drawn, view, config.weights, config.density)
    if settings.depth and drawn.depth is not None:
        parts["depth"] = config.weights.depth * 0.1**before * depth_loss(drawn.depth, view)
    loss = picture + sum(parts.values())
    watch.lap("loss")
    loss.backward()
    # Both in one: a GPU is waited for whenever a number is read.
    loss_value, squared_error = torch.stack([loss.detach(), squared]).tolist()
    _require_finite(loss_value, state, view)
    watch.lap("backward")

    state.step += 1
    # Schedules see the time up to here; the whole step is counted at its end.
    state.progress = config.progress(state.step, state.seconds + time.perf_counter() - started)
    state.note_error(squared_error)
    _observe(state, drawn.info, view)
    state.optimizer.step(before)
    for deformation in moving:
        deformation.end_step()
    watch.lap("optimizer")
    for node in graph.trained_nodes:
        rate = state.optimizer.rate(f"{node.id}/means", before)
        state.strategies[node.id].perturb(node.gaussians, rate, state.generator)
    state.change_density(before, state.progress)
    _take_census(state, views, config, before)
    watch.lap("density")
    state.seconds += time.perf_counter() - started
    return loss_value


def _take_census(state: TrainState, views: Views, config: TrainConfig, before: float) -> None:
    """Removes what no fitted picture shows, where a census is due and every picture was fitted once."""
    density = config.density
    if not isinstance(density, ClassicDensity) or not density.censuses.due(before, state.progress):
        return
    if state.step < len(views):
        return
    state.prune_hidden(shown_pixels(state.graph, views, config.backend), density.prune_shown_share)


def _observe(state: TrainState, info: RasterInfo, view: View) -> None:
    """Shows every strategy the rows of its node, where screen gradients were asked for."""
    if info.absgrad_probe is None or info.absgrad_probe.grad is None:
        return
    height, width = view.image.shape[:2]
    gradients, rows = info.absgrad_probe.grad, state.graph.rows()
    for node_id, strategy in state.strategies.items():
        own = rows[node_id]
        strategy.observe(gradients[:, own], info.radii[:, own], width, height)


def _require_finite(loss: float, state: TrainState, view: View) -> None:
    if not math.isfinite(loss):
        raise TrainingError(
            f"step {state.step + 1}: the loss is {loss} on picture {view.frame.index} of camera "
            f"{view.frame.camera}; earlier checkpoints are intact, start again with a lower learning rate"
        )


def _require_same_drive(state: TrainState, split: Split, run: RunFolder) -> None:
    begun, now = state.graph.recording, split.recording()
    if begun is None or begun.pictures() != now.pictures():
        raise CheckpointError(
            f"{run.path}: the run was begun on other pictures than {split.log.name} has; resume with the "
            "same recording or start a new run"
        )


def _progress(state: TrainState, loss: float) -> Progress:
    return Progress(
        step=state.step,
        fraction=state.progress,
        seconds=state.seconds,
        psnr=state.psnr,
        gaussians=len(state.graph),
        loss=loss,
    )


def _row(state: TrainState, loss: float, watch: Stopwatch) -> dict[str, float | int]:
    return {
        "seconds": round(state.seconds, 3),
        "progress": round(state.progress, 6),
        "loss": loss,
        "psnr": state.psnr,
        "gaussians": len(state.graph),
        **({"dynamic": state.graph.dynamic_gaussians} if state.graph.deformations else {}),
        "peak_memory_bytes": peak_memory_bytes(),
        **{f"ms_{stage}": round(1000 * seconds, 3) for stage, seconds in watch.means().items()},
    }


def show_scene(observers: Sequence[Observer], graph: SceneGraph) -> None:
    """Hands a scene that is about to be trained to those who want to see it."""
    for observer in observers:
        if isinstance(observer, SceneObserver):
            observer.on_scene(graph)


def _tell(observers: Sequence[Observer], message: str) -> None:
    for observer in observers:
        observer.on_event(message)
