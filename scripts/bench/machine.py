"""What the figures were measured on."""

import os
import platform
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch

import gsrecon
from gsrecon.ops import _native


def describe(probe_folder: Path | None) -> dict:
    """Machine and versions; with a folder to compile in, also what a core can do at most."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "isa": _native.cpu_isa(),
        "system": platform.system() + " " + platform.machine(),
        "gsrecon": gsrecon.__version__,
        "commit": _commit(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "wait_policy": os.environ.get("OMP_WAIT_POLICY", "default").lower(),
        "load": round(os.getloadavg()[0], 2),
        "ceiling": None if probe_folder is None else _ceiling(probe_folder),
    }


def _ceiling(folder: Path) -> dict | None:
    """Multiply-add rate and memory bandwidth of one core; None without a compiler."""
    compiler = shutil.which(os.environ.get("CXX", "g++"))
    if compiler is None:
        return None
    source, program = Path(__file__).with_name("probe.cpp"), folder / "probe"
    subprocess.run([compiler, "-O3", "-march=native", str(source), "-o", str(program)], check=True)
    out = subprocess.run([str(program)], check=True, capture_output=True, text=True).stdout
    lanes, fma, read = out.split()
    return {"lanes": int(lanes), "fma_gvec_s": float(fma), "read_gb_s": float(read)}


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        fields = dict(line.split(":", 1) for line in lines if ":" in line)
        fields = {key.strip(): value.strip() for key, value in fields.items()}
        return f"{fields['model name']} (family {fields['cpu family']}, model {fields['model']})"
    except (OSError, KeyError):
        return platform.processor() or platform.machine()


def _commit() -> str | None:
    git = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(git, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
