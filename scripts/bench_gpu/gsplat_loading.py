"""gsplat as the peer. Its CUDA kernels are compiled at first use, which takes minutes and may fail."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from scripts.bench_gpu.peer import Peer

_COMPILE = """
from gsplat.cuda._backend import _C
raise SystemExit(0 if _C is not None else "gsplat found no CUDA compiler (nvcc) to build its kernels with")
"""


@dataclass(frozen=True)
class Peers:
    """The peers that can be measured, and why there are none."""

    peers: tuple[Peer, ...] = ()
    problem: str | None = None
    """Why gsplat cannot be measured; None where it can."""
    load_s: float = 0.0
    """How long compiling and loading took [s]."""


def load_gsplat(limit_s: float) -> Peers:
    """Compiles gsplat in a process that may take so long [s], then loads it, in both of its layouts."""
    started = time.monotonic()
    problem = run_limited([sys.executable, "-c", _COMPILE], limit_s)
    peers = ()
    if problem is None:
        try:
            peers = _both_layouts()
        except Exception as error:  # whatever is wrong with it: ours is measured without it
            problem = f"{type(error).__name__}: {error}"
    return Peers(peers, problem, time.monotonic() - started)


def _both_layouts() -> tuple[Peer, ...]:
    """Its trainer's layout and its function's default: which one is better depends on the case."""
    from gsplat import DefaultStrategy, rasterization

    layouts = {"gsplat": False, "gsplat packed": True}
    return tuple(Peer(name, rasterization, DefaultStrategy, packed) for name, packed in layouts.items())


def run_limited(command: Sequence[str], limit_s: float) -> str | None:
    """Runs a command with all it starts for at most so long [s]; what went wrong, or None.

    The command gets a process group of its own: compilers that it started end with it.
    """
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    try:
        output, _ = process.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return f"stopped after {limit_s:.3g} s"
    if process.returncode == 0:
        return None
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1][:300] if lines else f"ended with status {process.returncode}"
