"""Times gsrecon beside gsplat on a GPU: drawing, gradients, training steps, memory, real training.

Both draw the same street scenes in turns. gsplat's kernels are compiled at its first use, which takes
minutes; a peer that does not build or runs out of memory is recorded as such. After every work, what was
measured is written to benchmarks/gpu.json, and the page docs/benchmarks-gpu.md from it.

Examples:
  make bench-gpu BENCH_ARGS=--quick                        does it run here? two small cases
  make bench-gpu                                           everything, within 7 minutes
  make bench-gpu BENCH_ARGS="--time-limit 900 --runs 30"   less noise
  make bench-gpu BENCH_ARGS="--kitti ~/kitti"              the real drive from there
"""

import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import tyro

_ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(_ROOT))

from gsrecon.files import write_text  # noqa: E402
from gsrecon.ops._native import cuda_problem  # noqa: E402
from scripts.bench_gpu import document, kitti, machine  # noqa: E402
from scripts.bench_gpu.cases import CASES, SMOKE, Case  # noqa: E402
from scripts.bench_gpu.deadline import Deadline  # noqa: E402
from scripts.bench_gpu.device import CudaDevice, Device, copy_bandwidth  # noqa: E402
from scripts.bench_gpu.gsplat_loading import Peers, load_gsplat  # noqa: E402
from scripts.bench_gpu.measure import Bench, measure_cases  # noqa: E402
from scripts.bench_gpu.rounds import Plan  # noqa: E402

_COMPILING_SHARE = 0.7
"""Of the time limit that gsplat may spend on compiling: without a peer, ours is measured in the rest."""
COPIED_BYTES = 1 << 30
"""By the copy that says what the memory can do; larger than every cache."""
_BEFORE_KITTI = 5
"""So many of the most important cases come before the training on KITTI, the others after it."""


@dataclass(frozen=True)
class Options:
    """What is measured, for how long, and where it goes."""

    quick: bool = False
    """Only two small cases, into runs/bench-gpu; shows that the bench runs."""
    time_limit: float = 420.0
    """What would begin after so many seconds is left out, what was measured by then is kept [s]."""
    runs: int = 10
    """Measured runs, of which the median counts."""
    warmup: int = 3
    """Runs before those."""
    kitti: Path | None = None
    """KITTI raw drive 0001, or a folder with kitti_raw/ in it; when left out, $GSRECON_TEST_DATA or
    ../shared/data if there is such a folder."""
    only: tuple[str, ...] = ()
    """Names of the cases to measure, such as 500k_1600x900; all when left out."""
    commit: str | None = None
    """The commit that is measured, where git cannot tell."""
    results: Path = _ROOT / "benchmarks" / "gpu.json"
    """Where everything measured goes."""
    page: Path = _ROOT / "docs" / "benchmarks-gpu.md"
    """The page that is written from it."""

    @property
    def cases(self) -> tuple[Case, ...]:
        """What is to be measured, in order."""
        every = SMOKE if self.quick else CASES
        unknown = set(self.only) - {case.name for case in every}
        if unknown:
            names = ", ".join(case.name for case in every)
            raise ValueError(f"--only: expected some of {names}, got {', '.join(sorted(unknown))}")
        return tuple(case for case in every if not self.only or case.name in self.only)

    @property
    def destination(self) -> Path:
        """Where the results go: a quick run leaves the committed ones alone."""
        return _ROOT / "runs" / "bench-gpu" / "quick.json" if self.quick else self.results


def main(options: Options) -> int:
    """Measures and writes; gives the exit status."""
    problem = cuda_problem()
    if problem is not None:
        print(f"error: the GPU benchmark cannot run here: {problem}", file=sys.stderr)
        return 1
    try:
        options.cases  # noqa: B018 - refuses unknown names before anything is compiled
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    deadline = Deadline(options.time_limit)
    # cuBLAS refuses deterministic algorithms without it.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    device = CudaDevice()
    facts = machine.describe(options.commit) | machine.describe_gpu(device.where)
    peers = load_gsplat(_COMPILING_SHARE * options.time_limit)
    return benchmark(options, device, facts, peers, deadline)


def benchmark(
    options: Options, device: Device, facts: dict[str, Any], peers: Peers, deadline: Deadline
) -> int:
    """Measures on a device and writes what was found, anew after every work."""
    plan = Plan(1, 2) if options.quick else Plan(options.warmup, options.runs)
    bench = Bench(device, peers.peers, plan, deadline)
    results = {
        "machine": facts,
        "settings": {**asdict(plan), "time_limit_s": options.time_limit},
        "copy_gb_s": copy_bandwidth(device, COPIED_BYTES),
        "peer": {"problem": peers.problem, "load_s": peers.load_s},
        "cases": [],
        "kitti": None,
    }
    cases = options.cases
    _save(results, options)
    _measure_into(results, bench, cases[:_BEFORE_KITTI], options)
    drive = kitti.find_drive(options.kitti) if options.kitti or not options.quick else None
    if drive is not None and not deadline.is_over():
        device.release()
        results["kitti"] = kitti.train(drive, device.where.type, deadline.left())
    _measure_into(results, bench, cases[_BEFORE_KITTI:], options)
    _save(results, options)
    print("\n".join(document.tables(results)))
    print(f"\neverything measured is in {options.destination}")
    if not options.quick:
        print(f"the page is {options.page}")
    return 0


def _measure_into(results: dict[str, Any], bench: Bench, cases: tuple[Case, ...], options: Options) -> None:
    found = results["cases"]
    for row in measure_cases(bench, cases):
        if not found or found[-1] is not row:
            found.append(row)
        _save(results, options)


def _save(results: dict[str, Any], options: Options) -> None:
    write_text(options.destination, json.dumps(results, indent=1) + "\n")
    if not options.quick:
        document.write(options.page, results)


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Options, description=__doc__)))
