"""Writes what was measured as Markdown tables, and into docs/benchmarks.md between its markers."""

from pathlib import Path
from typing import Any

from cases import STREET, TARGET_MACHINE_FMA, Case
from metrics import floor_ratios
from stages import STAGES

_BEGIN, _END = "<!-- measured: begin -->", "<!-- measured: end -->"
_OF_FLOOR = {"binning": "floor_binning", "blend": "floor_blend", "blend vjp": "floor_blend_vjp"}
_PASSES = {"forward": "forward", "forward_backward": "forward + backward"}

Results = dict[str, Any]
Row = dict[str, Any]


def write(path: Path, results: Results) -> Path:
    """Replaces what stands between the markers of a document.

    Raises:
        ValueError: The document lacks the markers.
    """
    text = path.read_text(encoding="utf-8")
    if text.count(_BEGIN) != 1 or text.count(_END) != 1 or text.index(_BEGIN) > text.index(_END):
        raise ValueError(f"{path}: expected one {_BEGIN} and one {_END} after it; put them back")
    before, after = text.split(_BEGIN)[0], text.split(_END)[1]
    measured = "\n".join(tables(results))
    path.write_text(f"{before}{_BEGIN}\n\n{measured}\n\n{_END}{after}", encoding="utf-8")
    return path


def tables(results: Results) -> list[str]:
    """All tables, line by line."""
    lines = _machine(results["machine"])
    lines += ["", "## Whole passes", "", *_passes(results)]
    lines += ["", "## Stage by stage", "", *_stages(results["street"])]
    lines += ["", "## Throughput and memory", "", *_throughput(results["street"])]
    if results["toy"]:
        lines += ["", "## Training and rendering", "", *_toy(results["toy"])]
    missed = _missed(results)
    if missed:
        lines += ["", "## Where a target is missed", "", *missed]
    return lines


def _machine(machine: dict[str, Any]) -> list[str]:
    lines = [
        f"Measured {machine['date']} at commit {machine['commit'] or 'unknown'} on {machine['cpu']}, "
        f"{machine['cores']} cores, {machine['isa']} kernels, {machine['system']}, "
        f"torch {machine['torch']}, numpy {machine['numpy']}, Python {machine['python']}; "
        f"OpenMP wait policy {machine['wait_policy']}, load average {machine['load']} at the start."
    ]
    ceiling = machine["ceiling"]
    if ceiling is not None:
        flops = 2 * ceiling["lanes"] * ceiling["fma_gvec_s"]
        lines.append(
            f"One core: {ceiling['fma_gvec_s']:.2f}e9 multiply-adds of {32 * ceiling['lanes']} bits a second "
            f"({flops:.0f} GFLOP/s), {ceiling['read_gb_s']:.1f} GB/s read from memory."
        )
    return lines


def _passes(results: Results) -> list[str]:
    counts = _thread_counts(results["street"])
    lines = _head(
        ["case", "pass", "target, 2 threads [ms]"]
        + [f"{_threads(count)} [ms]" for count in counts]
        + ["least to most [ms]", "to target"]
    )
    for name, rows in _by_case(results["street"]).items():
        for key, label in _PASSES.items():
            laps = {row["threads"]: row["times_ms"][key] for row in rows}
            target = _target(name, key)
            last = laps[counts[-1]]
            met = "" if target is None or 2 not in laps else f"{laps[2]['median'] / target:.2f}"
            cells = [name, label, "" if target is None else f"{target:.0f}"]
            cells += [f"{laps[count]['median']:.1f}" for count in counts]
            lines.append(_line([*cells, f"{last['min']:.1f} to {last['max']:.1f}", met]))
    return lines


def _stages(rows: list[Row]) -> list[str]:
    if "floor_blend" not in rows[0]["times_ms"]:
        lines = ["Without the floor study: our stages alone.", ""]
    else:
        difference = max(row["floor_difference"] for row in rows)
        lines = [
            "Each cell is ours / floor in ms, and the ratio. Both ran in turns in one process. The floor has "
            "no projection; it takes ours. Binning is making records, ordering by depth and filling the "
            "tiles' lists; blend vjp includes adding up each Gaussian's gradients. Mean difference of "
            f"the two pictures: at most {difference:.0e}.",
            "",
        ]
    lines += _head(["case", "threads", "project", *_OF_FLOOR, "project vjp", "shared stages"])
    for row in rows:
        times = {name: lap["median"] for name, lap in row["times_ms"].items()}
        times["binning"], times["blend vjp"] = times["sort"] + times["scatter"], times["blend_vjp"]
        ratios = floor_ratios(times)
        cells = [row["case"], str(row["threads"]), f"{times['project']:.1f}"]
        cells += [_beside(times[name], times.get(floor)) for name, floor in _OF_FLOOR.items()]
        whole = f"{ratios['shared_stages']:.2f}" if ratios else ""
        lines.append(_line([*cells, f"{times['project_vjp']:.1f}", whole]))
    return lines


def _throughput(rows: list[Row]) -> list[str]:
    lines = [
        "Pairs are those of a pixel and a Gaussian that are blended (alpha of at least 1/255, light left), "
        "counted. GB/s counts every byte that a stage has to read or write once. Memory is the peak beyond "
        "libraries and parameters.",
        "",
        *_head(
            [
                *("case", "threads", "pairs [1e6]", "forward [Mpairs/s]", "both [Mpairs/s]"),
                *("project [GB/s]", "project vjp [GB/s]", "both [GB/s]"),
                *("memory forward [MB]", "both [MB]"),
            ]
        ),
    ]
    pairs = {row["case"]: row["pairs"] for row in rows if row["pairs"]}
    for row in rows:
        count, laps, memory = pairs[row["case"]], row["times_ms"], row["memory_bytes"] or {}
        cells = [row["case"], str(row["threads"]), f"{count / 1e6:.2f}"]
        cells += [f"{count / laps[key]['median'] / 1e3:.0f}" for key in _PASSES]
        cells += [
            f"{row['least_bytes'][key] / laps[key]['median'] / 1e6:.1f}"
            for key in ("project", "project_vjp", "forward_backward")
        ]
        cells += [f"{memory[key] / 1e6:.0f}" if key in memory else "" for key in _PASSES]
        lines.append(_line(cells))
    return lines


def _toy(toys: list[Row]) -> list[str]:
    first = toys[0]
    parts = list(first["parts_ms"])
    lines = [
        f"Toy drive, pictures of {first['width']}x{first['height']}, {first['gaussians']:,} Gaussians at the "
        f"end, mean of the first {first['steps']} training steps, and a picture of the driven path.",
        "",
        *_head(["threads", "step [ms]", *(f"{part} [ms]" for part in parts), "picture [ms]"]),
    ]
    for toy in toys:
        cells = [str(toy["threads"]), f"{toy['step_ms']:.1f}"]
        cells += [f"{toy['parts_ms'][part]:.1f}" for part in parts]
        lines.append(_line([*cells, f"{toy['render_ms']:.1f}"]))
    return lines


def _missed(results: Results) -> list[str]:
    """Which targets two threads miss, what takes the time, and what the machine's rate explains."""
    slower = _slower_than_target_machine(results["machine"]["ceiling"])
    lines = []
    for row in results["street"]:
        for key, label in _PASSES.items():
            target, took = _target(row["case"], key), row["times_ms"][key]["median"]
            if row["threads"] != 2 or target is None or took <= target:
                continue
            scaled = "" if slower is None else f" ({slower * target:.0f} at this machine's rate)"
            lines.append(
                f"- {row['case']}, {label}: {took:.1f} ms, target {target:.0f}{scaled}. {_profile(row, key)}"
            )
    if not lines or slower is None:
        return lines
    return [
        f"The targets were set on a machine whose core does {TARGET_MACHINE_FMA}e9 multiply-adds of 512 bits "
        f"a second; this one does {TARGET_MACHINE_FMA / slower:.2f}e9. Work bound by arithmetic takes "
        f"{slower:.2f} times as long here; the ratios to the floor of the same run do not depend on that.",
        "",
        *lines,
    ]


def _slower_than_target_machine(ceiling: dict[str, Any] | None) -> float | None:
    """How much slower arithmetic is here; None where unknown or where that explains nothing."""
    if ceiling is None:
        return None
    slower = TARGET_MACHINE_FMA / (ceiling["fma_gvec_s"] * ceiling["lanes"] / 16)
    return slower if slower > 1.05 else None


def _profile(row: Row, key: str) -> str:
    stages = STAGES[:4] if key == "forward" else STAGES
    times = {stage: row["times_ms"][stage]["median"] for stage in stages}
    shares = ", ".join(f"{stage.replace('_', ' ')} {times[stage]:.1f}" for stage in stages)
    around = row["times_ms"][key]["median"] - sum(times.values())
    return f"Stages [ms]: {shares}" + (f"; around them {around:.1f}." if around >= 0.1 else ".")


def _target(name: str, key: str) -> float | None:
    case: Case | None = next((case for case in STREET if case.name == name), None)
    if case is None:
        return None
    return case.forward_target_ms if key == "forward" else case.both_target_ms


def _by_case(rows: list[Row]) -> dict[str, list[Row]]:
    return {
        name: [row for row in rows if row["case"] == name] for name in dict.fromkeys(r["case"] for r in rows)
    }


def _thread_counts(rows: list[Row]) -> list[int]:
    return sorted({row["threads"] for row in rows})


def _threads(count: int) -> str:
    return "1 thread" if count == 1 else f"{count} threads"


def _beside(ours: float, floor: float | None) -> str:
    return f"{ours:.1f}" if floor is None else f"{ours:.1f} / {floor:.1f}, {ours / floor:.2f}"


def _head(titles: list[str]) -> list[str]:
    return [_line(titles), "|" + "---|" * len(titles)]


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"
