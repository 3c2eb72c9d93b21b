"""What can be taken away: pictures, a camera path and its film, PLY files. All below the run's folder."""

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path

import viser
from PIL import Image

from gsrecon.evaluation.export import export_nodes, export_ply
from gsrecon.evaluation.path_file import read_path_file
from gsrecon.files import plain_name, written_aside
from gsrecon_viewer.client_view import ClientView
from gsrecon_viewer.path_recorder import PathRecorder, render_film
from gsrecon_viewer.seen import seen_by
from gsrecon_viewer.shown import Shown
from gsrecon_viewer.telling import say, telling

ViewOf = Callable[[viser.ClientHandle | None], ClientView | None]


class _EndedError(Exception):
    """Nobody waits for the film any more."""


class TakeawayPanel:
    """Buttons that write files; where they are is said in the browser that asked."""

    def __init__(self, server: viser.ViserServer, shown: Shown, folder: Path, view_of: ViewOf) -> None:
        self._shown = shown
        self._folder = folder
        self._view_of = view_of
        self._filming = threading.Lock()  # one film at a time: they share a progress bar
        self._stopped = False
        self.recorder = PathRecorder()
        gui = server.gui
        with gui.add_folder("Camera path"):
            self._told = gui.add_markdown("No keyframes yet.")
            gui.add_button("Add this view", icon=viser.Icon.CAMERA_PLUS).on_click(self._add)
            gui.add_button("Drop the last view", icon=viser.Icon.BACKSPACE).on_click(self._drop)
            self._apart = gui.add_number("Seconds apart", 2.0, min=0.1, max=60.0, step=0.1)
            self._name = gui.add_text("Name", "path")
            gui.add_button("Save path", icon=viser.Icon.DEVICE_FLOPPY).on_click(self._save)
            gui.add_button("Render film", icon=viser.Icon.MOVIE).on_click(self._film)
            self._progress = gui.add_progress_bar(0.0, visible=False)
        with gui.add_folder("Picture and splats"):
            self._with_boxes = gui.add_checkbox(
                "With boxes",
                False,
                hint="And what else is drawn over the scene, as the browser has it",
            )
            gui.add_button("Picture (PNG)", icon=viser.Icon.PHOTO_DOWN).on_click(self._picture)
            gui.add_button("Splats of this moment (PLY)", icon=viser.Icon.FILE_EXPORT).on_click(self._ply)
            gui.add_button("Splats, a file a part (PLY)", icon=viser.Icon.FILES).on_click(self._nodes)

    def stop(self) -> None:
        """Gives a film up that is being rendered."""
        self._stopped = True
        with self._filming:
            pass

    def _add(self, event: viser.GuiEvent) -> None:
        with telling(event.client):
            eye = self._view(event).eye()
            if eye is not None:
                self.recorder.add(eye, self._shown.time_s)
            self._count()

    def _drop(self, event: viser.GuiEvent) -> None:
        del self.recorder.keyframes[-1:]
        self._count()

    def _count(self) -> None:
        moments = ", ".join(f"{keyframe.time_s:.2f}" for keyframe in self.recorder.keyframes)
        count = len(self.recorder.keyframes)
        told = f"{count} keyframe{'s' if count > 1 else ''}, of {moments} s"
        self._told.content = told if count else "No keyframes yet."

    def _save(self, event: viser.GuiEvent) -> None:
        with telling(event.client):
            path = self._path_file()
            renamed = path.stem != self._file("paths", self._name.value, "toml").stem
            say(event.client, "Saved under a free name" if renamed else "Saved", str(path))

    def _path_file(self) -> Path:
        """The path on disk: another path's file is left alone, and the same path is not written twice."""
        self.recorder.seconds_apart = self._apart.value
        return self.recorder.save(
            self._free("paths", self._name.value, "toml", holds=self.recorder.text().encode())
        )

    def _film(self, event: viser.GuiEvent) -> None:
        with telling(event.client):
            view = self._view(event)
            path, eye = read_path_file(self._path_file()), view.eye()
            if eye is None:
                return
            shrink = min(1.0, 1280 / eye.width)
            size = (round(eye.width * shrink), round(eye.height * shrink))
            fov_y = self.recorder.keyframes[0].fov_y
            with self._filming, contextlib.suppress(_EndedError):
                self._go_on()
                self._progress.visible = True
                try:
                    film = render_film(
                        self._shown,
                        path,
                        self._free("films", self._name.value, "mp4"),
                        size,
                        fov_y,
                        view.wishes.kind,
                        self._advance,
                    )
                finally:
                    self._progress.visible = False
                if view.here():  # films take long
                    say(event.client, "The film is there", str(film))

    def _advance(self, share: float) -> None:
        self._go_on()
        self._progress.value = 100 * share

    def _go_on(self) -> None:
        if self._stopped:
            raise _EndedError

    def _picture(self, event: viser.GuiEvent) -> None:
        with telling(event.client):
            view = self._view(event)
            told = view.wishes.comparison if view.compared() is not None else view.wishes.kind
            picture = seen_by(view, self._with_boxes.value)
            path = self._free("pictures", f"{told}-{self._shown.time_s:.2f}s", "png")
            path.parent.mkdir(parents=True, exist_ok=True)
            with written_aside(path) as aside:
                Image.fromarray(picture).save(aside, format="png")
            say(event.client, "Saved", str(path))

    def _ply(self, event: viser.GuiEvent) -> None:
        with telling(event.client):
            path = self._free("splats", f"scene-{self._shown.time_s:.2f}s", "ply")
            path.parent.mkdir(parents=True, exist_ok=True)
            with self._shown.lock:
                export_ply(self._shown.scene, path, self._shown.time_s)
            say(event.client, "Saved", str(path))

    def _nodes(self, event: viser.GuiEvent) -> None:
        with telling(event.client):
            folder = self._free("splats", f"parts-{self._shown.time_s:.2f}s")
            with self._shown.lock:
                written = export_nodes(self._shown.scene, folder, times_s=(self._shown.time_s,))
            say(event.client, "Saved", f"{len(written.files)} files in {folder}")

    def _view(self, event: viser.GuiEvent) -> ClientView:
        view = self._view_of(event.client)
        if view is None:
            raise ValueError("this browser is not connected any more")
        return view

    def _file(self, kind: str, name: str, suffix: str = "") -> Path:
        """A file, or without a suffix a folder, below the folder: a name is a name, never a way out."""
        plain = plain_name(name, otherwise=kind)
        return self._folder / kind / (f"{plain}.{suffix}" if suffix else plain)

    def _free(self, kind: str, name: str, suffix: str = "", holds: bytes | None = None) -> Path:
        """A path that nothing has yet, with a number if need be, or a file that `holds` just this."""
        path, number = self._file(kind, name, suffix), 2
        while path.exists() and (holds is None or path.read_bytes() != holds):
            path = self._file(kind, f"{name}-{number}", suffix)
            number += 1
        return path
