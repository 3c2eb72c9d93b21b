"""Evaluates a run with progress, writes metrics.json and report.html, tells the numbers."""

import time
from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Column, Table

from gsrecon.cli.console import console, counting
from gsrecon.cli.runs import Run
from gsrecon.data.log import DrivingLog
from gsrecon.evaluation.evaluate import EvaluateConfig, evaluate, held_out
from gsrecon.evaluation.gallery import Gallery, ScoredPicture
from gsrecon.evaluation.report import RunFacts, read_history, write_report
from gsrecon.evaluation.scores import Evaluation, Summary, write_metrics
from gsrecon.evaluation.shifts import ShiftScore
from gsrecon.ops.device import pick_device
from gsrecon.scene.groups_scene import open_scene

_COLUMNS = ("count", "PSNR dB", "SSIM", "LPIPS", "near dB", "far dB", "moving dB", "static dB", "depth m")
_UNKNOWN = "-"


def judge(
    run: Run,
    log: DrivingLog,
    config: EvaluateConfig,
    shifts: Sequence[ShiftScore] = (),
    device: str = "auto",
) -> Evaluation:
    """Scores the held-out pictures of a run, on a device, and writes what was found into its folder.

    Scores from beside the recorded way go into the report with them.
    """
    started = time.perf_counter()
    graph = open_scene(run.folder, pick_device(device, config.backend))
    count = 0 if graph.recording is None else len(held_out(graph.recording))
    gallery = Gallery(expected=count)
    with counting("evaluating", count) as counter:

        def counted(picture: ScoredPicture) -> None:
            psnr = picture.score.psnr
            counter.step("" if psnr is None else f"{psnr:.2f} dB")

        evaluation = evaluate(graph, log, config, [gallery.add, counted])
    write_metrics(evaluation, run.folder / "metrics.json", shifts)
    facts = _facts(run, log, time.perf_counter() - started)
    write_report(run.folder / "report.html", evaluation, gallery, facts, shifts)
    _tell(run, evaluation)
    if shifts:
        from gsrecon.cli.shift_scores import tell_shifts

        tell_shifts(shifts)
    return evaluation


def _facts(run: Run, log: DrivingLog, evaluation_seconds: float) -> RunFacts:
    history = read_history(run.folder / "metrics.jsonl")
    timings = {}
    trained = _last(history, "seconds")
    if trained is not None:
        timings["training"] = float(trained)
    timings["evaluation"] = evaluation_seconds
    memory = _last(history, "peak_memory_bytes")
    cameras = ", ".join(f"{c.name} {c.width}x{c.height}" for c in log.cameras.values())
    return RunFacts(
        name=run.name,
        drive=f"{log.name} ({log.source}), {len(log.frames)} pictures, {cameras}",
        history=history,
        config=run.json("config.json"),
        environment=run.json("environment.json"),
        spec=run.spec_text(),
        timings=timings,
        stages_ms=next((stages for row in reversed(history) if (stages := _stages(row))), {}),
        peak_memory_bytes=None if memory is None else int(memory),
    )


def _stages(row: dict) -> dict[str, float]:
    return {name.removeprefix("ms_"): value for name, value in row.items() if name.startswith("ms_")}


def _last(history: list[dict], key: str) -> float | int | None:
    return next((row[key] for row in reversed(history) if isinstance(row.get(key), int | float)), None)


def _tell(run: Run, evaluation: Evaluation) -> None:
    out = console()
    rows = {name: _cells(summary) for name, summary in evaluation.cameras.items()}
    if len(rows) > 1:
        rows["all"] = _cells(evaluation.summary)
    # What nobody has would push what everybody has off a narrow terminal.
    known = [i for i in range(len(_COLUMNS)) if any(cells[i] != _UNKNOWN for cells in rows.values())]
    table = Table(Column("camera", no_wrap=True), box=SIMPLE_HEAD, pad_edge=False)
    for i in known:
        table.add_column(_COLUMNS[i], justify="right", no_wrap=True)
    for name, cells in rows.items():
        table.add_row(name, *(cells[i] for i in known), style="bold" if name == "all" else None)
    if evaluation.pictures:
        out.print(table, soft_wrap=False)
        if evaluation.summary.lpips is None:
            out.print("LPIPS: not computed, there were no weights (gsrecon evaluate --lpips-weights)")
    else:
        out.print("no picture was held out, so there is nothing to score; set [test] in the scene spec")
    out.print(f"numbers: {run.folder / 'metrics.json'}")
    out.print(f"report:  {run.folder / 'report.html'}")


def _cells(s: Summary) -> list[str]:
    def shown(value: float | None, digits: int) -> str:
        return _UNKNOWN if value is None else f"{value:.{digits}f}"

    return [
        str(s.pictures),
        shown(s.psnr, 2),
        shown(s.ssim, 4),
        shown(s.lpips, 4),
        shown(s.psnr_near, 2),
        shown(s.psnr_far, 2),
        shown(s.psnr_moving, 2),
        shown(s.psnr_static, 2),
        shown(s.depth_error_m, 2),
    ]
