"""What the stand-in for CUDA does not let pass: mistakes that hang a GPU or give it chance results."""

import shutil
import subprocess
from pathlib import Path

import pytest

SHIM = Path(__file__).parents[1] / "shim"

PROGRAM = """
#include "cuda_runtime.h"
#include <string>

__global__ void together(int* out) { out[threadIdx.x] = __shfl_xor_sync(~0u, (int)threadIdx.x, 1); }

__global__ void some_lanes(int* out) {
    if (threadIdx.x % 3 == 0) out[threadIdx.x] = __any_sync(~0u, 1);
}

__global__ void two_operations(int* out) {
    if (threadIdx.x % 2)
        out[threadIdx.x] = __any_sync(~0u, 1);
    else
        out[threadIdx.x] = __shfl_sync(~0u, 1, 0);
}

int main(int, char** words) {
    int out[64] = {};
    const std::string name = words[1];
    gsrecon_shim::use_engine("fibers");
    gsrecon_shim::run(2, 64, [&] {
        name == "together" ? together(out) : name == "some_lanes" ? some_lanes(out) : two_operations(out);
    });
    return out[6] == 7 ? 0 : 1;
}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("c++") or shutil.which("g++")
    if compiler is None:
        pytest.skip("there is no C++ compiler here")
    folder = tmp_path_factory.mktemp("shim")
    (folder / "program.cpp").write_text(PROGRAM)
    sources = (folder / "program.cpp", SHIM / "block.cpp", SHIM / "fiber.cpp")
    command = (compiler, "-std=c++20", "-pthread", "-I", SHIM, *sources, "-o", folder / "program")
    subprocess.run(command, check=True)
    return folder / "program"


@pytest.mark.parametrize(
    ("kernel", "said"),
    [("some_lanes", "wait for others that never come"), ("two_operations", "meet at different operations")],
)
def test_a_warp_operation_that_lanes_do_not_reach_together_stops_the_test(
    program: Path, kernel: str, said: str
) -> None:
    done = subprocess.run((program, kernel), capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert said in done.stderr


def test_lanes_that_come_together_trade_values(program: Path) -> None:
    assert subprocess.run((program, "together"), check=False).returncode == 0
