"""From which sides an object was recorded, and from which it is looked at where an edit list puts it."""

import math
from collections.abc import Collection, Sequence

import numpy as np
import torch
from jaxtyping import Float64

from gsrecon.scene.edit_cast import Cast
from gsrecon.scene.figures import Figure
from gsrecon.scene.groups_sight import half_angle
from gsrecon.scene.recording import RecordedFrame, Recording
from gsrecon.scene.sides import SIDES, azimuth

_PIXELS = 100
"""A picture counts where an object has about this many pixels, as in `gsrecon assets`."""
_BESIDE = math.radians(37)
"""A view this far beside a recorded one, or beside a recorded side's middle, shows mostly what that does."""
_SIDE = 2 * math.pi / len(SIDES)
_MOST_PICTURES = 600
"""Of a long recording, so many pictures tell enough."""


def recorded_sides(figure: Figure, recording: Recording) -> frozenset[str]:
    """The sides of an object that pictures show to which its scene was fitted, as far as boxes can tell.

    Nobody knows here what stood in between.
    """
    return frozenset(_sides(_recorded_from(figure, recording)))


def looked_at_unseen(cast: Cast, ids: Collection[str], before: Cast) -> dict[str, str]:
    """Which objects the recorded cameras would see from sides that were not recorded; what to tell of each.

    Args:
        cast: All objects.
        ids: Which to look at.
        before: The objects as recorded.
    """
    recording = cast.graph.recording
    if recording is None or not recording.frames:
        return {}
    pictures, told = _some(recording.frames), {}
    for id in ids:
        figure = cast[id]
        source = figure.shape.recorded_as
        if source in before:
            recorded = _recorded_from(before[source], recording)
            known = _sides(recorded)
        elif figure.shape.sides is None:
            continue
        else:
            known = [side for side in SIDES if side in figure.shape.sides]
            recorded = np.array([azimuth(side) for side in known])
        turns = _azimuths(figure, recording, pictures)
        away = np.abs(np.angle(np.exp(1j * (turns[:, None] - recorded)))).min(axis=1, initial=np.inf)
        unseen = [side for side in _sides(turns[away > _BESIDE]) if side not in known]
        if unseen:
            told[id] = (
                f"{id} would be looked at from {', '.join(unseen)}, where nobody recorded it (it was seen "
                f"from {', '.join(known) or 'nowhere'})"
            )
    return told


def _recorded_from(figure: Figure, recording: Recording) -> Float64[np.ndarray, " P"]:
    fitted = [frame for frame in recording.frames if not frame.held_out] or list(recording.frames)
    return _azimuths(figure, recording, _some(fitted))


def _sides(turns: Float64[np.ndarray, " P"]) -> list[str]:
    """The sides that are seen from some directions, in their order."""
    numbers = {round(turn / _SIDE) % len(SIDES) for turn in turns.tolist()}
    return [SIDES[number] for number in sorted(numbers)]


def _some(frames: Sequence[RecordedFrame]) -> list[RecordedFrame]:
    """Pictures evenly over the recording, of all cameras alike."""
    cameras: dict[str, list[RecordedFrame]] = {}
    for frame in sorted(frames, key=lambda frame: frame.timestamp_us):
        cameras.setdefault(frame.camera, []).append(frame)
    every = -(-len(frames) // _MOST_PICTURES)
    return [frame for of_camera in cameras.values() for frame in of_camera[::every]]


def _azimuths(
    figure: Figure, recording: Recording, frames: Sequence[RecordedFrame]
) -> Float64[np.ndarray, " P"]:
    """From where pictures look that show enough of an object, counter-clockwise from its x axis [rad]."""
    times = torch.tensor([recording.time_s(frame.timestamp_us) for frame in frames], dtype=torch.float64)
    poses, there = (each.cpu().numpy() for each in figure.way.shown_at(times))
    cameras = np.stack([frame.world_from_cam for frame in frames])
    to_camera = cameras[:, :3, 3] - poses[:, :3, 3]
    distance = np.maximum(np.linalg.norm(to_camera, axis=1), 1e-6)
    ahead = -np.einsum("fi,fi->f", to_camera, cameras[:, :3, 2]) / distance
    lenses = recording.cameras
    widths = {name: half_angle(lens) for name, lens in lenses.items()}
    length, width, height = figure.shape.size_lwh.double().tolist()
    # What passes by is still seen when its middle has left the picture: a quarter of its size may be outside.
    reach = np.arcsin(np.minimum(0.25 * math.hypot(length, width) / distance, 1.0))
    focal = np.array([lenses[frame.camera].K[0, 0] for frame in frames])
    pixels = 0.5 * (length + width) * height * (focal / distance) ** 2
    off = np.arccos(np.clip(ahead, -1.0, 1.0)) - reach
    shown = there & (off <= np.array([widths[frame.camera] for frame in frames])) & (pixels >= _PIXELS)
    offset = np.einsum("fi,fij->fj", to_camera, poses[:, :3, :3])[shown]
    return np.arctan2(offset[:, 1], offset[:, 0])
