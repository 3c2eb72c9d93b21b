"""The GPU benchmark from end to end on the CPU, where gsplat's part is played by our drop-in."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from gsrecon.compat.gsplat import rasterization
from gsrecon.ops.metrics import ssim
from scripts.bench_gpu import document, measure, run
from scripts.bench_gpu.cases import CASES, KITTI_PSNR, SMOKE, WORKS, Case
from scripts.bench_gpu.counts import Counts, count, least_bytes
from scripts.bench_gpu.deadline import Deadline
from scripts.bench_gpu.device import Lap, Work
from scripts.bench_gpu.figures import JUDGED, judge
from scripts.bench_gpu.gsplat_loading import Peers, run_limited
from scripts.bench_gpu.inputs import Inputs, make_inputs
from scripts.bench_gpu.kitti import find_drive
from scripts.bench_gpu.peer import Peer
from scripts.bench_gpu.plain_ssim import PlainSsim

ROOT = Path(__file__).parents[2]
CPU = torch.device("cpu")
TINY = (Case(300, 48, 32), Case(300, 48, 32, cameras=6))
FACTS: dict[str, Any] = {
    "date": "2026-12-01",
    "commit": "abc1234",
    "gsrecon": "0.1",
    "gsplat": "1.5.3",
    "torch": "2.11.0",
    "cuda": "12.8",
    "python": "3.12.1",
    "system": "Linux x86_64",
    "cores": 16,
    "device": "NVIDIA H200",
    "capability": "9.0",
    "memory_gib": 139.8,
    "driver": "570.1",
}


class PretendedDevice:
    """Runs work on the CPU; everything takes 2 ms and 1000 bytes, and 10 s pass on its clock."""

    where = CPU

    def __init__(self) -> None:
        self.now_s = 0.0

    def time(self, work: Work) -> Lap:
        work()
        self.now_s += 10.0
        return Lap(event_ms=2.0, wall_ms=3.0)

    def peak_bytes(self, work: Work) -> int:
        work()
        return 1000

    def release(self) -> None:
        pass


@pytest.fixture
def options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> run.Options:
    """A run of tiny cases that writes into a temporary folder and finds no recording."""
    monkeypatch.setattr(run, "CASES", TINY)
    monkeypatch.setattr(run, "COPIED_BYTES", 1 << 10)
    monkeypatch.setenv("GSRECON_TEST_DATA", str(tmp_path / "no recordings"))
    return run.Options(runs=2, warmup=1, results=tmp_path / "gpu.json", page=tmp_path / "page.md")


def drop_in(name: str, packed: bool) -> Peer:
    strategy = pytest.importorskip(
        "gsplat", reason="gsplat is not installed; the dev extra brings it"
    ).DefaultStrategy
    return Peer(name, rasterization, strategy, packed)


def results_of(options: run.Options, peers: Peers, seconds: float = 1e9) -> dict[str, Any]:
    device = PretendedDevice()
    deadline = Deadline(seconds, clock=lambda: device.now_s)
    assert run.benchmark(options, device, FACTS, peers, deadline) == 0
    return json.loads(options.results.read_text())


def test_a_run_measures_every_work_of_all_sides_and_writes_the_page(options: run.Options):
    results = results_of(options, Peers((drop_in("flat", False), drop_in("packed", True)), load_s=120.0))
    assert [row["case"] for row in results["cases"]] == [case.name for case in TINY]
    for row in results["cases"]:
        assert set(row["works"]) == {*WORKS, "deterministic"}
        for work in WORKS:
            assert set(row["works"][work]) == {"ours", "flat", "packed"}
            for side in row["works"][work].values():
                assert side["event_ms"] == {"median": 2.0, "min": 2.0, "max": 2.0, "runs": 2}
                assert side["peak_bytes"] == 1000
        for difference in row["agreement"].values():
            assert difference["image"] < 1e-6
            assert difference["depth"] < 1e-5
            assert difference["gradients"] < 1e-3
    assert options.page.read_text() == document.page(results)
    assert not torch.are_deterministic_algorithms_enabled()


def test_a_peer_that_fails_is_recorded_and_ours_is_measured(options: run.Options):
    def out_of_memory(*arguments: Any, **named: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB\nmore")

    results = results_of(options, Peers((Peer("gsplat", out_of_memory, lambda **_: None, False),)))
    for row in results["cases"]:
        for work in WORKS:
            sides = row["works"][work]
            assert "event_ms" in sides["ours"]
            assert set(sides["gsplat"]) == {"error"}
        assert judge(row, JUDGED[0], FACTS["device"]).met is None
    told = "- 300_48x32, forward, gsplat: OutOfMemoryError: CUDA out of memory. Tried to allocate 9 GiB"
    assert told in options.page.read_text().splitlines()


def test_without_a_peer_the_page_says_why(options: run.Options):
    results = results_of(options, Peers(problem="gsplat found no CUDA compiler", load_s=3.0))
    assert all(set(row["works"]["forward"]) == {"ours"} for row in results["cases"])
    assert "- gsplat, everywhere: gsplat found no CUDA compiler" in options.page.read_text()


def test_a_run_that_breaks_off_keeps_what_was_measured(options: run.Options):
    class Breaking(PretendedDevice):
        def time(self, work: Work) -> Lap:
            if self.now_s > 135.0:  # in the second work
                raise KeyboardInterrupt
            return super().time(work)

    device = Breaking()
    with pytest.raises(KeyboardInterrupt):
        run.benchmark(
            options, device, FACTS, Peers(problem="none"), Deadline(1e9, clock=lambda: device.now_s)
        )
    (row,) = json.loads(options.results.read_text())["cases"]
    assert list(row["works"]) == ["forward"]
    assert "| 300_48x32 | forward [ms] | 2.00 |" in options.page.read_text()


def test_what_fails_beside_the_works_is_told_and_the_next_case_is_measured(
    options: run.Options, monkeypatch: pytest.MonkeyPatch
):
    def out_of_memory(*arguments: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(measure, "count", out_of_memory)
    monkeypatch.setattr(measure, "make_truth", out_of_memory)
    results = results_of(options, Peers(problem="none"))
    assert [row["case"] for row in results["cases"]] == [case.name for case in TINY]
    page = options.page.read_text().splitlines()
    assert "- 300_48x32, counts: OutOfMemoryError: CUDA out of memory" in page
    assert "- 300_48x32, training step, ours: OutOfMemoryError: CUDA out of memory" in page
    assert "| 300_48x32 | forward [ms] | 2.00 | – | – | at least 1.5x | not measured |" in page


def test_the_time_limit_keeps_what_was_measured(options: run.Options):
    # The copy takes 100 s; of the first case, a warm-up and two runs of a work take 30 s.
    results = results_of(options, Peers(problem="none"), seconds=140.0)
    (row,) = results["cases"]
    assert list(row["works"]) == ["forward", "forward_backward"]
    assert row["works"]["forward"]["ours"]["event_ms"]["runs"] == 2
    assert row["works"]["forward_backward"]["ours"]["event_ms"]["runs"] == 1
    page = options.page.read_text()
    assert "- 300_48x32, training step: the time limit" in page
    assert "| 300_48x32 | training step [ms] | – | – | – | at least 2x | not measured |" in page


def test_without_a_gpu_one_sentence_says_so_and_nothing_is_written(
    options: run.Options, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(run, "cuda_problem", lambda: "there is no NVIDIA driver on this machine")
    assert run.main(options) == 1
    told = "error: the GPU benchmark cannot run here: there is no NVIDIA driver on this machine\n"
    assert capsys.readouterr().err == told
    assert not options.results.exists()
    assert not options.page.exists()


def test_a_quick_run_leaves_the_committed_results_alone():
    assert run.Options(quick=True).destination == ROOT / "runs" / "bench-gpu" / "quick.json"
    assert run.Options().destination == ROOT / "benchmarks" / "gpu.json"


def test_an_unknown_case_is_told_with_those_there_are():
    with pytest.raises(ValueError, match="500k_1600x900, 3M_1600x900.*got 7k_1x1"):
        _ = run.Options(only=("7k_1x1",)).cases
    assert run.Options(only=("3M_6x1600x900",)).cases == (Case(3_000_000, 1600, 900, 6),)


def test_the_command_explains_itself():
    command = [sys.executable, "scripts/bench_gpu/run.py", "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "make bench-gpu BENCH_ARGS=--quick" in done.stdout
    assert "--time-limit" in done.stdout


def test_the_committed_page_is_what_the_writer_makes_of_the_committed_results():
    stored = ROOT / "benchmarks" / "gpu.json"
    results = json.loads(stored.read_text()) if stored.is_file() else None
    assert (ROOT / "docs" / "benchmarks-gpu.md").read_text() == document.page(results)


def test_a_page_without_results_says_so_and_has_an_empty_table():
    page = document.page(None)
    assert "No GPU was available so far" in page
    assert "`make bench-gpu`" in page
    rows = [line for line in page.splitlines() if line.startswith("| ") and "not measured" in line]
    assert len(rows) == len(CASES) * len(JUDGED) + 2


def made_up() -> dict[str, Any]:
    """One case: 4 ms beside 8 and 7, 50 MB of memory beside 100 and 60, with 10 MB of gradients each."""

    def side(ms: float, megabytes: float = 60) -> dict[str, Any]:
        times = {"median": ms, "min": ms, "max": ms, "runs": 10}
        return {
            "event_ms": times,
            "wall_ms": {**times, "median": ms + 1},
            "peak_bytes": int(megabytes * 1e6),
        }

    sides = {"ours": side(4), "gsplat": side(8, 110), "gsplat packed": side(7, 70)}
    case = Case(500_000, 1600, 900)
    counts = Counts(visible=300_000, views=300_000, entries=2_000_000, pairs=64_000_000)
    return {
        "machine": FACTS,
        "settings": {"warmup": 3, "runs": 10, "time_limit_s": 420.0},
        "copy_gb_s": 2800.0,
        "peer": {"problem": None, "load_s": 150.0},
        "cases": [
            {
                "case": case.name,
                "counts": vars(counts),
                "least_bytes": least_bytes(case, counts),
                "gradient_bytes": 10_000_000,
                "agreement": {"gsplat": {"image": 2e-5, "depth": 1e-4, "gradients": 3e-2}},
                "works": {
                    **dict.fromkeys(WORKS, sides),
                    "deterministic": {"ours": side(4), "deterministic": side(5)},
                },
            }
        ],
        "kitti": {"psnr": 29.4, "training_s": 19.6, "wall_s": 41.0, "steps": 9000, "gaussians": 400_000},
    }


@pytest.mark.parametrize(
    "line",
    [
        "| 500k_1600x900 | forward [ms] | 4.00 | 7.00 (gsplat packed) | 1.75x | at least 1.5x | yes |",
        "| 500k_1600x900 | training step [ms] | 4.00 | 7.00 (gsplat packed) | 1.75x | at least 2x | no |",
        "| 500k_1600x900 | memory, forward + backward [MB] | 50.0 | 60.0 (gsplat packed) | 0.83x "
        "| at most 0.7x | no |",
        "| 500k_1600x900 | deterministic forward + backward [ms] | 5.00 | 4.00 (default) | 1.25x "
        "| at most 1.3x | yes |",
        f"| KITTI raw 0001 | held-out PSNR [dB] | 29.40 | 29.26 (CPU) | – | at least {KITTI_PSNR} | yes |",
        "| KITTI raw 0001 | training [s] | 19.6 (41 in all) | 360 (CPU) | 18x | less than 20 | yes |",
        "| 500k_1600x900 | gsplat | 2.0e-05 | 1.0e-04 | 3.0e-02 | yes |",
    ],
)
def test_the_page_judges_ours_by_the_better_peer(line: str):
    assert line in document.page(made_up()).splitlines()


@pytest.mark.parametrize("device", ["NVIDIA H100 80GB HBM3", "NVIDIA GH200 480GB"])
def test_another_card_has_its_own_name_and_the_same_figures_but_is_not_judged(device: str):
    results = made_up()
    results["machine"] = {**FACTS, "device": device, "memory_gib": 79.2}
    text = document.page(results)
    page = text.splitlines()
    assert f" on {device}, compute capability 9.0, 79.2 GiB, driver 570.1; " in text
    for line in (
        "| 500k_1600x900 | forward [ms] | 4.00 | 7.00 (gsplat packed) | 1.75x "
        "| at least 1.5x | not an H200 |",
        "| 500k_1600x900 | memory, forward + backward [MB] | 50.0 | 60.0 (gsplat packed) | 0.83x "
        "| at most 0.7x | not an H200 |",
        "| 500k_1600x900 | deterministic forward + backward [ms] | 5.00 | 4.00 (default) | 1.25x "
        "| at most 1.3x | yes |",
        "| KITTI raw 0001 | training [s] | 19.6 (41 in all) | 360 (CPU) | 18x | less than 20 | not an H200 |",
    ):
        assert line in page


def test_twenty_seconds_are_not_less_than_twenty():
    results = made_up()
    results["kitti"]["training_s"] = 20.04
    line = "| KITTI raw 0001 | training [s] | 20.0 (41 in all) | 360 (CPU) | 18x | less than 20 | no |"
    assert line in document.page(results).splitlines()


def test_the_page_has_rates_by_the_counted_work_and_the_copy():
    # 64e6 pairs in 4 ms; 16 * 500e3 + 316 * 300e3 + 8 * 2e6 + 20 * 1.44e6 bytes in 4 ms, of 2800 GB/s.
    expected = "| 500k_1600x900 | forward | 64.0 | 16000 | 9143 | 36.9 | 1% | 5.00 | 8.00 | 60.0 | 70.0 |"
    assert expected in document.page(made_up()).splitlines()


def test_work_is_counted_as_the_cpu_benchmark_counts_it_and_adds_up_over_a_rig():
    counts = count(make_inputs(SMOKE[0], CPU))
    assert counts.pairs == pytest.approx(873_705, rel=1e-3)
    assert counts.views == counts.visible
    inputs = make_inputs(TINY[1], CPU)
    rig, alone = count(inputs), [count(one) for one in each_camera(inputs)]
    assert rig.pairs == sum(counts.pairs for counts in alone)
    assert rig.views == sum(counts.views for counts in alone)
    assert rig.entries == sum(counts.entries for counts in alone)
    assert max(counts.visible for counts in alone) < rig.visible <= TINY[1].gaussians


def each_camera(inputs: Inputs) -> list[Inputs]:
    rig, case = inputs.cameras, replace(inputs.case, cameras=1)
    cameras = [replace(rig, viewmats=v[None], Ks=K[None]) for v, K in zip(rig.viewmats, rig.Ks, strict=True)]
    return [replace(inputs, case=case, cameras=camera) for camera in cameras]


def test_a_rig_looks_around_from_one_place():
    viewmats = make_inputs(TINY[1], CPU).cameras.viewmats.double()
    assert torch.allclose(viewmats[0], make_inputs(TINY[0], CPU).cameras.viewmats[0].double())
    rotations = viewmats[:, :3, :3]
    assert torch.allclose(rotations @ rotations.mT, torch.eye(3).double().expand(6, 3, 3), atol=1e-6)
    centres = -(rotations.mT @ viewmats[:, :3, 3:])[..., 0]
    assert torch.allclose(centres, centres[:1].expand(6, 3), atol=1e-5)
    forwards, rights = rotations[:, 2], rotations[0, 0]
    assert float(forwards[1] @ rights) == pytest.approx(0.8192, abs=1e-3)  # 55 degrees to the right
    assert torch.allclose(forwards[5], -forwards[0], atol=1e-6)


def test_the_peers_ssim_is_ours(generator: torch.Generator):
    image, truth = torch.rand(2, 2, 40, 30, 3, generator=generator)
    assert float(PlainSsim(CPU)(image, truth)) == pytest.approx(float(ssim(image, truth)), abs=1e-5)


def test_a_command_is_stopped_with_what_it_started_when_its_time_is_over():
    forever = "import subprocess; subprocess.run(['sleep', '600'])"
    assert run_limited([sys.executable, "-c", forever], 0.5) == "stopped after 0.5 s"


def test_a_command_that_fails_says_why_in_its_last_line():
    assert run_limited([sys.executable, "-c", "print('a'); raise SystemExit('no nvcc')"], 60) == "no nvcc"
    assert run_limited([sys.executable, "-c", "pass"], 60) is None


def test_the_recording_is_found_by_its_folder_or_the_one_above(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("GSRECON_TEST_DATA", str(tmp_path / "elsewhere"))
    assert find_drive(None) is None
    drive = tmp_path / "kitti_raw" / "2011_09_26" / "2011_09_26_drive_0001_sync"
    drive.mkdir(parents=True)
    assert find_drive(tmp_path) == find_drive(drive) == drive
    monkeypatch.setenv("GSRECON_TEST_DATA", str(tmp_path))
    assert find_drive(None) == drive
