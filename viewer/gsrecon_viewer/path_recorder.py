"""A camera path of keyframes, saved as a file for `gsrecon render --path`, and rendered to a film."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from gsrecon.evaluation.video import film
from gsrecon.files import written_aside
from gsrecon.geometry.paths import CameraPath
from gsrecon_viewer.lens import Eye
from gsrecon_viewer.painter import Kind, paint
from gsrecon_viewer.shown import Shown

PICTURES_PER_SECOND = 25


@dataclass(frozen=True)
class Keyframe:
    """A place of the camera, and the moment of the drive it shows."""

    time_s: float
    world_from_cam: Float64[np.ndarray, "4 4"]
    fov_y: float


class PathRecorder:
    """Keyframes in the order in which they are flown, so many seconds apart."""

    def __init__(self) -> None:
        self.keyframes: list[Keyframe] = []
        self.seconds_apart = 2.0

    def add(self, eye: Eye, time_s: float) -> None:
        """Takes the browser's view in."""
        self.keyframes.append(Keyframe(time_s, eye.world_from_cam, eye.fov_y))

    def text(self) -> str:
        """The file's content; see docs/camera-paths.md."""
        lines = ["version = 1", f"pictures_per_second = {PICTURES_PER_SECOND}"]
        for number, keyframe in enumerate(self.keyframes):
            rows = ", ".join(f"[{', '.join(f'{v:.9g}' for v in row)}]" for row in keyframe.world_from_cam)
            lines += [
                "",
                "[[keyframes]]",
                f"time_s = {keyframe.time_s:.6g}",
                f"shown_s = {number * self.seconds_apart:.6g}",
                f"world_from_cam = [{rows}]",
            ]
        return "\n".join(lines) + "\n"

    def save(self, path: Path) -> Path:
        """Writes the path file, aside and renamed.

        Raises:
            ValueError: There are no keyframes.
        """
        if not self.keyframes:
            raise ValueError("there is no keyframe yet: fly to a place and add one")
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_aside(path) as aside:
            aside.write_text(self.text(), encoding="utf-8")
        return path


def render_film(
    shown: Shown, path: CameraPath, target: Path, size: tuple[int, int], fov_y: float, kind: Kind,
    progress: Callable[[float], None],
) -> Path:  # fmt: skip
    """Renders a path to an mp4 of what is shown, edits and switched-off nodes included.

    Args:
        shown: The scene; the moment that others see stays as it is.
        path: Where to fly.
        target: The file to write.
        size: Width and height [px], made even.
        fov_y: Vertical field of view [rad].
        kind: What to show.
        progress: Told the share that is done.
    """
    width, height = (max(16, side // 2 * 2) for side in size)
    target.parent.mkdir(parents=True, exist_ok=True)
    with film(target, path.pictures_per_second) as writer:
        for number, (pose, time_s) in enumerate(zip(path.world_from_cam, path.times_s, strict=True)):
            eye = Eye(pose.double().numpy(), fov_y, width, height)
            writer.add(paint(shown, eye, kind, time_s=float(time_s)))
            progress((number + 1) / len(path))
    return target
