"""Measured figures, kept with what counts as a regression."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

_NOISE_OF_RATIOS = 0.2
"""Two threads on two cores feel whatever else runs; a real regression of a stage is larger."""
_NOISE_OF_TIMES = 0.3
_NOISE_OF_MEMORY = 0.1
_SMALL_MEMORY = 8 << 20
"""Below this the allocator's rounding is most of it [bytes]."""


@dataclass(frozen=True)
class Metric:
    """One figure."""

    key: str
    """Case, threads and quantity, such as 100k_640x360/2t/blend_to_floor."""
    value: float
    unit: str
    direction: Literal["lower", "higher", "equal"]
    """What is better."""
    tolerance: float | None
    """Relative change for the worse that the gate lets pass; None: for the record only."""

    def regressed_from(self, before: "Metric") -> bool:
        """Whether this is worse than before by more than the earlier metric's tolerance."""
        if before.tolerance is None:
            return False
        change = self.value / before.value - 1
        worse = {"lower": change, "higher": -change, "equal": abs(change)}[before.direction]
        return worse > before.tolerance


def of_results(results: dict[str, Any]) -> list[Metric]:
    """All figures of a run: medians for the record, and what the gate compares.

    Gated are figures that mean the same on another machine, made from the least times: whatever else runs
    can only add to a time.
    """
    found = []
    ceiling = results["machine"]["ceiling"]
    pairs = {row["case"]: row["pairs"] for row in results["street"] if row["pairs"]}
    found += [Metric(f"{case}/pairs", count, "pairs", "equal", 1e-3) for case, count in pairs.items()]
    for row in results["street"]:
        key = f"{row['case']}/{row['threads']}t"
        times = {name: lap["median"] for name, lap in row["times_ms"].items()}
        least = {name: lap["min"] for name, lap in row["times_ms"].items()}
        found += [Metric(f"{key}/{name}", value, "ms", "lower", None) for name, value in times.items()]
        for name, ratio in floor_ratios(least).items():
            found.append(Metric(f"{key}/{name}_to_floor", ratio, "x", "lower", _NOISE_OF_RATIOS))
        if ceiling is not None and row["case"] in pairs:
            slots = least["forward_backward"] * 1e6 * ceiling["fma_gvec_s"] * ceiling["lanes"]
            value = slots / pairs[row["case"]]
            found.append(Metric(f"{key}/fma_slots_per_pair", value, "lanes", "lower", _NOISE_OF_TIMES))
        for name, size in (row["memory_bytes"] or {}).items():
            tolerance = _NOISE_OF_MEMORY if size > _SMALL_MEMORY else None
            found.append(Metric(f"{key}/{name}_memory", size, "bytes", "lower", tolerance))
    for toy in results["toy"]:
        for name in ("step_ms", "render_ms"):
            found.append(Metric(f"toy/{toy['threads']}t/{name}", toy[name], "ms", "lower", None))
    return found


def floor_ratios(times: dict[str, float]) -> dict[str, float]:
    """Ours over the floor of the same run, stage by stage and in sum; empty without a floor."""
    if "floor_blend" not in times:
        return {}
    ours = {
        "binning": times["sort"] + times["scatter"],
        "blend": times["blend"],
        "blend_vjp": times["blend_vjp"],
    }
    floor = {name: times[f"floor_{name}"] for name in ours}
    ratios = {name: ours[name] / floor[name] for name in ours}
    return {**ratios, "shared_stages": sum(ours.values()) / sum(floor.values())}


def save(path: Path, machine: dict, metrics: list[Metric]) -> None:
    """Writes a baseline."""
    rows = {"machine": machine, "metrics": [asdict(metric) for metric in metrics]}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def load(path: Path) -> list[Metric]:
    """Reads a baseline."""
    return [Metric(**row) for row in json.loads(path.read_text(encoding="utf-8"))["metrics"]]


def gate(measured: list[Metric], baseline: list[Metric]) -> tuple[list[str], list[str]]:
    """Compares what both have.

    Returns:
        A line for every gated figure that was compared, and one for every regression among them.
    """
    now = {metric.key: metric for metric in measured}
    compared, regressions = [], []
    for before in baseline:
        after = now.get(before.key)
        if before.tolerance is None or after is None:
            continue
        line = f"{before.key}: {before.value:.4g} -> {after.value:.4g} {before.unit}"
        compared.append(line)
        if after.regressed_from(before):
            regressions.append(f"{line} (lets pass {before.tolerance:.0%})")
    return compared, regressions
