"""One browser: its camera, how it wants to see, and when it needs a new picture."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import viser

from gsrecon.scene.recording import RecordedFrame
from gsrecon_viewer.comparing import Comparison, captioned, compare, letterboxed, place_in_frame
from gsrecon_viewer.lens import Eye, pose_of, wxyz_of
from gsrecon_viewer.occlusion import depth_to_send
from gsrecon_viewer.overlays import OVERLAYS
from gsrecon_viewer.pace import Pace
from gsrecon_viewer.painter import Kind, Painted, object_at, object_in_frame, paint_with_depth
from gsrecon_viewer.riding import Ride, ridden_pose
from gsrecon_viewer.shown import Shown

Drawn = Literal["pictures", "splats"]
STILL_AFTER_S = 0.2
"""A camera that has not moved for so long is still [s]."""
LARGEST = 1920
"""Longest side of a picture [px]; larger browsers get it magnified."""


@dataclass
class Wishes:
    """How a browser wants to see."""

    drawn: Drawn = "pictures"
    """By the server, or splats that the browser draws itself."""
    kind: Kind = "colours"
    comparison: Comparison | None = None
    """Shows a recorded picture too; the camera is then that picture's."""
    wipe: float = 0.5
    ride: Ride = field(default_factory=Ride)
    quality: float = 1.0
    """Share of the browser's resolution when nothing moves."""
    through: bool = False
    """Boxes and whatever else is drawn over the scene is seen through what is in front of it."""


@dataclass(frozen=True)
class Wanted:
    """The next picture of a browser."""

    scale: float
    """Share of its resolution."""
    still: bool
    """Nothing moves: no other picture follows at once."""


class ClientView:
    """What is known of a connected browser."""

    def __init__(self, client: viser.ClientHandle, shown: Shown, here: Callable[[], bool]) -> None:
        self.client = client
        self.here = here
        """Whether the browser is still connected."""
        self.wishes = Wishes()
        self.pace = Pace()
        self._shown = shown
        self._moved_at = 0.0
        self._asked = True
        self._version = -1
        self._sent = Wanted(0.0, still=False)
        self._cover: viser.FrameHandle | None = None
        self._covering = threading.Lock()
        self.pictures = 0
        """Pictures sent so far."""

    def moved(self) -> None:
        """The camera was moved by hand."""
        self._moved_at, self._asked = time.monotonic(), True

    def ask(self) -> None:
        """Something else than the scene or the camera has changed."""
        self._asked = True

    def wanted(self, playing: bool) -> Wanted | None:
        """The next picture; None when none is needed."""
        if self.wishes.drawn != "pictures":
            return None
        stale = self._asked or self._version != self._shown.version
        still = time.monotonic() - self._moved_at > STILL_AFTER_S and not playing
        finished = self._sent.still and self._sent.scale >= self.wishes.quality
        if not stale and (not still or finished):
            return None
        eye = self.eye()
        if eye is None:
            return None
        scale = min(self.wishes.quality, self.pace.scale(eye.width * eye.height, moving=not still))
        return Wanted(scale, still)

    def draw(self, wanted: Wanted) -> None:
        """Draws and sends a picture."""
        # Before the camera is read, so that a move that comes meanwhile asks for the next picture.
        self._asked, self._version, self._sent = False, self._shown.version, wanted
        eye = self.eye()
        if eye is None:
            return
        started = time.perf_counter()
        painted = self.painted(eye, wanted.scale, with_depth=not self.wishes.through)
        height, width = painted.picture.shape[:2]
        self.pace.drawn(height * width, time.perf_counter() - started)
        if not self.here() or self.wishes.drawn != "pictures":
            return
        depth = None if painted.depth is None else depth_to_send(painted.depth, coarse=not wanted.still)
        self.client.scene.set_background_image(
            painted.picture, format="jpeg", jpeg_quality=90 if wanted.still else 75, depth=depth
        )
        self.pictures += 1

    def follow(self) -> None:
        """Moves the browser's camera where the ride takes it."""
        ride = self.wishes.ride
        if ride.camera is None or self._shown.recording is None or not self.here():
            return
        pose = ridden_pose(self._shown, ride)
        if pose is None:
            return
        lens, eye = self._shown.recording.cameras[ride.camera], self.eye()
        aspect = lens.width / lens.height if eye is None else eye.width / eye.height
        # Nothing around the recorded picture is to be seen: the drive does not tell what is there.
        half = min(0.5 * lens.height / lens.K[1, 1], 0.5 * lens.width / lens.K[0, 0] / aspect)
        with self.client.atomic():
            self.client.camera.wxyz = wxyz_of(pose)
            self.client.camera.position = tuple(pose[:3, 3].tolist())
            self.client.camera.fov = float(2 * np.arctan(half))

    def eye(self) -> Eye | None:
        """The browser's camera; None before it has told of it."""
        camera = self.client.camera
        try:
            width, height = camera.image_width, camera.image_height
            pose, fov = pose_of(camera.wxyz, camera.position), camera.fov
        except (AssertionError, AttributeError):
            return None
        if not width or not height:
            return None
        shrink = min(1.0, LARGEST / max(width, height))
        return Eye(pose, fov, round(width * shrink), round(height * shrink))

    def compared(self) -> RecordedFrame | None:
        """The recorded picture that is compared with; None where none is."""
        wishes = self.wishes
        comparing = wishes.drawn == "pictures" and wishes.comparison is not None
        if not comparing or wishes.ride.camera is None or self._shown.log is None:
            return None
        return self._shown.nearest_frame(wishes.ride.camera)

    def painted(self, eye: Eye, scale: float = 1.0, with_depth: bool = False) -> Painted:
        """The picture that this browser shows; comparisons are as large as the recording, without depth."""
        wishes, frame = self.wishes, self.compared()
        if frame is not None and wishes.comparison is not None:
            both = compare(self._shown, frame, wishes.comparison, wishes.wipe)
            if both is not None:
                told = captioned(both, wishes.comparison)
                return Painted(letterboxed(told, eye.width / eye.height), None)
        exposure = wishes.ride.camera
        return paint_with_depth(self._shown, eye.scaled(scale), wishes.kind, exposure, with_depth=with_depth)

    def object_at(self, x: float, y: float) -> str | None:
        """The object at a place of what this browser shows (0 to 1 from the upper left), if there is one."""
        wishes, eye, frame = self.wishes, self.eye(), self.compared()
        if eye is None:
            return None
        if frame is None or wishes.comparison is None or self._shown.recording is None:
            return object_at(self._shown, eye, x, y)
        lens = self._shown.recording.cameras[frame.camera]
        aspect = eye.width / eye.height
        place = place_in_frame(wishes.comparison, lens.width, lens.height, aspect, x, y)
        return None if place is None else object_in_frame(self._shown, frame, *place)

    def cover_overlays(self, hide: bool | None = None) -> None:
        """Hides boxes and the like in this browser alone, or shows them again.

        Args:
            hide: Whether to; None hides them where pictures are compared, of which they fit neither.
        """
        with self._covering:
            hide = self.compared() is not None if hide is None else hide
            if hide and self._cover is None:
                # A node of a browser's own takes the place of the one that all share.
                self._cover = self.client.scene.add_frame(OVERLAYS, show_axes=False, visible=False)
            elif not hide and self._cover is not None:
                self._cover.remove()
                self._cover = None
