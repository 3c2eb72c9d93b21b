"""One browser: its camera, how it wants to see, and when it needs a new picture."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
import viser

from gsrecon_viewer.comparing import COMPARISONS, Comparison, compare, letterboxed
from gsrecon_viewer.lens import Eye, pose_of, wxyz_of
from gsrecon_viewer.pace import Pace
from gsrecon_viewer.painter import KINDS, RGB, Kind, paint
from gsrecon_viewer.riding import Ride, ridden_pose
from gsrecon_viewer.shown import Shown

Drawn = Literal["pictures", "splats"]
DRAWN: tuple[Drawn, ...] = get_args(Drawn)
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
        self._scale = 0.0
        self.pictures = 0
        """Pictures sent so far."""

    def moved(self) -> None:
        """The camera was moved by hand."""
        self._moved_at, self._asked = time.monotonic(), True

    def ask(self) -> None:
        """Something else than the scene or the camera has changed."""
        self._asked = True

    def wanted_scale(self, playing: bool) -> float | None:
        """The share of the resolution that the next picture should have; None when none is needed."""
        if self.wishes.drawn != "pictures":
            return None
        stale = self._asked or self._version != self._shown.version
        still = time.monotonic() - self._moved_at > STILL_AFTER_S and not playing
        if not stale and (not still or self._scale >= self.wishes.quality):
            return None
        eye = self.eye()
        if eye is None:
            return None
        return min(self.wishes.quality, self.pace.scale(eye.width * eye.height, moving=not still))

    def draw(self, scale: float) -> None:
        """Draws and sends a picture."""
        # Before the camera is read, so that a move that comes meanwhile asks for the next picture.
        self._asked, self._version, self._scale = False, self._shown.version, scale
        eye = self.eye()
        if eye is None:
            return
        started = time.perf_counter()
        picture = self._picture(eye, scale)
        self.pace.drawn(picture.shape[0] * picture.shape[1], time.perf_counter() - started)
        if not self.here() or self.wishes.drawn != "pictures":
            return
        sharp = scale >= 1
        self.client.scene.set_background_image(picture, format="jpeg", jpeg_quality=90 if sharp else 75)
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
        # All of the recorded picture is to be seen, also where the browser is narrower.
        half = max(0.5 * lens.height / lens.K[1, 1], 0.5 * lens.width / lens.K[0, 0] / aspect)
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

    def _picture(self, eye: Eye, scale: float) -> RGB:
        wishes = self.wishes
        if wishes.comparison is not None and wishes.ride.camera is not None:
            frame = self._shown.nearest_frame(wishes.ride.camera)
            both = None if frame is None else compare(self._shown, frame, wishes.comparison, wishes.wipe)
            if both is not None:
                return letterboxed(both, eye.width / eye.height)
        return paint(self._shown, eye.scaled(scale), wishes.kind, wishes.ride.camera)


def add_view_panel(
    view: ClientView, cameras: list[str], can_compare: bool, redrawn: Callable[[], None]
) -> None:
    """The controls that belong to one browser."""
    gui, wishes = view.client.gui, view.wishes
    with gui.add_folder("View"):
        kind = gui.add_dropdown("Show", KINDS, initial_value=wishes.kind, hint="What each pixel shows")
        drawn = gui.add_dropdown(
            "Drawn by",
            ("server", "browser"),
            initial_value="server",
            hint="Pictures from the server are exact; splats drawn by the browser move smoothly",
        )
        quality = gui.add_slider("Sharpness", 0.25, 1.0, 0.05, 1.0, hint="Share of the resolution when still")
    with gui.add_folder("Ride along", visible=bool(cameras)):
        camera = gui.add_dropdown("Camera", ("free", *cameras), initial_value="free", hint="Follow the rig")
        left = gui.add_slider("Left [m]", -5.0, 5.0, 0.1, 0.0)
        up = gui.add_slider("Up [m]", -1.5, 8.0, 0.1, 0.0)
        yaw = gui.add_slider("Turn [deg]", -180.0, 180.0, 1.0, 0.0, hint="Counter-clockwise from above")
        comparison = gui.add_dropdown(
            "Compare", ("off", *COMPARISONS), initial_value="off", visible=can_compare,
            hint="With the recorded picture; takes the offsets away",
        )  # fmt: skip
        wipe = gui.add_slider("Wipe", 0.0, 1.0, 0.01, 0.5, visible=False)

    def changed(_: object = None) -> None:
        wishes.kind = kind.value
        wishes.quality = quality.value
        chosen = None if camera.value == "free" else camera.value
        how: Comparison | None = next((c for c in COMPARISONS if c == comparison.value), None)
        if how is not None and chosen is None:
            camera.value = chosen = cameras[0]
        wishes.comparison = how
        offsets = (0.0, 0.0, 0.0) if how is not None else (left.value, up.value, yaw.value)
        wishes.ride = Ride(chosen, *offsets)
        wishes.wipe = wipe.value
        wipe.visible = how == "wipe"
        view.follow()
        view.ask()
        redrawn()

    for control in (kind, quality, camera, left, up, yaw, comparison, wipe):
        control.on_update(changed)

    @drawn.on_update
    def _(_: object) -> None:
        wishes.drawn = "pictures" if drawn.value == "server" else "splats"
        if wishes.drawn == "splats":
            view.client.scene.set_background_image(None)
        view.ask()
        redrawn()
