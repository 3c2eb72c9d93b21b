"""Watching a training: pictures are drawn between its steps, within a share of its time."""

import time
from collections.abc import Callable
from pathlib import Path

from gsrecon.data.log import DrivingLog
from gsrecon.scene.graph import SceneGraph
from gsrecon.train.progress import Progress
from gsrecon_viewer.app import Viewer
from gsrecon_viewer.host import LOCAL, require_address


class LiveView:
    """An observer of training that shows its scene.

    Everything is drawn in the training's own thread, so that no step meets a picture half-way. Where no
    browser looks, a step costs a comparison of two numbers.
    """

    def __init__(
        self,
        folder: Path,
        log: DrivingLog,
        budget: float = 0.2,
        host: str = LOCAL,
        port: int = 8080,
        serving: Callable[[str], None] = lambda address: None,
    ) -> None:
        """Waits for the first scene.

        Args:
            folder: Where files that browsers ask for are written.
            log: The drive.
            budget: Share of the time that pictures may take while somebody looks, 0 to 1.
            host: Address to listen on.
            port: Port, or the next free one.
            serving: Told the address once browsers can look.

        Raises:
            SpecError: This machine cannot listen there.
        """
        require_address(host, port)
        if not 0 < budget < 1:
            raise ValueError(f"budget: expected a share between 0 and 1, got {budget}")
        self._folder, self._log, self._budget = folder, log, budget
        self._place = (host, port)
        self._serving = serving
        self.viewer: Viewer | None = None
        self._credit_s = 0.0
        """Time that pictures may still take; below zero it is what they took too much [s]."""
        self._last = time.perf_counter()

    def on_scene(self, graph: SceneGraph) -> None:
        """A scene that is trained from now on; until the next step nobody else may touch it."""
        if self.viewer is None:
            host, port = self._place
            self.viewer = Viewer(graph, self._folder, self._log, host=host, port=port, own_thread=False)
            self.viewer.shown.lock.acquire()
            self._serving(self.viewer.address)
        elif self.viewer.shown.scene is not graph:
            self.viewer.shown.replace(graph)

    def on_step(self, progress: Progress) -> None:
        """Draws what is due within the budget."""
        viewer = self.viewer
        if viewer is None or not viewer.loop.views():
            return
        started = time.perf_counter()
        earned = (started - self._last) * self._budget / (1 - self._budget)
        # Never more than a second's worth, so that a long pause is not followed by a burst.
        self._credit_s = min(self._credit_s + earned, 1.0)
        viewer.shown.version += 1  # the scene has changed a little
        viewer.shown.lock.release()
        try:
            time.sleep(0)  # whoever waits for the scene (a button that takes a picture) comes in here
            while time.perf_counter() - started < self._credit_s and viewer.loop.draw_next():
                pass
        finally:
            viewer.shown.lock.acquire()
        self._last = time.perf_counter()
        self._credit_s -= self._last - started

    def on_event(self, message: str) -> None:
        """Says it in the browsers."""
        if self.viewer is not None:
            for view in self.viewer.loop.views():
                view.client.add_notification("Training", message, auto_close_seconds=6)

    def stop(self) -> None:
        """Ends the server."""
        if self.viewer is not None:
            self.viewer.shown.lock.release()
            self.viewer.stop()
