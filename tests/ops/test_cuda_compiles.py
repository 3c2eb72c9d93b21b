"""What nvcc makes of the hot kernels: all stays in registers, as many as the source promises."""

import os
import re
import shutil
import subprocess
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import pytest

from gsrecon.ops import _native

CUDA = Path(__file__).parents[2] / "cuda"
HOT = ("project", "project_vjp", "composite", "composite_vjp", "inspect", "compare_pictures")
GENERATIONS = (75, 86, 90, 100, 120)
"""Of those that are built; 80 and 89 get nearly the registers of 86."""


@dataclass(frozen=True)
class Kernel:
    """A line of ptxas' report."""

    name: str
    registers: int
    local: int
    """Bytes in local memory: spilled, or an array that is indexed at run time."""


def nvcc() -> str:
    from_pip = Path(sysconfig.get_paths()["purelib"]) / "nvidia" / "cu13" / "bin"
    places = ("/usr/local/cuda/bin", os.environ["PATH"], str(from_pip))
    found = os.environ.get("CUDACXX") or next(
        (nvcc for place in places if (nvcc := shutil.which("nvcc", path=place))), None
    )
    if found is None:
        pytest.skip("there is no nvcc here")
    return found


def generations() -> list[int]:
    """Those of GENERATIONS that the compiler knows: nvcc 12.0 to 12.7 stops at sm_90."""
    command = (nvcc(), "--list-gpu-code")
    known = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return [generation for generation in GENERATIONS if f"sm_{generation}" in known]


def report(source: str, generation: int, folder: Path) -> list[Kernel]:
    """The kernels of a source as ptxas compiles them for one generation of GPUs."""
    command = (
        *(nvcc(), "-std=c++20", "-O3", "--ftz=true", "-Werror", "all-warnings", "-I", CUDA, "-cubin"),
        *(
            f"-arch=sm_{generation}",
            "-Xptxas",
            "-v",
            CUDA / "gpu" / f"{source}.cu",
            "-o",
            folder / "kernels.cubin",
        ),
    )
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    entry = re.compile(
        r"Compiling entry function '(\w+)'.*?(\d+) bytes stack frame, (\d+) bytes spill stores"
        r".*?Used (\d+) registers",
        re.DOTALL,
    )
    kernels = [Kernel(m[1], int(m[4]), int(m[2]) + int(m[3])) for m in entry.finditer(done.stderr)]
    assert kernels, f"ptxas reported nothing:\n{done.stderr}"
    return kernels


def promised(source: str) -> int:
    """The number of registers that a source names."""
    numbers = re.findall(
        r"at most (\d+) registers", (CUDA / "gpu" / f"{source}.cu").read_text(encoding="utf-8")
    )
    assert len(numbers) == 1, f"{source}.cu: expected one promise of 'at most N registers', got {numbers}"
    return int(numbers[0])


@pytest.mark.parametrize("source", HOT)
def test_hot_kernels_use_no_local_memory_and_keep_to_their_registers(source: str, tmp_path: Path) -> None:
    budget = promised(source)
    assert 90 in generations()
    for generation in generations():
        for kernel in report(source, generation, tmp_path):
            assert kernel.local == 0, f"sm_{generation}: {kernel}"
            assert kernel.registers <= budget, f"sm_{generation}: {kernel}, promised {budget}"


def test_where_there_is_a_compiler_the_extension_has_the_kernels() -> None:
    nvcc()
    assert hasattr(_native.kernels(), "Cuda")


def test_without_a_driver_the_module_loads_and_says_what_is_missing() -> None:
    module = _native.kernels()
    if not hasattr(module, "Cuda"):
        pytest.skip("this build has no CUDA kernels")
    driver, runtime = module.cuda_versions()
    assert runtime >= 12000
    if driver > 0:
        pytest.skip("there is a driver here")
    assert module.cuda_problem() == "there is no NVIDIA driver on this machine"
    assert _native.cuda_problem() == module.cuda_problem()


@pytest.mark.gpu
def test_on_a_gpu_nothing_is_missing() -> None:
    if not _native.has_cuda_kernels():
        pytest.skip("this build has no CUDA kernels")
    if _native.kernels().cuda_versions()[0] == 0:
        pytest.skip("there is no NVIDIA driver on this machine")
    assert _native.cuda_problem() is None
