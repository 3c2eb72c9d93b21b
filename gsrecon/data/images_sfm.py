"""Structure from motion of a set of pictures: runs COLMAP once and keeps what it found."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
from jaxtyping import Bool, Float64, Int32, UInt8
from PIL import Image

from gsrecon.data.cache import computed_folder, emptied, file_state, key_of
from gsrecon.data.images_found import Pictures
from gsrecon.data.images_job import colmap_job
from gsrecon.data.images_settings import ImagesSettings
from gsrecon.data.pictures import decode, decode_ids, is_turned, save_upright
from gsrecon.data.progress import Progress
from gsrecon.errors import BackendUnavailableError, DatasetError

_VERSION = 2
"""Goes up whenever the same job gives another result."""

_EXCLUDED = ("ego", "ignore", "moving")
"""Masks under which no feature is looked for."""

_CHECKING = 0.05
"""Share of all that looking at the pictures takes."""

_SHARES = {"features": (_CHECKING, 0.4), "matches": (0.4, 0.6), "poses": (0.6, 0.95), "lens": (0.95, 1.0)}


@dataclass(frozen=True)
class FoundLens:
    """A camera as COLMAP found it, pixel centres at +0.5."""

    model: str
    """`SIMPLE_PINHOLE`, `PINHOLE`, `SIMPLE_RADIAL`, `OPENCV` or `OPENCV_FISHEYE`."""
    params: tuple[float, ...]

    @property
    def K(self) -> Float64[np.ndarray, "3 3"]:  # noqa: N802
        """Intrinsics."""
        simple = self.model.startswith("SIMPLE")
        fx, fy, cx, cy = (self.params[0], *self.params[:3]) if simple else self.params[:4]
        return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])

    @property
    def distortion(self) -> tuple[float, float, float, float] | None:
        """k1, k2, p1, p2, of a fisheye k1 to k4; None where there is no distortion."""
        rest = self.params[3:] if self.model.startswith("SIMPLE") else self.params[4:]
        k1, k2, p1, p2 = (*rest, 0.0, 0.0, 0.0, 0.0)[:4]
        return (k1, k2, p1, p2) if rest else None


@dataclass(frozen=True)
class Model:
    """What COLMAP found, in its own frame: any origin, any axes, any scale."""

    lenses: Mapping[str, FoundLens]
    """By camera."""
    names: tuple[str, ...]
    """Names of the pictures that could be placed."""
    world_from_cam: Float64[np.ndarray, "F 4 4"]
    """Their poses."""
    points: Float64[np.ndarray, "N 3"]
    colors: UInt8[np.ndarray, "N 3"]
    seen_points: Int32[np.ndarray, " M"]
    """Points and, in the same row of `seen_images`, the places in `names` of pictures that saw them."""
    seen_images: Int32[np.ndarray, " M"]

    @staticmethod
    def load(folder: Path) -> "Model":
        """Reads what `reconstruct` keeps."""
        lenses = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        with np.load(folder / "model.npz", allow_pickle=False) as found:
            return Model(
                lenses={
                    unquote(name): FoundLens(lens["model"], tuple(lens["params"]))
                    for name, lens in lenses.items()
                },
                names=tuple(found["names"].tolist()),
                world_from_cam=found["world_from_cam"],
                points=found["points"],
                colors=found["colors"],
                seen_points=found["seen_points"],
                seen_images=found["seen_images"],
            )

    def seen_in(self, name: str) -> Bool[np.ndarray, " N"]:
        """Which points a picture saw."""
        seen = np.zeros(len(self.points), dtype=bool)
        seen[self.seen_points[self.seen_images == self.names.index(name)]] = True
        return seen


def reconstruct(pictures: Pictures, settings: ImagesSettings, where: Path, progress: Progress) -> Model:
    """Poses, lenses and points; from the cache where the same pictures were asked for before.

    Args:
        pictures: All pictures of the drive.
        settings: What is known about them.
        where: Names the drive in errors.
        progress: Told how far it is.

    Raises:
        BackendUnavailableError: pycolmap is not installed.
        DatasetError: A picture is damaged, no pictures could be connected, or COLMAP failed.
    """
    job = colmap_job(pictures, settings)
    files = [[picture.name, *file_state(picture.file)] for picture in pictures.all]
    masks = [
        file_state(path)
        for picture in pictures.all
        for name, path in picture.masks.items()
        if name in _EXCLUDED
    ]
    key = key_of([_VERSION, files, masks, job])
    return Model.load(
        computed_folder(f"sfm-{key}", lambda folder: _compute(folder, pictures, job, where, progress))
    )


def _compute(folder: Path, pictures: Pictures, job: dict[str, Any], where: Path, progress: Progress) -> None:
    """Fills a folder with `model.npz` and `model.json`."""
    for done, picture in enumerate(pictures.all):
        # COLMAP passes damaged pictures over without a word.
        progress("pictures", _CHECKING * done / len(pictures.all))
        decode(picture.file)
    root = emptied(folder / "pictures")
    for picture in pictures.all:
        link = root / picture.name
        link.parent.mkdir(exist_ok=True)
        if is_turned(picture.file):
            save_upright(picture.file, link)  # COLMAP takes pixels as they are stored
        else:
            link.symlink_to(picture.file.resolve())
    masks = _write_masks(folder, pictures)
    whole = {
        **job,
        "pictures": str(root),
        "masks": None if masks is None else str(masks),
        "threads": int(os.environ.get("OMP_NUM_THREADS") or -1),
    }
    (folder / "job.json").write_text(json.dumps(whole), encoding="utf-8")
    _run(folder, where, progress)
    for name in ("pictures", "masks", "sparse"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in ("colmap.db", "pairs.txt"):
        (folder / name).unlink(missing_ok=True)


def _write_masks(folder: Path, pictures: Pictures) -> Path | None:
    """Masks as COLMAP reads them: black where nothing is looked for. None where no picture has one."""
    root = emptied(folder / "masks")
    for picture in pictures.all:
        sources = [path for name, path in picture.masks.items() if name in _EXCLUDED]
        if not sources:
            continue
        width, height = pictures.sizes[picture.camera]
        excluded = np.zeros((height, width), dtype=bool)
        for source in sources:
            mask = decode_ids(source)
            if mask.shape != excluded.shape:
                raise DatasetError(
                    f"{source}: the mask is {mask.shape[1]} x {mask.shape[0]}, but its picture is {width} x "
                    f"{height}; make them equal"
                )
            excluded |= mask != 0
        path = root / f"{picture.name}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.where(excluded, 0, 255).astype(np.uint8)).save(path)
    return root if any(root.iterdir()) else None


def _run(folder: Path, where: Path, progress: Progress) -> None:
    log = folder / "colmap.log"
    with _child([sys.executable, "-m", "gsrecon.data.colmap", str(folder)], log) as process:
        assert process.stdout is not None
        failure = ""
        for line in process.stdout:
            told = json.loads(line)
            failure = told.get("error", failure)
            if "stage" in told:
                begin, end = _SHARES[told["stage"]]
                progress(told["stage"], begin + (end - begin) * told["share"])
        code = process.wait()
    if failure == "pycolmap":
        raise BackendUnavailableError(
            f"{where}: plain pictures need the package 'pycolmap', which is not installed: "
            "pip install 'gsrecon[sfm]'"
        )
    if failure == "unconnected":
        raise DatasetError(
            f"{where}: COLMAP could not connect any of the pictures; check that neighbouring pictures show "
            "the same things, that the camera moves, and that images.toml gives the right lens"
        )
    if code:
        raise DatasetError(f"{where}: COLMAP failed ({_last_message(log)}); its messages are in {log}")


def _last_message(log: Path) -> str:
    """The last line that is none of a stack trace."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines()]
    told = [line for line in lines if line and not line.startswith(("@ ", "PC: @", "***"))]
    return told[-1] if told else "no message"


@contextmanager
def _child(command: list[str], log: Path) -> Iterator[subprocess.Popen[str]]:
    """A process in a session of its own, so that Ctrl-C reaches us first; it never outlives the block."""
    with open(log, "w", encoding="utf-8") as messages:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=messages,
            text=True,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()
