"""The app in a real browser without a screen."""

import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gsrecon_viewer.app import Viewer
from gsrecon_viewer.client_view import ClientView
from gsrecon_viewer.painter import Kind, paint
from tests.viewer.looking import agreeing, changed

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
NEEDS_CHROMIUM = pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: apt-get install chromium")
FLAGS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
SIZE = {"width": 960, "height": 480}
CLOSE, MOST = 15.0, 0.8
"""A region is as near as this to the picture's: JPEG and scaling. So many are: labels are over some."""
PATIENCE_S = 30.0


class Tab:
    """A page with the app in it."""

    def __init__(self, page, viewer: Viewer, artifacts: Path) -> None:
        self.page, self.viewer, self._artifacts = page, viewer, artifacts
        known = {view.client.client_id for view in viewer.loop.views()}
        page.goto(viewer.address)
        page.get_by_role("button", name="Play", exact=True).wait_for()
        self.until(lambda: {v.client.client_id for v in viewer.loop.views()} - known, "the browser's coming")
        (self._id,) = {view.client.client_id for view in viewer.loop.views()} - known
        # Chromium without a GPU is told so, above the picture.
        warning = page.locator(".mantine-Notification-root button")
        warning.first.click()
        warning.first.wait_for(state="detached")

    @property
    def view(self) -> ClientView:
        """What the server knows of this tab."""
        return next(view for view in self.viewer.loop.views() if view.client.client_id == self._id)

    def wanted(self, kind: Kind = "colours") -> np.ndarray:
        """What the server would show of the scene from this tab's place."""
        eye = self.view.eye()
        assert eye is not None
        return paint(self.viewer.shown, eye, kind)

    def seen(self, name: str) -> np.ndarray:
        """A screenshot, kept under a name; without the panel."""
        path = self._artifacts / f"{name}.png"
        self.page.screenshot(path=path)
        return np.asarray(Image.open(path).convert("RGB"))[:, : self.view.client.camera.image_width]

    def seen_where(self, condition: Callable[[np.ndarray], bool], name: str) -> np.ndarray:
        """The first screenshot that fulfils a condition."""
        last: list[np.ndarray] = []

        def holds() -> bool:
            last[:] = [self.seen(name)]
            return condition(last[0])

        self.until(holds, name)
        return last[0]

    def at_rest_where(self, condition: Callable[[np.ndarray], bool], name: str) -> np.ndarray:
        """The first screenshot that fulfils a condition and has what the one before has: thin lines, too."""
        before: list[np.ndarray] = []

        def rests(picture: np.ndarray) -> bool:
            last, before[:] = before[:], [picture]
            same = bool(last) and not changed(last[0], picture).any()
            return same and condition(picture)

        return self.seen_where(rests, name)

    def shows(self, name: str, kind: Kind = "colours") -> np.ndarray:
        """A screenshot that is like what the server would show now."""
        return self.seen_where(lambda picture: agreeing(picture, self.wanted(kind), CLOSE) >= MOST, name)

    def choose(self, label: str, option: str) -> None:
        """Takes an option of a drop-down list."""
        self.page.get_by_label(label, exact=True).click()
        self.page.get_by_role("option", name=option, exact=True).click()

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Lets the browser run until something holds."""
        end = time.monotonic() + PATIENCE_S
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError(f"{what}: not within {PATIENCE_S:g} s; see {self._artifacts}")
            self.page.wait_for_timeout(50)

    def fill(self, label: str, value: float) -> None:
        """Types a number beside a slider."""
        row = (
            self.page.get_by_text(label, exact=True)
            .locator("visible=true")
            .locator("xpath=ancestor::*[.//input][1]")
        )
        field = row.locator("input:not([type=hidden])").last
        field.fill(f"{value:g}")
        field.press("Enter")

    def place_of(self, point_in_world: Sequence[float]) -> np.ndarray:
        """Where a point is in the window, [x, y] in pixels."""
        eye = self.view.eye()
        assert eye is not None
        camera = eye.cameras()
        x, y, z, _ = camera.viewmats[0].double().numpy() @ np.array([*point_in_world, 1.0])
        K = camera.Ks[0].double().numpy()
        return np.array([K[0, 0] * x / z + K[0, 2], K[1, 1] * y / z + K[1, 2]])

    def drag(self, start: np.ndarray, end: np.ndarray) -> None:
        """Presses the mouse, moves it step by step, and lets go."""
        mouse = self.page.mouse
        mouse.move(*start)
        self.page.wait_for_timeout(200)
        mouse.down()
        for share in np.linspace(0, 1, 9)[1:]:
            mouse.move(*(start + share * (end - start)))
            self.page.wait_for_timeout(60)
        mouse.up()
