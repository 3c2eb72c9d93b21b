"""One thread draws for all browsers, in turn: whoever has waited longest comes first."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable

from gsrecon_viewer.client_view import ClientView, Wanted

_log = logging.getLogger("gsrecon.viewer")
_IDLE_S = 0.05
"""Longest sleep between looks for work: a still camera gets its sharp picture without an event [s]."""


class DrawingLoop:
    """Draws what browsers need; `draw_next` can also be called from elsewhere, such as a training loop."""

    def __init__(self, playing: Callable[[], bool]) -> None:
        self._playing = playing
        self._views: dict[int, ClientView] = {}
        self._waiting: dict[int, float] = {}
        self._wake = threading.Event()
        self._stopped = False
        self._thread: threading.Thread | None = None
        self._told: str | None = None

    def start(self) -> None:
        """Draws in a thread from now on."""
        self._thread = threading.Thread(target=self._run, name="gsrecon-viewer-drawing", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread."""
        self._stopped = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout=10)

    def add(self, view: ClientView) -> None:
        """A browser has come."""
        self._views[view.client.client_id] = view
        self.wake()

    def remove(self, client_id: int) -> None:
        """A browser has gone."""
        self._views.pop(client_id, None)
        self._waiting.pop(client_id, None)

    def views(self) -> list[ClientView]:
        """Browsers that are here."""
        return list(self._views.values())

    def wake(self) -> None:
        """There may be work."""
        self._wake.set()

    def draw_next(self) -> bool:
        """Draws one picture for the browser that waits longest; False where nobody needs one."""
        now = time.monotonic()
        needs = {}
        for key, view in list(self._views.items()):
            wanted = self._wanted(view)
            if wanted is None:
                self._waiting.pop(key, None)
            else:
                self._waiting.setdefault(key, now)
                needs[key] = (view, wanted)
        if not needs:
            return False
        key = min(needs, key=lambda k: self._waiting.get(k, now))
        self._waiting.pop(key, None)
        view, wanted = needs[key]
        try:
            view.draw(wanted)
        except Exception as error:  # what a browser sends is not ours: the others still want pictures
            self._tell(view, error)
        return True

    def _wanted(self, view: ClientView) -> Wanted | None:
        try:
            return view.wanted(self._playing())
        except Exception as error:  # as above
            self._tell(view, error)
            return None

    def _run(self) -> None:
        while not self._stopped:
            self._wake.clear()
            if not self.draw_next():
                self._wake.wait(_IDLE_S)

    def _tell(self, view: ClientView, error: Exception) -> None:
        """A picture that fails is said once; a browser that has just gone is nobody's fault."""
        if view.client.client_id not in self._views:
            return
        message = " ".join(str(error).split())
        if message != self._told:
            self._told = message
            _log.warning("a picture could not be drawn: %s", message)
            with contextlib.suppress(Exception):
                view.client.add_notification("A picture could not be drawn", message, color="red")
