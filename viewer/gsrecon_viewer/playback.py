"""Time: a slider, play and pause, and how fast the drive runs."""

import threading
import time

import viser

from gsrecon_viewer.shown import Shown

_TICK_S = 1 / 30


class Playback:
    """Moves the moment that is shown."""

    def __init__(self, server: viser.ViserServer, shown: Shown) -> None:
        self._shown = shown
        self._playing = threading.Event()
        self._stopped = False
        start, end = shown.span_s
        gui = server.gui
        with gui.add_folder("Moment"):
            self._time = gui.add_slider("Time [s]", start, max(end, start + 0.01), 0.01, start)
            self._button = gui.add_button("Play", icon=viser.Icon.PLAYER_PLAY)
            self._speed = gui.add_dropdown("Speed", ("0.25", "0.5", "1", "2"), initial_value="1")
            self._loop = gui.add_checkbox("Repeat", True, hint="Again from the start at the end")
        self._time.on_update(self._chosen)
        self._button.on_click(lambda _: self.toggle())
        self._thread = threading.Thread(target=self._run, name="gsrecon-viewer-time", daemon=True)
        self._thread.start()

    @property
    def playing(self) -> bool:
        """Whether time runs."""
        return self._playing.is_set()

    def toggle(self) -> None:
        """Plays, from the start where the end is reached, or pauses."""
        if self.playing:
            self._playing.clear()
        else:
            start, end = self._shown.span_s
            if self._shown.time_s >= end:
                self._shown.time_s = start
            self._playing.set()
        self._button.label = "Pause" if self.playing else "Play"
        self._button.icon = viser.Icon.PLAYER_PAUSE if self.playing else viser.Icon.PLAYER_PLAY
        self._shown.changed()  # a pause wants sharp pictures

    def stop(self) -> None:
        """Ends the thread."""
        self._stopped = True
        self._playing.set()
        self._thread.join(timeout=5)

    def _chosen(self, event: viser.GuiEvent) -> None:
        """The slider was moved by hand; moved by time, it has no browser."""
        if event.client_id is not None:
            self._shown.time_s = self._time.value

    def _run(self) -> None:
        last = time.monotonic()
        while True:
            if not self.playing:
                self._playing.wait()
                last = time.monotonic()
            if self._stopped:
                return
            now = time.monotonic()
            passed, last = min(now - last, 0.25), now
            start, end = self._shown.span_s
            moment = self._shown.time_s + passed * float(self._speed.value)
            if moment >= end:
                moment = start
                if not self._loop.value:
                    moment = end
                    self.toggle()
            self._shown.time_s = moment
            self._time.value = round(moment, 3)
            time.sleep(max(0.0, _TICK_S - (time.monotonic() - now)))
