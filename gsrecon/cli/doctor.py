"""Tells what this machine can run, what is missing and how to get it.

Examples:
  gsrecon doctor
"""

import importlib.metadata
import os
import platform
import shutil
from dataclasses import dataclass
from pathlib import Path

PACKAGES = (
    *("torch", "numpy", "jaxtyping", "tyro", "rich", "plyfile", "safetensors", "pillow", "av", "matplotlib"),
    "tomli-w",
)
OPTIONAL = {
    "embreex": ("the toy drive and the demo", "pip install 'gsrecon[toy]'"),
    "gsplat": ("its backend on a GPU, its densification strategies", "pip install 'gsrecon[gsplat]'"),
    "cuda-python": ("facts about GPUs that torch cannot use", "pip install 'gsrecon[cuda]'"),
}


@dataclass(frozen=True)
class Fact:
    """One line of the doctor's findings."""

    name: str
    said: str
    fine: bool = True
    remedy: str = ""


@dataclass(frozen=True)
class Doctor:
    """Options of `gsrecon doctor`."""

    def run(self) -> int:
        """Prints the facts; 1 when no backend runs."""
        from rich.table import Table
        from rich.text import Text

        from gsrecon.cli.console import console

        out = console()
        backend, gpus, machine, packages = cpu_backend(), gpu_facts(), machine_facts(), package_facts()
        for title, facts in (
            ("Backends", [backend, cuda_backend()]),
            ("GPUs", gpus),
            ("Machine", machine),
            ("Packages", packages),
        ):
            table = Table(title=title, title_justify="left", title_style="bold", show_header=False, box=None)
            for fact in facts:
                mark = Text("ok", style="green") if fact.fine else Text("--", style="yellow")
                table.add_row(mark, fact.name, fact.said)
            out.print(table, soft_wrap=False)
            out.print()
        missing = [fact for fact in [backend, *machine, *packages] if fact.remedy]
        if missing:
            out.print("To get what is missing", style="bold")
            for fact in missing:
                out.print(f"  {fact.name}: {fact.remedy}")
        if backend.fine:
            return 0
        out.print("the rasterizer does not run here: nothing can be trained or rendered", style="red")
        return 1


def machine_facts() -> list[Fact]:
    """Cores, memory, disk."""
    memory = _memory()
    free = shutil.disk_usage(Path()).free
    low = 2 * 2**30
    return [
        Fact("system", f"{platform.system()} {platform.release()}, {platform.machine()}"),
        Fact("processor", _processor()),
        Fact("cores", f"{_usable_cores()} usable of {os.cpu_count()}"),
        Fact("memory", "unknown" if memory is None else f"{memory[1]:.1f} GiB free of {memory[0]:.1f} GiB"),
        Fact("disk", f"{free / 2**30:.1f} GiB free here", free > low, "" if free > low else "make room"),
    ]


def package_facts() -> list[Fact]:
    """Versions, and optional packages that are not there."""
    facts = [Fact("python", platform.python_version()), Fact("gsrecon", _version("gsrecon") or "from source")]
    for name in PACKAGES:
        version = _version(name)
        remedy = "" if version else f"pip install {name}"
        facts.append(Fact(name, version or "missing", version is not None, remedy))
    for name, (purpose, remedy) in OPTIONAL.items():
        version = _version(name)
        said = version or f"not installed; needed for {purpose}"
        facts.append(Fact(name, said, version is not None, "" if version else remedy))
    return facts


def cpu_backend() -> Fact:
    """The compiled rasterizer on the CPU."""
    import torch

    from gsrecon.errors import BackendUnavailableError
    from gsrecon.ops import _native

    try:
        isa = _native.cpu_isa()
    except BackendUnavailableError as error:
        return Fact("cpu", str(error), False, "install gsrecon again where there is a C++ compiler")
    return Fact("cpu", f"{isa} kernels, {torch.get_num_threads()} threads")


def cuda_backend() -> Fact:
    """Our kernels on a GPU, and why not."""
    from gsrecon.errors import BackendUnavailableError
    from gsrecon.ops import _native

    try:
        problem = _native.cuda_problem()
    except BackendUnavailableError as error:
        problem = str(error)
    if problem is not None:
        return Fact("cuda", f"not used: {problem}", False)
    runtime = _native.kernels().cuda_versions()[1]
    return Fact("cuda", f"kernels of CUDA {runtime // 1000}.{runtime % 1000 // 10}; --device auto takes them")


def gpu_facts() -> list[Fact]:
    """Every GPU with its capability and memory, and the driver."""
    import torch

    from gsrecon.ops.cuda_devices import cuda_facts

    told = torch.version.cuda
    lines = [Fact("torch", f"built for CUDA {told}" if told else "built without CUDA", told is not None)]
    try:
        facts = cuda_facts()
    except RuntimeError as error:  # a driver that fails is what a doctor is asked about
        return [*lines, Fact("gpu", " ".join(str(error).split()), False)]
    if facts.driver is not None:
        lines.append(Fact("driver", f"knows CUDA up to {facts.driver[0]}.{facts.driver[1]}"))
    if not facts.devices:
        return [*lines, Fact("gpu", "none; nothing needs one", False)]
    for device in facts.devices:
        major, minor = device.capability
        free = "" if device.free_memory is None else f"{device.free_memory / 2**30:.1f} GiB free of "
        lines.append(
            Fact(
                f"cuda:{device.number}",
                f"{device.name}, capability {major}.{minor}, {free}{device.memory / 2**30:.1f} GiB",
            )
        )
    return lines


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or "unknown"
    names = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")]
    words = set(text.split())
    vectors = [name for name in ("avx2", "avx512f") if name in words]
    return f"{names[0] if names else platform.machine()} ({', '.join(vectors) or 'no AVX2'})"


def _memory() -> tuple[float, float] | None:
    """Total and available memory [GiB]."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    kibibytes = {line.split(":")[0]: int(line.split()[1]) for line in lines if len(line.split()) > 1}
    if "MemTotal" not in kibibytes or "MemAvailable" not in kibibytes:
        return None
    return kibibytes["MemTotal"] / 2**20, kibibytes["MemAvailable"] / 2**20


COMMAND = Doctor
