"""One case from beginning to end: agreement of the pictures, times, memory, and how much there was to do."""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

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
    """The row of each case that the time allows to begin, again whenever there is more in it."""
    for case in cases:
        if bench.deadline.is_over():
            return
        print(f"{case.name}, {bench.deadline.left():.0f} s left", file=sys.stderr, flush=True)
        yield from measure(bench, case)
        bench.device.release()


def measure(bench: Bench, case: Case) -> Iterator[Row]:
    """Everything about a case, in one row that grows; what the time does not allow to begin is left out."""
    row: Row = {**asdict(case), "case": case.name, "works": {}}
    try:
        inputs = make_inputs(case, bench.device.where)
        row["gradient_bytes"] = inputs.gradient_bytes
        row["agreement"] = _agreement(bench, inputs)
    except Exception as error:  # this case does not run here; the next one may
        row["error"] = told(error)
        yield row
        return
    yield row
    for work in (*WORKS, "deterministic"):
        if bench.deadline.is_over():
            return
        row["works"][work] = _measured_work(bench, inputs, work)
        bench.device.release()
        yield row
    if not bench.deadline.is_over():
        row |= _counted(inputs)
        yield row


def _counted(inputs: Inputs) -> Row:
    """How much there is to do. Last: looking into every tile takes seconds."""
    try:
        counts = count(inputs)
    except Exception as error:  # as in the rounds
        return {"uncounted": told(error)}
    return {"counts": asdict(counts), "least_bytes": least_bytes(inputs.case, counts)}


def _measured_work(bench: Bench, inputs: Inputs, work: str) -> Row:
    contestants, failed = {}, {}
    try:
        makers = _deterministic(inputs) if work == "deterministic" else _sides(bench, inputs, work)
    except Exception as error:  # as in the rounds
        return {OURS: {"error": told(error)}}
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
    """Our forward and backward pass as it is, and with the same bits in every run."""
    ours = OurDrawing(inputs)

    def same_bits() -> None:
        torch.use_deterministic_algorithms(True)
        try:
            ours.forward_backward()
        finally:
            torch.use_deterministic_algorithms(False)

    return {
        OURS: lambda: Contestant(ours.forward_backward, ours),
        "deterministic": lambda: Contestant(same_bits, ours),
    }


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
