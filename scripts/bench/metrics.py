"""Measured figures, kept with what counts as a regression."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal


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
