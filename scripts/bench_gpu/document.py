"""Writes docs/benchmarks-gpu.md from what was measured, or says that nothing was."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from gsrecon.files import write_text
from scripts.bench_gpu.cases import (
    AGREEMENT,
    CASES,
    KITTI_ASKED_SECONDS,
    KITTI_CPU_SECONDS,
    KITTI_PSNR,
    KITTI_SECONDS,
    TARGET_CARD,
    WORKS,
)
from scripts.bench_gpu.figures import JUDGED, Judged, best_peer, has_target, judge, value
from scripts.bench_gpu.measure import OURS

_INTRO = f"""# Benchmarks on a GPU

`make bench-gpu` measures gsrecon's CUDA kernels beside gsplat and writes this page from
`benchmarks/gpu.json` (`scripts/bench_gpu/document.py`); nothing in it is typed by hand. The scene is the
street of [the CPU's benchmark](benchmarks.md), with harmonics of degree 3, drawn by one camera or by a
rig of six in one batch. What is compared runs in turns in one process after warm-up; times are medians
between two CUDA events, from an idle GPU on.

- **forward** draws colours and expected depth without a graph: ours with `depth=True`, gsplat with
  `render_mode="RGB+ED"`. Both blend four channels and divide the depth by alpha. **forward + backward**
  adds the gradients of all parameters for a fixed upstream gradient.
- **training step** is a step on colours alone: activations, L1 and SSIM, statistics for densification
  from absolute gradients, the optimiser; the loss is read once. Ours: a fused loss, the classic strategy's
  `observe`, Adam over visible rows in one pass. gsplat's: SSIM by torch's convolutions,
  `DefaultStrategy` with `absgrad`, `torch.optim.Adam(fused=True)` for each parameter. So a part of the ratio
  is the loss; a trainer that has a package for SSIM beside gsplat is faster than this peer.
- **memory** is the peak allocated beyond parameters, gradients and moments.
- **deterministic** is ours under `torch.use_deterministic_algorithms(True)` beside ours without it.
- gsplat is measured with `packed=False`, as its trainer has it, and with `packed=True`, its default; the
  faster one, and for memory the leaner one, stands in the table. gsplat 1.5.3 clamps alpha at 0.999,
  gsrecon at 0.99: pictures differ slightly where Gaussians are nearly opaque.
- **KITTI raw 0001** is `gsrecon train` with default settings for {KITTI_ASKED_SECONDS:g} s; the target is the
  held-out PSNR that two CPU cores reach in six minutes ([quality](quality.md)).

Targets are those of an {TARGET_CARD}. On another card the same figures and ratios are taken, and not judged;
what deterministic gradients may cost is the same on every card.
"""
_NOT_YET = """\
No GPU was available so far, so nothing has been measured and the table is empty. To fill it, on a machine
with an NVIDIA GPU, a CUDA toolkit (nvcc 12 or newer) and a PyTorch with CUDA: `make bench-gpu`. It takes
about eight minutes, most of which gsplat spends on compiling, and writes `benchmarks/gpu.json` and this
page; commit both."""
_NONE = "–"
_KITTI = "KITTI raw 0001"

Results = dict[str, Any]


def write(path: Path, results: Results | None) -> Path:
    """Writes the page."""
    write_text(path, page(results))
    return path


def page(results: Results | None) -> str:
    """The page; without results the one that says so."""
    lines = [_NOT_YET, "", "## Targets", "", *_targets(None)] if results is None else tables(results)
    return "\n".join([_INTRO, *lines]) + "\n"


def tables(results: Results) -> list[str]:
    """Everything that was measured, line by line."""
    lines = [*_machine(results), "", "## Targets", "", *_targets(results)]
    lines += ["", "## Throughput", "", *_throughput(results)]
    lines += ["", "## Do the pictures agree", "", *_agreement(results)]
    missing = list(_missing(results))
    return lines + (["", "## What could not be measured", "", *missing] if missing else [])


def _machine(results: Results) -> Iterator[str]:
    m, settings = results["machine"], results["settings"]
    yield (
        f"Measured {m['date']} at commit {m['commit'] or 'unknown'} (gsrecon {m['gsrecon']}) on "
        f"{m['device']}, compute capability {m['capability']}, {m['memory_gib']} GiB, "
        f"driver {m['driver'] or 'unknown'}; "
        f"torch {m['torch']}, CUDA {m['cuda']}, gsplat {m['gsplat'] or 'not installed'}, "
        f"Python {m['python']}, {m['system']}, {m['cores']} cores."
    )
    yield (
        f"Medians of {settings['runs']} runs after {settings['warmup']}. A copy of a large tensor moves "
        f"{results['copy_gb_s']:.0f} GB/s, read and written."
    )


def _targets(results: Results | None) -> list[str]:
    rows = {} if results is None else {row["case"]: row for row in results["cases"]}
    # Without results, what would be measured; with them, what was.
    names = list(rows) or [case.name for case in CASES]
    device = "" if results is None else results["machine"]["device"]
    lines = _head(["case", "figure", "ours", "peer", "ratio", "target", "met"])
    for name in names:
        lines += [_target(name, rows.get(name), judged, device) for judged in JUDGED]
    return [*lines, *_kitti(None if results is None else results["kitti"], device)]


def _target(name: str, row: dict[str, Any] | None, judged: Judged, device: str) -> str:
    verdict = judge(row, judged, device)
    other = _number(verdict.other)
    if verdict.other_name is not None:
        other += f" ({'default' if verdict.other_name == OURS else verdict.other_name})"
    ratio = _NONE if verdict.ratio is None else f"{verdict.ratio:.2f}x"
    met = _met(verdict.met, measured=verdict.ratio is not None)
    return _line([name, judged.label, _number(verdict.ours), other, ratio, judged.target_text, met])


def _kitti(kitti: dict[str, Any] | None, device: str) -> list[str]:
    """Two rows: quality and seconds; the peer is our CPU."""
    found = kitti if kitti is not None and "psnr" in kitti else None
    psnr, took, speed, better, in_time = _NONE, _NONE, _NONE, None, None
    if found is not None:
        psnr, seconds = f"{found['psnr']:.2f}", found["training_s"]
        took, speed = f"{seconds:.1f} ({found['wall_s']:.0f} in all)", f"{KITTI_CPU_SECONDS / seconds:.0f}x"
        if has_target(device):
            better, in_time = found["psnr"] >= KITTI_PSNR, seconds < KITTI_SECONDS
    quality, time = "held-out PSNR [dB]", "training [s]"
    cpu, limit = f"{KITTI_CPU_SECONDS:g} (CPU)", f"less than {KITTI_SECONDS:g}"
    met = [_met(verdict, measured=found is not None) for verdict in (better, in_time)]
    return [
        _line([_KITTI, quality, psnr, f"{KITTI_PSNR} (CPU)", _NONE, f"at least {KITTI_PSNR}", met[0]]),
        _line([_KITTI, time, took, cpu, speed, limit, met[1]]),
    ]


def _throughput(results: Results) -> list[str]:
    lines = [
        "Pairs are those of a pixel and a Gaussian that are blended (alpha of at least 1/255, light left), "
        "counted. GB/s counts every byte that has to be read or written once (`least_bytes` in "
        "`scripts/bench_gpu/counts.py`); beside it its share of what a copy reaches. Wall is the CPU's clock "
        "from an idle GPU to an idle GPU. The peer is the faster one.",
        "",
        *_head(
            [
                *("case", "work", "pairs [1e6]", "ours [Mpairs/s]", "peer [Mpairs/s]", "ours [GB/s]"),
                *("of a copy", "ours, wall [ms]", "peer, wall [ms]", "ours [MB]", "peer [MB]"),
            ]
        ),
    ]
    for row in results["cases"]:
        lines += [_line(_rates(results, row, work)) for work in WORKS if work in row["works"]]
    return lines


def _rates(results: Results, row: dict[str, Any], work: str) -> list[str]:
    # None where the time was up before they were counted.
    pairs, moved = row.get("counts", {}).get("pairs"), row.get("least_bytes", {}).get(work)
    ours, (peer, theirs) = value(row, work, OURS, "event_ms"), best_peer(row, work, "event_ms")
    moved_gb_s = None if not ours or moved is None else moved / ours / 1e6
    share = _NONE if moved_gb_s is None else f"{moved_gb_s / results['copy_gb_s']:.0%}"
    walls = [value(row, work, side, "wall_ms") for side in (OURS, peer or "")]
    memory = [value(row, work, OURS, "memory_mb"), best_peer(row, work, "memory_mb")[1]]
    rates = [None if not ms or pairs is None else pairs / ms / 1e3 for ms in (ours, theirs)]
    numbers = [_number(x) for x in (*rates, moved_gb_s)]
    rest = [_number(x) for x in (*walls, *memory)]
    blended = _NONE if pairs is None else f"{pairs / 1e6:.1f}"
    return [row["case"], work.replace("_", " "), blended, *numbers, share, *rest]


def _agreement(results: Results) -> list[str]:
    lines = [
        "Mean difference of the colours, mean difference of the depths over the mean depth, and the largest "
        "relative difference (L2) of a parameter's gradient: the two clamps of alpha treat nearly opaque "
        "Gaussians differently.",
        "",
        *_head(["case", "peer", "colours", "depth", "gradients", f"colours within {AGREEMENT:g}"]),
    ]
    for row in results["cases"]:
        for name, found in row.get("agreement", {}).items():
            if "error" not in found:
                cells = [f"{found[key]:.1e}" for key in ("image", "depth", "gradients")]
                lines.append(_line([row["case"], name, *cells, _met(found["image"] <= AGREEMENT)]))
    return lines


def _missing(results: Results) -> Iterator[str]:
    """What failed or was left out, and why."""
    if results["peer"]["problem"] is not None:
        yield f"- gsplat, everywhere: {results['peer']['problem']}"
    for row in results["cases"]:
        if "error" in row:
            yield f"- {row['case']}: {row['error']}"
            continue
        if "uncounted" in row:
            yield f"- {row['case']}, counts: {row['uncounted']}"
        for work in (*WORKS, "deterministic"):
            if work not in row["works"]:
                yield f"- {row['case']}, {work.replace('_', ' ')}: the time limit"
        for work, sides in (("pictures", row["agreement"]), *row["works"].items()):
            for side, found in sides.items():
                if "error" in found:
                    yield f"- {row['case']}, {work.replace('_', ' ')}, {side}: {found['error']}"
    measured = {row["case"] for row in results["cases"]}
    left_out = [case.name for case in CASES if case.name not in measured]
    if left_out:
        yield f"- not begun (the time limit, or not asked for): {', '.join(left_out)}"
    kitti = results["kitti"]
    if kitti is None or "error" in kitti:
        why = "no recording here, or the time limit" if kitti is None else kitti["error"]
        yield f"- {_KITTI}: {why}"


def _number(figure: float | None) -> str:
    """Three digits or all before the point."""
    if figure is None:
        return _NONE
    return f"{figure:.0f}" if figure >= 100 else f"{figure:.1f}" if figure >= 10 else f"{figure:.2f}"


def _met(met: bool | None, measured: bool = True) -> str:
    if not measured:
        return "not measured"
    return f"not an {TARGET_CARD}" if met is None else "yes" if met else "no"


def _head(titles: Sequence[str]) -> list[str]:
    return [_line(titles), "|" + "---|" * len(titles)]


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
