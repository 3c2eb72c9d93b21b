"""Measures one case on one number of threads in a process of its own; prints a JSON object."""

import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from cases import Case
from floor import Floor
from ours import Ours
from pairs import blended_pairs
from stages import least_bytes, run_stages
from watch import Watch

_SETTLE_S = 0.01
"""Pause between measurements: threads that spin for more work would disturb the next one."""


@dataclass(frozen=True)
class Job:
    """What the process is asked to do."""

    case: Case
    threads: int
    warmup: int
    runs: int
    floor: str | None
    """Path of the floor's library."""
    count_pairs: bool

    def to_json(self) -> str:
        """For the command line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Job":
        """The job of a command line."""
        values = json.loads(text)
        return cls(**{**values, "case": Case(**values["case"])})


def measure(job: Job) -> dict:
    """Medians of interleaved runs: whole passes, stages, floor."""
    torch.set_num_threads(job.threads)
    ours = Ours(job.case)
    memory = _peak_memory(ours)
    staged = run_stages(ours, Watch())
    assert torch.equal(staged.image, ours.forward()), "the stages do not draw what rasterize draws"
    floor = None
    if job.floor is not None:
        floor = Floor(Path(job.floor), job.case, staged, ours.upstream, job.threads)
    for _ in range(job.warmup):
        _round(ours, floor, Watch())
    watch = Watch()
    for _ in range(job.runs):
        _round(ours, floor, watch)
    return {
        "case": job.case.name,
        "threads": job.threads,
        "times_ms": watch.summary(),
        "memory_bytes": memory,
        "least_bytes": least_bytes(ours, staged),
        "visible": staged.visible,
        "entries": len(staged.lists.entries),
        "pairs": blended_pairs(staged.lists, job.case.width, job.case.height) if job.count_pairs else None,
        "floor_difference": None
        if floor is None
        else float((torch.from_numpy(floor.image) - staged.image[0]).abs().mean()),
    }


def _round(ours: Ours, floor: Floor | None, watch: Watch) -> None:
    """Everything once, so that what disturbs the machine for a while disturbs all alike."""
    time.sleep(_SETTLE_S)
    watch("forward", ours.forward)
    time.sleep(_SETTLE_S)
    watch("forward_backward", ours.forward_backward)
    time.sleep(_SETTLE_S)
    run_stages(ours, watch)
    if floor is not None:
        time.sleep(_SETTLE_S)
        floor.run(watch)


def _peak_memory(ours: Ours) -> dict[str, int] | None:
    """Most resident memory beyond libraries and scene [bytes]; None where the system does not tell."""
    Ours(Case(100, 32, 32)).forward_backward()  # loads what libraries load on first use
    try:
        Path("/proc/self/clear_refs").write_text("5")  # resets the peak
        before = _resident("VmRSS")
        peaks = {}
        for name, work in (("forward", ours.forward), ("forward_backward", ours.forward_backward)):
            work()
            peaks[name] = _resident("VmHWM") - before
        return peaks
    except OSError:
        return None


def _resident(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(field + ":"))


if __name__ == "__main__":
    print(json.dumps(measure(Job.from_json(sys.argv[1]))))
