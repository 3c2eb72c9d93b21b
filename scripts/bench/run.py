"""Times the rasterizer on the street scenes beside the floor study; `make bench` calls it."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import document
import floor
import machine
import metrics
import tyro
from cases import SMOKE, STREET
from worker import Job

_HERE = Path(__file__).resolve().parent
_ROOT = _HERE.parents[1]
_COMMAND_LINE = {"OMP_WAIT_POLICY": "passive"}
"""What `gsrecon` sets before it trains."""


@dataclass(frozen=True)
class Options:
    """Time the rasterizer on the street scenes, forward and backward, on 1 and 2 threads."""

    quick: bool = False
    """Only one small picture, without the floor and the toy drive: shows that the bench runs."""
    threads: tuple[int, ...] = (1, 2)
    """Numbers of threads; each runs in processes of its own."""
    runs: int = 15
    """Measured runs, of which the median counts."""
    warmup: int = 3
    """Runs before those."""
    toy_steps: int = 150
    """Training steps on the toy drive; 0 leaves it out."""
    gate: bool = False
    """Compare with the baseline; exit status 1 on a regression."""
    write_baseline: bool = False
    """Make this run the baseline."""
    write_docs: bool = True
    """Write docs/benchmarks.md; a quick run never does."""
    results: Path = Path("runs/bench/results.json")
    """Where everything measured goes."""
    baseline: Path = _HERE / "baseline.json"
    """Figures that the gate compares with."""


def main(options: Options) -> int:
    """Measures, then writes, compares and reports; gives the exit status."""
    results = _measure(options)
    options.results.parent.mkdir(parents=True, exist_ok=True)
    options.results.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print("\n".join(document.tables(results)))
    print(f"\neverything measured is in {options.results}")
    measured = metrics.of_results(results)
    if options.write_docs and not options.quick:
        print(f"wrote {document.write(_ROOT / 'docs' / 'benchmarks.md', results)}")
    status = _gate(measured, options.baseline) if options.gate else 0
    if options.write_baseline:
        metrics.save(options.baseline, results["machine"], measured)
        print(f"wrote {options.baseline}")
    return status


def _measure(options: Options) -> dict[str, Any]:
    """All cases on all numbers of threads."""
    cases, threads = (SMOKE, options.threads[:1]) if options.quick else (STREET, options.threads)
    with TemporaryDirectory() as folder:
        described = machine.describe(None if options.quick else Path(folder))
        library = None if options.quick else floor.build(Path(folder))
        rows = []
        for case in cases:
            for count in threads:
                print(f"{case.name}, {count} threads", file=sys.stderr, flush=True)
                job = Job(
                    case,
                    count,
                    warmup=1 if options.quick else options.warmup,
                    runs=3 if options.quick else options.runs,
                    floor=None if library is None else str(library),
                    count_pairs=count == threads[0],
                )
                rows.append(_in_process("worker.py", count, job.to_json()))
    toys = []
    if options.toy_steps > 0 and not options.quick:
        for count in threads:
            print(f"toy drive, {count} threads", file=sys.stderr, flush=True)
            toys.append(_in_process("toy.py", count, str(count), str(options.toy_steps), **_COMMAND_LINE))
    return {"machine": described, "street": rows, "toy": toys}


def _in_process(script: str, threads: int, *arguments: str, **environment: str) -> dict[str, Any]:
    """What a fresh process with that many threads prints."""
    environment = {**environment, **os.environ, "OMP_NUM_THREADS": str(threads)}
    command = [sys.executable, str(_HERE / script), *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    return json.loads(done.stdout.splitlines()[-1])


def _gate(measured: list[metrics.Metric], baseline: Path) -> int:
    compared, regressions = metrics.gate(measured, metrics.load(baseline))
    if not compared:
        print(f"gate: nothing measured here is in {baseline.name}")
        return 1
    print(f"gate: {len(compared)} figures compared, {len(regressions)} regressed")
    for line in regressions:
        print(f"  {line}")
    return 1 if regressions else 0


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Options)))
