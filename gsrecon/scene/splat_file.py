"""A splat file as a scene: one background, no recording, no sky."""

import contextlib
from pathlib import Path

from gsrecon.gaussians.ply import comments_of
from gsrecon.gaussians.splat_files import read_splats
from gsrecon.ops.settings import RasterizeSettings
from gsrecon.scene.graph import SceneGraph
from gsrecon.scene.static import StaticGroup

_DRAWN = "rasterize "
NODE = "background"
"""Id of the node that holds the file's Gaussians."""


def open_splat_file(path: Path | str) -> SceneGraph:
    """Opens a splat file (PLY, compressed PLY, SPZ) or coloured points (PLY) as a scene.

    It is drawn as the file's comments say where gsrecon wrote it, else as 3D Gaussian Splatting draws: 0.3
    square pixels are added to every footprint.

    Raises:
        DatasetError: The file is missing, damaged or of no known kind.
        BackendUnavailableError: A compressed file, and the extra that reads it is not installed.
    """
    path = Path(path)
    gaussians = read_splats(path)
    comments = comments_of(path) if path.suffix.lower() == ".ply" else []
    return SceneGraph([StaticGroup(NODE, gaussians)], settings=_settings(comments))


def told_settings(settings: RasterizeSettings) -> str:
    """How a scene is to be drawn, as a comment in a PLY."""
    return f"{_DRAWN}mode={settings.mode} eps2d={settings.eps2d!r}"


def _settings(comments: list[str]) -> RasterizeSettings:
    for comment in comments:
        if comment.startswith(_DRAWN):
            told = dict(word.split("=", 1) for word in comment.split() if "=" in word)
            with contextlib.suppress(KeyError, ValueError):
                mode = "antialiased" if told["mode"] == "antialiased" else "classic"
                return RasterizeSettings(mode=mode, eps2d=float(told["eps2d"]))
    return RasterizeSettings()
