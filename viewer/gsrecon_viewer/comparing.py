"""A recorded picture beside what the scene shows from the same place."""

from typing import Literal, get_args

import numpy as np
import torch
from PIL import Image, ImageDraw

from gsrecon.data.pictures import to_uint8
from gsrecon.scene.recording import RecordedFrame
from gsrecon.scene.render import render_frame
from gsrecon_viewer.painter import RGB
from gsrecon_viewer.shown import Shown

Comparison = Literal["side by side", "wipe", "error"]
COMPARISONS: tuple[Comparison, ...] = get_args(Comparison)


def compare(shown: Shown, frame: RecordedFrame, how: Comparison, wipe: float = 0.5) -> RGB | None:
    """The recorded picture (left) and the rendered one (right); None where the recording is not reachable.

    Args:
        shown: The scene; the drive has to be there, too.
        frame: The recorded picture.
        how: Both beside each other, one that gives way to the other at `wipe`, or where they differ.
        wipe: Share of the width that shows the recording.
    """
    recorded = recorded_picture(shown, frame)
    if recorded is None:
        return None
    with shown.lock, torch.no_grad():
        assert shown.recording is not None
        graph = shown.graph(frame.world_from_cam)
        drawn = render_frame(graph, shown.recording, frame).image[0]
        rendered = to_uint8(drawn.cpu().float().numpy())
    if how == "side by side":
        return np.concatenate([recorded, rendered], axis=1)
    if how == "wipe":
        edge = round(np.clip(wipe, 0, 1) * recorded.shape[1])
        mixed = np.concatenate([recorded[:, :edge], rendered[:, edge:]], axis=1)
        mixed[:, max(0, edge - 1) : edge + 1] = 255
        return mixed
    difference = np.abs(recorded.astype(int) - rendered.astype(int)).mean(axis=2)
    heat = np.clip(difference / 64, 0, 1)[..., None]
    return (heat * [255, 90, 40] + (1 - heat) * 0.25 * recorded).astype(np.uint8)


def recorded_picture(shown: Shown, frame: RecordedFrame) -> RGB | None:
    """The picture as it was recorded, at the size the scene was fitted to."""
    if shown.log is None or shown.recording is None:
        return None
    same = (f for f in shown.log.frames if f.camera == frame.camera and f.timestamp_us == frame.timestamp_us)
    found = next(same, None)
    if found is None:
        return None
    lens = shown.recording.cameras[frame.camera]
    picture = shown.log.image(found)
    if picture.shape[:2] != (lens.height, lens.width):
        picture = np.asarray(Image.fromarray(picture).resize((lens.width, lens.height), Image.Resampling.BOX))
    return picture


def captioned(picture: RGB, how: Comparison) -> RGB:
    """A comparison with words about what is what."""
    height, width = picture.shape[:2]
    size = max(10, round(height / 22))
    if how == "error":
        words = {0: "orange: where the scene differs from the recording"}
    else:
        words = {0: "recorded", (width // 2 if how == "side by side" else width): "reconstructed"}
    drawn = Image.fromarray(picture)
    pen = ImageDraw.Draw(drawn)
    for left, word in words.items():
        anchor, place = ("rt", (left - size, size)) if left == width else ("lt", (left + size, size))
        box = pen.textbbox(place, word, font_size=size, anchor=anchor)
        pen.rectangle((box[0] - 4, box[1] - 3, box[2] + 4, box[3] + 3), fill=(0, 0, 0))
        pen.text(place, word, font_size=size, anchor=anchor, fill=(255, 255, 255))
    return np.asarray(drawn)


def place_in_frame(
    how: Comparison, width: int, height: int, aspect: float, x: float, y: float
) -> tuple[float, float] | None:
    """Where a place of a comparison is in the recorded picture; None where it is in the bars around.

    Args:
        how: What is compared how.
        width: Of the recorded picture [px].
        height: Of the recorded picture [px].
        aspect: The browser's.
        x: From the browser's left edge (0) to its right (1).
        y: From its upper edge (0) to its lower (1).
    """
    beside = 2 if how == "side by side" else 1
    full_width, full_height = _boxed_size(beside * width, height, aspect)
    column = x * full_width - (full_width - beside * width) // 2
    row = y * full_height - (full_height - height) // 2
    if not (0 <= column < beside * width and 0 <= row < height):
        return None
    return (column % width) / width, row / height


def _boxed_size(width: int, height: int, aspect: float) -> tuple[int, int]:
    return max(width, round(height * aspect)), max(height, round(width / aspect))


def letterboxed(picture: RGB, aspect: float) -> RGB:
    """A picture with black bars, so that it has the browser's aspect (width over height)."""
    height, width = picture.shape[:2]
    full_width, full_height = _boxed_size(width, height, aspect)
    canvas = np.zeros((full_height, full_width, 3), dtype=np.uint8)
    top, left = (full_height - height) // 2, (full_width - width) // 2
    canvas[top : top + height, left : left + width] = picture
    return canvas
