"""Choosing a drive's frames, and which of them are held out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from gsrecon.data.log import CameraFrame, DrivingLog
from gsrecon.errors import SpecError


@dataclass(frozen=True)
class FrameRange:
    """Which frames of every camera are used."""

    start: int = 0
    """Index of the first frame."""
    stop: int | None = None
    """Index after the last frame; None: to the end."""
    stride: int = 1
    """Every how many frames, from the first one on."""
    start_keyframe: int | None = None
    """Instead of `start`: the first frame is that of this key frame (annotated moment), counted from 0."""
    limit: int | None = None
    """At most so many frames of each camera."""

    def of(self, log: DrivingLog, cameras: Sequence[str] | None, where: str) -> DrivingLog:
        """The log with these frames of these cameras, in the order the cameras are named.

        Raises:
            SpecError: No frame is left, or the drive has no such key frame; `where` names the spec.
        """
        selected = log.select(cameras, self.start, self.stop)
        frames = tuple(frame for name in selected.cameras for frame in self._of_camera(selected, name, where))
        if not frames:
            length = max((frame.index for frame in log.frames), default=-1) + 1
            raise SpecError(
                f"{where}: start {self.start}, stop {self.stop}, stride {self.stride} select no frame of the "
                f"drive's {length}; widen them"
            )
        return replace(selected, frames=frames)

    def _of_camera(self, log: DrivingLog, camera: str, where: str) -> list[CameraFrame]:
        frames = [frame for frame in log.frames if frame.camera == camera]
        first = self.start
        if self.start_keyframe is not None and frames:
            keys = [frame for frame in frames if frame.key_frame is not None]
            later = [frame.index for frame in keys if (frame.key_frame or 0) >= self.start_keyframe]
            if not later:
                raise SpecError(
                    f"{where}: start_keyframe: {camera} has {len(keys)} key frames, so none is number "
                    f"{self.start_keyframe}; use start, or a smaller number"
                )
            first = min(later)
        chosen = [
            frame for frame in frames if frame.index >= first and (frame.index - first) % self.stride == 0
        ]
        return chosen[: self.limit]


@dataclass(frozen=True)
class TestSplit:
    """Which frames are held out: those whose number % every == offset."""

    __test__ = False  # the name is no test class to pytest

    every: int = 8
    """Period in frames; 0 holds nothing out."""
    offset: int = 4
    """Remainder of a held-out frame's number, below `every`."""
    counted: Literal["recording", "selection"] = "recording"
    """What numbers a frame: its index in its camera's recording, whatever is selected; or its place among the
    selected frames, listed camera by camera in the order of the cameras."""

    def holds_out(self, number: int) -> bool:
        """True where the frame of this number is held out."""
        return self.every > 0 and number % self.every == self.offset

    def test_frames(self, log: DrivingLog) -> tuple[CameraFrame, ...]:
        """The held-out frames of the selected ones, in the log's order."""
        if self.counted == "recording":
            return tuple(frame for frame in log.frames if self.holds_out(frame.index))
        order = {name: i for i, name in enumerate(log.cameras)}
        listed = sorted(log.frames, key=lambda frame: (order[frame.camera], frame.timestamp_us))
        held_out = {id(frame) for number, frame in enumerate(listed) if self.holds_out(number)}
        return tuple(frame for frame in log.frames if id(frame) in held_out)
