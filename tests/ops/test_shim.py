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

// A lane reads what its neighbour wrote: a vote between them orders nothing, a barrier of the warp does.
template <bool barrier> __global__ void neighbours(int* out) {
    __shared__ int values[64];
    values[threadIdx.x] = (int)threadIdx.x;
    if (barrier) __syncwarp();
    __any_sync(~0u, 1);
    out[threadIdx.x] = values[threadIdx.x ^ 1];
}

namespace gsrecon::gpu {
// Two kernels, as variables of templates and of other functions lie apart.
template <int count> __global__ void unwritten(int* out) {
    __shared__ float values[count];
    __syncthreads();
    out[threadIdx.x] = std::isnan(values[threadIdx.x]) ? 7 : 0;
    values[threadIdx.x] = 1.0f;
}
__global__ void unwritten_doubles(int* out) {
    __shared__ double values[64];
    __syncthreads();
    out[threadIdx.x] = std::isnan(values[threadIdx.x]) ? 7 : 0;
    values[threadIdx.x] = 1.0;
}
}  // namespace gsrecon::gpu

int main(int, char** words) {
    static int out[64] = {};
    const std::string name = words[1];
    gsrecon_shim::use_engine(words[2]);
    gsrecon_shim::run(1, 64, [&] {
        if (name == "together") together(out);
        if (name == "some_lanes") some_lanes(out);
        if (name == "two_operations") two_operations(out);
        if (name == "ordered_neighbours") neighbours<true>(out);
        if (name == "neighbours") neighbours<false>(out);
        if (name == "unwritten") gsrecon::gpu::unwritten<64>(out);
        if (name == "unwritten_doubles") gsrecon::gpu::unwritten_doubles(out);
    });
    return out[6] == 7 ? 0 : 1;
}
"""


def built(folder: Path, *options: str) -> Path:
    """The program; a skip where it cannot be compiled."""
    compiler = shutil.which("c++") or shutil.which("g++")
    if compiler is None:
        pytest.skip("there is no C++ compiler here")
    (folder / "program.cpp").write_text(PROGRAM)
    sources = (folder / "program.cpp", SHIM / "block.cpp", SHIM / "fiber.cpp")
    command = (
        compiler,
        "-std=c++20",
        "-g",
        "-pthread",
        *options,
        "-I",
        SHIM,
        *sources,
        "-fdata-sections",
        f"-Wl,-T,{SHIM / 'shared.ld'}",
        "-o",
        folder / "program",
    )
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if options and done.returncode != 0:
        pytest.skip(f"{' '.join(options)} does not work here: {done.stderr[-200:]}")
    assert done.returncode == 0, done.stderr
    return folder / "program"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("shim"))


@pytest.mark.parametrize(
    ("kernel", "said"),
    [("some_lanes", "wait for others that never come"), ("two_operations", "meet at different operations")],
)
def test_a_warp_operation_that_lanes_do_not_reach_together_stops_the_test(
    program: Path, kernel: str, said: str
) -> None:
    done = subprocess.run((program, kernel, "fibers"), capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert said in done.stderr


@pytest.mark.parametrize("engine", ["fibers", "threads"])
def test_lanes_that_come_together_trade_values(program: Path, engine: str) -> None:
    assert subprocess.run((program, "together", engine), check=False).returncode == 0


@pytest.mark.parametrize("engine", ["fibers", "threads"])
@pytest.mark.parametrize("kernel", ["unwritten", "unwritten_doubles"])
def test_shared_memory_has_been_used_before(program: Path, kernel: str, engine: str) -> None:
    assert subprocess.run((program, kernel, engine), check=False).returncode == 0


def test_a_missing_barrier_of_a_warp_is_a_race_even_where_a_vote_stands_in_its_place(tmp_path: Path) -> None:
    program = built(tmp_path, "-fsanitize=thread")
    fixed_layout = ("setarch", "-R") if shutil.which("setarch") else ()
    found = {}
    for kernel in ("neighbours", "ordered_neighbours"):
        command = (*fixed_layout, program, kernel, "threads")
        found[kernel] = subprocess.run(command, capture_output=True, text=True, check=False)
    if "unexpected memory mapping" in found["ordered_neighbours"].stderr:
        pytest.skip("ThreadSanitizer does not run here")
    assert "data race" in found["neighbours"].stderr
    assert found["ordered_neighbours"].returncode == 0, found["ordered_neighbours"].stderr
