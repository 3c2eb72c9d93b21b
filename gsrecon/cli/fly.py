"""Renders a camera path into a folder: PNGs and films, with progress."""

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from gsrecon.cli.console import counting
from gsrecon.evaluation.novel_views import render_path
from gsrecon.evaluation.pictures import depth_picture, write_png
from gsrecon.evaluation.video import film
from gsrecon.geometry.paths import CameraPath

if TYPE_CHECKING:
    from gsrecon.scene.groups_scene import Scene

NEAREST_SHOWN_M = 2.0
FARTHEST_SHOWN_M = 80.0
"""Ends of the colour scale of depth, fixed so that a film does not flicker."""


def fly(
    graph: "Scene",
    path: CameraPath,
    folder: Path,
    camera: str | None = None,
    depth: bool = False,
    with_film: bool = True,
) -> list[Path]:
    """Writes `00000.png` and on, `depth-00000.png` and on, `film.mp4`, `film-depth.mp4`.

    Pictures of an earlier flight that was longer are removed, so that the folder holds one flight.

    Returns:
        The films.
    """
    rate = path.pictures_per_second
    for old in [*folder.glob("[0-9]" * 5 + ".png"), *folder.glob("depth-" + "[0-9]" * 5 + ".png")]:
        old.unlink()
    films = [folder / "film.mp4"] + ([folder / "film-depth.mp4"] if depth else [])
    with ExitStack() as stack:
        counter = stack.enter_context(counting("rendering", len(path)))
        writers = [stack.enter_context(film(name, rate)) for name in films] if with_film else []
        for number, view in enumerate(render_path(graph, path, camera)):
            pictures = [view.image]
            write_png(folder / f"{number:05d}.png", view.image)
            if depth:
                pictures.append(depth_picture(view.depth, NEAREST_SHOWN_M, FARTHEST_SHOWN_M))
                write_png(folder / f"depth-{number:05d}.png", pictures[-1])
            for writer, picture in zip(writers, pictures, strict=False):
                writer.add(picture)
            counter.step()
    return films if with_film else []
