"""Where rendered pictures stay: in memory, or in a cache folder written aside and renamed when complete."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import TracebackType

import numpy as np
from jaxtyping import Float32
from PIL import Image

from gsrecon.data.pictures import PictureSource
from gsrecon.data.toy.config import ToyConfig

VERSION = 4
"""Goes up whenever the same config gives other bits, so that no stale pictures are read."""


class Store:
    """Pictures and points of one config by name; what is not there yet is rendered and kept.

    A context manager: leaving it without an error makes a newly written folder the cached one.
    """

    def __init__(self, cache: Path | None, config: ToyConfig) -> None:
        self.folder: Path | None = None
        self._aside: Path | None = None
        if cache is None:
            return
        text = json.dumps({"version": VERSION, **asdict(config)}, sort_keys=True)
        self.folder = cache / f"toy-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
        if not self.folder.is_dir():
            cache.mkdir(parents=True, exist_ok=True)
            self._aside = Path(tempfile.mkdtemp(prefix="toy-unfinished-", dir=cache))
            (self._aside / "config.json").write_text(text)

    @property
    def complete(self) -> bool:
        """Whether everything is in the cache already and nothing will be rendered."""
        return self.folder is not None and self._aside is None

    def __enter__(self) -> "Store":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._aside is None or self.folder is None:
            return
        if kind is None and not self.folder.is_dir():
            os.replace(self._aside, self.folder)
        else:
            # Another process was first with the same bits, or the rendering failed.
            shutil.rmtree(self._aside, ignore_errors=True)
        self._aside = None

    def pictures(self, name: str, render: Callable[[], dict[str, np.ndarray]]) -> dict[str, PictureSource]:
        """The pictures that `render` makes, by kind."""
        if self.folder is None:
            return dict(render())
        kinds = ("image", "semantic", "instance", "moving", "sky")
        if self._aside is not None:
            for kind, pixels in render().items():
                path = self._aside / kind / f"{name}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(path, compress_level=1)
        return {kind: self.folder / kind / f"{name}.png" for kind in kinds}

    def points(
        self, name: str, cast: Callable[[], Float32[np.ndarray, "N 5"]]
    ) -> Path | Float32[np.ndarray, "N 5"]:
        """The points that `cast` makes."""
        if self.folder is None:
            return cast()
        if self._aside is not None:
            path = self._aside / f"{name}.npy"
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, cast())
        return self.folder / f"{name}.npy"
