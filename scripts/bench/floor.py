"""The floor study beside our rasterizer: built here, driven through ctypes, given our projected Gaussians.

It is throw-away code that shows what a core can do; it has no projection, one camera and three channels.
"""

import ctypes
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import torch
from cases import Case
from stages import Staged
from watch import Watch

STAGES = {"binning": (0, 1), "blend": (2,), "blend_vjp": (3, 4)}
"""The floor's own times that make up one of our stages; binning is our sort and scatter."""


def source() -> Path | None:
    """The study's source, where it is present."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "bench"
    path = Path(os.environ.get("GSRECON_BENCH_DATA", beside)) / "floor.cpp"
    return path if path.is_file() else None


def build(folder: Path) -> Path | None:
    """Compiles the study for this processor; None without its source, a compiler or AVX2."""
    cpp, compiler = source(), shutil.which(os.environ.get("CXX", "g++"))
    capability = torch.backends.cpu.get_cpu_capability()
    if cpp is None or compiler is None or not capability.startswith("AVX"):
        return None
    library = folder / "floor.so"
    wide = ["-DW16"] if capability == "AVX512" else []
    flags = ["-O3", "-march=native", "-fopenmp", "-shared", "-fPIC", "-w", *wide]
    subprocess.run([compiler, *flags, str(cpp), "-o", str(library)], check=True)
    return library


class Floor:
    """The study on one case."""

    def __init__(
        self, library: Path, case: Case, staged: Staged, upstream: torch.Tensor, threads: int
    ) -> None:
        self._library = ctypes.CDLL(str(library))
        self._library.fl_new.restype = ctypes.c_void_p
        self._library.fl_threads(threads)
        self._context = ctypes.c_void_p(self._library.fl_new())
        self._case = case
        p = staged.projection
        self._splats = [
            np.ascontiguousarray(t[0].numpy()) for t in (p.means2d, p.conics, p.opacities, p.colors)
        ]
        self._order = [np.ascontiguousarray(t[0].numpy()) for t in (p.depths, p.radii)]
        self._upstream = upstream[0].contiguous().numpy()
        self._gradients = [np.zeros((case.gaussians, k), np.float32) for k in (2, 3, 1, 3)]
        self.image = np.zeros((case.height, case.width, 3), np.float32)
        self._alpha = np.zeros((case.height, case.width), np.float32)

    def run(self, watch: Watch) -> None:
        """Forward and backward pass; the times go to the watch."""
        case, splats = self._case, [_pointer(a) for a in self._splats]
        self._library.fl_forward(
            self._context, case.gaussians, case.width, case.height, *splats,
            *(_pointer(a) for a in (*self._order, self.image, self._alpha)),
        )  # fmt: skip
        self._library.fl_backward(
            self._context, *splats, _pointer(self._upstream), *(_pointer(a) for a in self._gradients)
        )
        times = (ctypes.c_double * 8)()
        self._library.fl_times(self._context, times)
        for name, parts in STAGES.items():
            watch.add(f"floor_{name}", sum(times[part] for part in parts))


def _pointer(array: np.ndarray) -> ctypes.c_void_p:
    return array.ctypes.data_as(ctypes.c_void_p)
