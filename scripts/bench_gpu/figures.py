"""What is judged: our figures beside the best peer's, and the targets."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from scripts.bench_gpu.cases import (
    DETERMINISTIC_TARGET,
    MEMORY_TARGET,
    SPEED_TARGET,
    STEP_TARGET,
    TARGET_CARD,
)
from scripts.bench_gpu.measure import OURS

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Judged:
    """A kind of figure that has a target."""

    label: str
    work: str
    quantity: Literal["event_ms", "memory_mb"]
    target: float
    faster: bool = False
    """The ratio says how many times as fast ours is; otherwise how many times as much ours takes."""
    ours: str = OURS
    """The side that is judged."""
    against: str | None = None
    """The side it is compared with; None: the best of the peers."""
    any_card: bool = False
    """The target is not that of one card alone."""

    @property
    def target_text(self) -> str:
        """As in the table."""
        return f"at least {self.target:g}x" if self.faster else f"at most {self.target:g}x"


JUDGED = (
    Judged("forward [ms]", "forward", "event_ms", SPEED_TARGET, faster=True),
    Judged("forward + backward [ms]", "forward_backward", "event_ms", SPEED_TARGET, faster=True),
    Judged("training step [ms]", "training_step", "event_ms", STEP_TARGET, faster=True),
    Judged("memory, forward + backward [MB]", "forward_backward", "memory_mb", MEMORY_TARGET),
    Judged("memory, training step [MB]", "training_step", "memory_mb", MEMORY_TARGET),
    Judged(
        "deterministic forward + backward [ms]",
        "deterministic",
        "event_ms",
        DETERMINISTIC_TARGET,
        ours="deterministic",
        against=OURS,
        any_card=True,
    ),
)


@dataclass(frozen=True)
class Verdict:
    """Our figure beside the other one; None where it was not measured."""

    ours: float | None
    other: float | None
    other_name: str | None
    ratio: float | None
    met: bool | None
    """None, too, where the target is another card's."""


def has_target(device: str) -> bool:
    """Whether the targets are those of a card of that name."""
    return re.search(rf"\b{TARGET_CARD}\b", device) is not None


def judge(row: Row | None, judged: Judged, device: str) -> Verdict:
    """A figure of a case that was measured on a device, or was not."""
    sides = {} if row is None else row["works"].get(judged.work, {})
    values = {name: value(row, judged.work, name, judged.quantity) for name in sides}
    ours = values.get(judged.ours)
    if judged.against is not None:
        name, other = judged.against, values.get(judged.against)
    else:
        name, other = best_peer(row, judged.work, judged.quantity)
    if ours is None or other is None:
        return Verdict(ours, other, None if other is None else name, None, None)
    ratio = (other / ours if judged.faster else ours / other) if ours and other else None
    if ratio is None or not (judged.any_card or has_target(device)):
        return Verdict(ours, other, name, ratio, None)
    met = ratio >= judged.target if judged.faster else ratio <= judged.target
    return Verdict(ours, other, name, ratio, met)


def best_peer(row: Row | None, work: str, quantity: str) -> tuple[str | None, float | None]:
    """The peer with the least of something: it is judged against the faster and the leaner one."""
    sides = {} if row is None else row["works"].get(work, {})
    known = {name: value(row, work, name, quantity) for name in sides if name != OURS}
    values = {name: figure for name, figure in known.items() if figure is not None}
    if not values:
        return None, None
    best = min(values, key=values.__getitem__)
    return best, values[best]


def value(row: Row | None, work: str, side: str, quantity: str) -> float | None:
    """A side's median time [ms] or memory beyond parameters and gradients [MB]; None if not measured."""
    found = {} if row is None else row["works"].get(work, {}).get(side, {})
    if quantity != "memory_mb":
        return found[quantity]["median"] if quantity in found else None
    if row is None or "peak_bytes" not in found:
        return None
    gradients = 0 if work == "forward" else row["gradient_bytes"]
    return max(0, found["peak_bytes"] - gradients) / 1e6
