"""The CUDA kernels on a processor: built over the stand-in for CUDA in tests/shim, in the CPU's place."""

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from gsrecon.ops import _native

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build" / "shim"


@cache
def shim_module() -> ModuleType:
    """The module, built anew where a source has changed; a skip where there is nothing to build with."""
    tools = Path(sys.executable).parent
    cmake = shutil.which("cmake", path=f"{tools}{os.pathsep}{os.environ['PATH']}")
    ninja = shutil.which("ninja", path=f"{tools}{os.pathsep}{os.environ['PATH']}")
    if cmake is None or ninja is None:
        pytest.skip("cmake and ninja are not here, so the CUDA kernels cannot be built for the processor")
    configure = (
        *(cmake, "-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={ninja}", "-DCMAKE_BUILD_TYPE=Release"),
        *(f"-DPython_EXECUTABLE={sys.executable}", "-S", ROOT / "tests" / "shim", "-B", BUILD),
    )
    for command in (configure, (ninja, "-C", BUILD)):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"building the shim failed:\n{done.stdout}\n{done.stderr}"
    (library,) = BUILD.glob("_shim*.so")
    spec = importlib.util.spec_from_file_location("_shim", library)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_new_empty = torch.Tensor.new_empty


def _used_before(like: torch.Tensor, *shape: Any, **options: Any) -> torch.Tensor:
    """Memory as a GPU's allocator gives it, with other things in it: floats are NaN, integers -1."""
    memory = _new_empty(like, *shape, **options)
    memory.reshape(-1).view(torch.uint8).fill_(0xFF)
    return memory


_set = torch.Tensor.set_


def _set_to_used(tensor: torch.Tensor, *storage: Any) -> torch.Tensor:
    """The same where fresh memory is a storage of its own, as for deterministic algorithms."""
    memory = _set(tensor, *storage)
    memory.reshape(-1).view(torch.uint8).fill_(0xFF)
    return memory


@contextmanager
def cuda_on_the_processor(engine: str = "fibers") -> Iterator[None]:
    """Within it, every compiled operation on CPU tensors runs the CUDA kernels.

    Args:
        engine: How the threads of a block run: as `threads` of the operating system, or as `fibers`.
    """
    module = shim_module()
    module.use_engine(engine)

    def kernels_for(tensor: torch.Tensor):
        assert tensor.device.type == "cpu"
        return module.Cuda(0, 0, lambda size: tensor.new_empty(size, dtype=torch.uint8))

    patch = pytest.MonkeyPatch()
    patch.setattr(_native, "kernels_for", kernels_for)
    patch.setattr(torch.Tensor, "new_empty", _used_before)
    patch.setattr(torch.Tensor, "set_", _set_to_used)
    try:
        yield
    finally:
        patch.undo()
        module.use_engine("fibers")
