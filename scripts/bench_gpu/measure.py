"""One case from beginning to end: counts, agreement of the pictures, times and memory."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils import deterministic

from scripts.bench_gpu.cases import WORKS, Case
from scripts.bench_gpu.counts import count, least_bytes
from scripts.bench_gpu.deadline import Deadline
from scripts.bench_gpu.device import Device
from scripts.bench_gpu.inputs import Inputs, make_inputs
from scripts.bench_gpu.ours import OurDrawing, OurTraining, make_truth
from scripts.bench_gpu.peer import Peer, PeerDrawing, PeerTraining
from scripts.bench_gpu.rounds import Contestant, Plan, in_turns, told

OURS = "ours"
Row = dict[str, Any]


@dataclass(frozen=True)
class Bench:
    """What all cases share."""

    device: Device
    peers: Sequence[Peer]
    plan: Plan
    deadline: Deadline


def measure_cases(bench: Bench, cases: Sequence[Case]) -> Iterator[Row]:
    """A row for each case that the time allows to begin."""
    for case in cases:
        if bench.deadline.is_over():
            return
        print(f"{case.name}, {bench.deadline.left():.0f} s left", file=sys.stderr, flush=True)
        yield measure(bench, case)
        bench.device.release()


def measure(bench: Bench, case: Case) -> Row:
    """Everything about a case; works that the time does not allow to begin are left out."""
    row: Row = {**asdict(case), "case": case.name, "works": {}}
    try:
        inputs = make_inputs(case, bench.device.where)
        counts = count(inputs)
        row |= {"counts": asdict(counts), "least_bytes": least_bytes(case, counts)}
        row["gradient_bytes"] = inputs.gradient_bytes
        row["agreement"] = _agreement(bench, inputs)
    except Exception as error:  # this case does not run here; the next one may
        row["error"] = told(error)
        return row
    for work in (*WORKS, "deterministic"):
        if bench.deadline.is_over():
            break
        row["works"][work] = _measured_work(bench, inputs, work)
        bench.device.release()
    return row


def _measured_work(bench: Bench, inputs: Inputs, work: str) -> Row:
    makers = _deterministic(inputs) if work == "deterministic" else _sides(bench, inputs, work)
    contestants, failed = {}, {}
    for name, make in makers.items():
        try:
            contestants[name] = make()
        except Exception as error:  # as in the rounds
            failed[name] = {"error": told(error)}
            bench.device.release()
    return failed | in_turns(bench.device, contestants, bench.plan, bench.deadline)


def _sides(bench: Bench, inputs: Inputs, work: str) -> dict[str, Callable[[], Contestant]]:
    """What makes each side's work."""
    if work == "training_step":
        truth = make_truth(inputs)
        makers = {OURS: lambda: _training(OurTraining(inputs, truth))}
        for peer in bench.peers:
            makers[peer.name] = lambda peer=peer: _training(PeerTraining(peer, inputs, truth))
        return makers
    makers = {OURS: lambda: _drawing(OurDrawing(inputs), work)}
    for peer in bench.peers:
        makers[peer.name] = lambda peer=peer: _drawing(PeerDrawing(peer, inputs), work)
    return makers


def _training(side: OurTraining | PeerTraining) -> Contestant:
    return Contestant(side.step, side)


def _drawing(side: OurDrawing | PeerDrawing, work: str) -> Contestant:
    return Contestant(getattr(side, work), side)


def _deterministic(inputs: Inputs) -> dict[str, Callable[[], Contestant]]:
    """Our forward and backward pass as it is, the same bits in every run, and without torch's filling.

    Torch fills what `torch.empty` gives when algorithms are to be deterministic, unless told not to.
    """
    ours = OurDrawing(inputs)

    def asked(fill: bool) -> None:
        with _deterministic_algorithms(fill):
            ours.forward_backward()

    return {
        OURS: lambda: Contestant(ours.forward_backward, ours),
        "deterministic": lambda: Contestant(lambda: asked(fill=True), ours),
        "deterministic, unfilled": lambda: Contestant(lambda: asked(fill=False), ours),
    }


@contextmanager
def _deterministic_algorithms(fill: bool) -> Iterator[None]:
    filling: Any = deterministic  # its one attribute is made at run time
    before = torch.are_deterministic_algorithms_enabled(), filling.fill_uninitialized_memory
    try:
        torch.use_deterministic_algorithms(True)
        filling.fill_uninitialized_memory = fill
        yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        filling.fill_uninitialized_memory = before[1]


def _agreement(bench: Bench, inputs: Inputs) -> Row:
    """Mean differences between our pictures, depths and gradients and each peer's."""
    ours, found = OurDrawing(inputs), {}
    drawn = ours.forward()
    ours.forward_backward()
    for peer in bench.peers:
        try:
            found[peer.name] = _difference(ours, drawn, PeerDrawing(peer, inputs))
        except Exception as error:  # as in the rounds
            found[peer.name] = {"error": told(error)}
            bench.device.release()
    return found


def _difference(ours: OurDrawing, drawn: tuple[Tensor, Tensor], other: PeerDrawing) -> dict[str, float]:
    image, depth = other.forward()
    other.forward_backward()
    theirs = other.gradients()
    gradients = {name: _relative(g, theirs[name]) for name, g in ours.gradients().items()}
    return {
        "image": float((drawn[0] - image).abs().mean()),
        "depth": float((drawn[1] - depth).abs().mean() / depth.abs().mean()),
        "gradients": max(gradients.values()),
    }


def _relative(a: Tensor, b: Tensor) -> float:
    return float((a - b).norm() / b.norm().clamp_min(1e-30))
