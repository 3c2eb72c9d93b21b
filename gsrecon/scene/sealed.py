"""Sealed folders: written aside, flushed to disk, hashed, renamed into place; whole or not there at all."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from gsrecon.errors import CheckpointError, TrainingError

MANIFEST = "manifest.json"
FORMAT_VERSION = 1


def write_sealed(folder: Path, files: Mapping[str, bytes]) -> None:
    """Writes a folder with a manifest of sizes and SHA-256 sums; a folder that was there is replaced.

    Args:
        folder: Where it goes.
        files: Contents by path inside the folder, `/` between parts.

    Raises:
        TrainingError: The disk is full or cannot be written; what was at `folder` is as it was before.
    """
    with disk_errors_explained(folder):
        write_whole(folder, {**files, MANIFEST: manifest(files)})


def write_whole(folder: Path, files: Mapping[str, bytes]) -> None:
    """Writes a folder that is whole or not there; a folder that was there is replaced.

    Args:
        folder: Where it goes.
        files: Contents by path inside the folder, `/` between parts.

    Raises:
        OSError: The disk is full or cannot be written; what was at `folder` is as it was before.
    """
    aside = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    old = folder.with_name(f".{folder.name}.{os.getpid()}.old")
    try:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        for name, content in files.items():
            path = aside / name
            path.parent.mkdir(parents=True, exist_ok=True)
            _write_flushed(path, content)
        for inner in [aside, *(path for path in aside.rglob("*") if path.is_dir())]:
            _flush_folder(inner)
        _swap_in(aside, folder, old)
        _flush_folder(folder.parent)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def read_sealed(folder: Path, wanted: Callable[[str], bool] | None = None) -> dict[str, bytes]:
    """The files of a sealed folder by path, checked against its manifest.

    Args:
        folder: The folder.
        wanted: Says by its path whether a file is needed; None: all are.

    Raises:
        CheckpointError: The folder, its manifest or a file is missing, damaged, or of another format version.
    """
    contents = {}
    for name, seal in _seals(folder, wanted).items():
        with _readable(folder / name):
            content = (folder / name).read_bytes()
        _require_undamaged(folder / name, len(content), hashlib.sha256(content).hexdigest(), seal)
        contents[name] = content
    return contents


def check_sealed(folder: Path, wanted: Callable[[str], bool] | None = None) -> dict[str, Path]:
    """The same check without ever holding a whole file: where the files lie, by path inside the folder.

    Args:
        folder: The folder.
        wanted: Says by its path whether a file is needed; None: all are.

    Raises:
        CheckpointError: The folder, its manifest or a file is missing, damaged, or of another format version.
    """
    paths = {}
    for name, seal in _seals(folder, wanted).items():
        path = folder / name
        with _readable(path), open(path, "rb") as file:
            size, checksum = os.fstat(file.fileno()).st_size, hashlib.file_digest(file, "sha256").hexdigest()
        _require_undamaged(path, size, checksum, seal)
        paths[name] = path
    return paths


def manifest(files: Mapping[str, bytes]) -> bytes:
    """The manifest of some files as JSON."""
    seals = {
        name: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
        for name, content in sorted(files.items())
    }
    return json.dumps({"format_version": FORMAT_VERSION, "files": seals}, indent=1).encode()


@contextmanager
def disk_errors_explained(path: Path) -> Iterator[None]:
    """Turns a full or unwritable disk into one sentence.

    Raises:
        TrainingError: The block met an OSError.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise TrainingError(
            f"{path}: cannot be written ({reason}); make room or choose another folder, then continue from "
            "the last checkpoint, which is intact"
        ) from error


def _seals(folder: Path, wanted: Callable[[str], bool] | None) -> dict[str, dict]:
    """Size and sum of the wanted files by path."""
    files = _read_manifest(folder)["files"]
    return {name: seal for name, seal in files.items() if wanted is None or wanted(name)}


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CheckpointError(
            f"{path}: the file is missing or unreadable ({error.strerror}); copy the folder again from its "
            "source or take an earlier checkpoint"
        ) from error


def _require_undamaged(path: Path, size: int, checksum: str, seal: dict) -> None:
    if size != seal["bytes"] or checksum != seal["sha256"]:
        raise CheckpointError(
            f"{path}: the file is damaged ({size} bytes, {seal['bytes']} were written); copy the folder "
            "again from its source or take an earlier checkpoint"
        )


def _read_manifest(folder: Path) -> dict:
    path = folder / MANIFEST
    try:
        stored = json.loads(path.read_bytes())
        version, _ = stored["format_version"], stored["files"]
    except FileNotFoundError as error:
        raise CheckpointError(
            f"{path}: there is no such file, so {folder} is no scene or checkpoint; name a folder that was "
            "written by gsrecon"
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{path}: the manifest is damaged ({error}); copy the folder again from its source or take an "
            "earlier checkpoint"
        ) from error
    if version != FORMAT_VERSION:
        raise CheckpointError(
            f"{path}: format version {version} is not the {FORMAT_VERSION} this gsrecon reads; use the "
            "gsrecon that wrote it"
        )
    return stored


def _swap_in(aside: Path, folder: Path, old: Path) -> None:
    """Renames `aside` to `folder`; what was there waits at `old` and comes back when that fails."""
    if not folder.exists():
        os.rename(aside, folder)
        return
    os.rename(folder, old)
    try:
        os.rename(aside, folder)
    except OSError:
        os.rename(old, folder)
        raise


def _write_flushed(path: Path, content: bytes) -> None:
    with open(path, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
