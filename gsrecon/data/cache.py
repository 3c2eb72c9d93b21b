"""Where results that take minutes stay: folders of the user's cache, whole or not there."""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any


def cache_root() -> Path:
    """`$XDG_CACHE_HOME/gsrecon`, or ~/.cache/gsrecon."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gsrecon"


def key_of(content: Any) -> str:
    """A short name for something JSON can hold; other content, another name."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def file_state(path: Path) -> list[Any]:
    """What tells a file from a changed one: place, size and time of the last change."""
    state = path.stat()
    return [str(path.resolve()), state.st_size, state.st_mtime_ns]


def computed_folder(name: str, compute: Callable[[Path], None]) -> Path:
    """The folder `name` of the cache; what is not there yet is computed and renamed when it is complete.

    An unfinished folder stays, so that `compute` can go on where it was stopped. Two processes that want the
    same wait for each other.

    Args:
        name: Of the folder; two different contents never share one.
        compute: Fills the folder it is given.
    """
    root = cache_root()
    root.mkdir(parents=True, exist_ok=True)
    folder = root / name
    if folder.is_dir():
        return folder
    with open(root / f".{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            unfinished = root / f"{name}.unfinished"
            unfinished.mkdir(exist_ok=True)
            compute(unfinished)
            os.replace(unfinished, folder)
        (root / f".{name}.lock").unlink(missing_ok=True)
    return folder


def emptied(folder: Path) -> Path:
    """The folder, new and empty."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
