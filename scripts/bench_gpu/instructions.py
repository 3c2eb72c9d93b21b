"""What the machine code of a CUDA kernel executes in each of its loops (`instructions.py composite [90]`).

Needs nvcc, and nvdisasm from a toolkit or from pip's nvidia-cuda-nvdisasm; no GPU. A loop's instructions are
those between its label and the branch back to it, loops inside it left out, both sides of its branches
included. The last column is the least number of cycles a quarter of a multiprocessor needs for a round of one
warp, were nothing ever waited for: one instruction a cycle, and every pipe at its own pace. It is a bound to
compare two versions by, not a time.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CUDA = Path(__file__).parents[2] / "cuda"

_PIPES = {
    "float": r"FADD|FMUL|FFMA|IMAD|HFMA2",
    "special": r"MUFU|POPC|FLO|BREV|FRND|F2I|I2F$",
    "shared": r"LDS|STS|SHFL",
    "memory": r"LDG|STG|LDL|STL|RED|ATOM",
    "control": r"BRA|BSSY|BSYNC|BAR|BREAK|CALL|EXIT|NOP|RET|WARPSYNC|VOTE",
}
"""Instructions by what executes them; the rest is "integer": integers, comparisons, selections."""
_CYCLES = {"integer": 2, "special": 8, "shared": 4, "memory": 4}
"""Cycles for which an instruction of a warp keeps a quarter's pipe, on Hopper (CUDA programming guide); four
quarters share one way to shared memory."""
_INSTRUCTION = re.compile(r"\s+/\*[0-9a-f]+\*/\s+(?:@!?U?P\d+\s+)?(\S+)\s*([^;]*);")
_FUNCTION = re.compile(r"^\.text\.(\S+):")
_LABEL = re.compile(r"^(\.L_x_\d+):")


@dataclass
class Function:
    """One kernel: its instructions and where its labels stand among them."""

    name: str
    instructions: list[tuple[str, str]]
    labels: dict[str, int]


def main() -> None:
    """Prints a table for each kernel of a source."""
    source, generation = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "90"
    for function in functions(disassembled(source, generation)):
        print(function.name)
        for first, last in loops(function):
            counts = counted(function, first, last)
            pipes = ", ".join(f"{count} {pipe}" for pipe, count in sorted(counts.items()))
            print(f"  at {first}: {counts.total()} instructions ({pipes}), {least_cycles(counts)} cycles")


def disassembled(source: str, generation: str) -> str:
    """The machine code of `cuda/gpu/<source>.cu` for one generation of GPUs, as text."""
    for tool in ("nvcc", "nvdisasm"):
        if shutil.which(tool) is None:
            raise SystemExit(f"error: {tool} is not on the PATH")
    with tempfile.TemporaryDirectory() as folder:
        binary = Path(folder) / "kernels.cubin"
        compile_it = ("nvcc", "-std=c++20", "-O3", "--ftz=true", f"-arch=sm_{generation}", "-I", CUDA)
        subprocess.run([*compile_it, "-cubin", CUDA / "gpu" / f"{source}.cu", "-o", binary], check=True)
        shown = subprocess.run(["nvdisasm", "-c", binary], check=True, capture_output=True, text=True)
    return shown.stdout


def functions(text: str) -> Iterator[Function]:
    """The kernels of a disassembly."""
    function = None
    for line in text.splitlines():
        if found := _FUNCTION.match(line):
            if function:
                yield function
            function = Function(found[1], [], {})
        elif function and (found := _LABEL.match(line)):
            function.labels[found[1]] = len(function.instructions)
        elif function and (found := _INSTRUCTION.match(line)):
            function.instructions.append((found[1], found[2]))
    if function:
        yield function


def loops(function: Function) -> list[tuple[int, int]]:
    """First and last instruction of each loop; the branch to itself behind a kernel's end is none."""
    found = []
    for at, (name, operands) in enumerate(function.instructions):
        target = re.search(r"\.L_x_\d+", operands)
        begin = function.labels.get(target[0]) if name.startswith("BRA") and target else None
        if begin is not None and begin < at:
            found.append((begin, at))
    return found


def counted(function: Function, first: int, last: int) -> Counter[str]:
    """Instructions by pipe from `first` to `last`, those of loops inside left out."""
    inside = [(a, b) for a, b in loops(function) if first <= a and b <= last and (a, b) != (first, last)]
    own = (k for k in range(first, last + 1) if not any(a <= k <= b for a, b in inside))
    return Counter(_pipe(function.instructions[k][0]) for k in own)


def least_cycles(counts: Counter[str]) -> int:
    """By the fullest pipe or by one instruction a cycle."""
    return max(counts.total(), *(cycles * counts[pipe] for pipe, cycles in _CYCLES.items()))


def _pipe(instruction: str) -> str:
    name = instruction.split(".")[0]
    return next((pipe for pipe, names in _PIPES.items() if re.match(names, name)), "integer")


if __name__ == "__main__":
    main()
