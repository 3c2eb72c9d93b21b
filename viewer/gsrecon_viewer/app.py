"""The app: a server for any number of browsers that see one scene, each with its own camera."""

import contextlib
import io
import logging
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import viser

from gsrecon.data.log import DrivingLog, Track
from gsrecon.scene.groups_scene import Scene
from gsrecon_viewer.client_view import ClientView
from gsrecon_viewer.editing import Editing
from gsrecon_viewer.host import LOCAL, require_address
from gsrecon_viewer.layers_panel import add_layers_panel
from gsrecon_viewer.loop import DrawingLoop
from gsrecon_viewer.objects_panel import ObjectsPanel
from gsrecon_viewer.overlays import Overlays
from gsrecon_viewer.playback import Playback
from gsrecon_viewer.riding import Ride, ridden_pose
from gsrecon_viewer.shown import Shown, modelled_objects
from gsrecon_viewer.splats import BrowserSplats
from gsrecon_viewer.takeaway_panel import TakeawayPanel
from gsrecon_viewer.view_panel import add_view_panel

_log = logging.getLogger("gsrecon.viewer")


class Viewer:
    """A running viewer."""

    def __init__(
        self,
        scene: Scene,
        folder: Path,
        log: DrivingLog | None = None,
        tracks: Sequence[Track] | None = None,
        host: str = LOCAL,
        port: int = 8080,
        own_thread: bool = True,
    ) -> None:
        """Starts serving.

        Args:
            scene: What to show.
            folder: Where files that are asked for are written.
            log: The drive, where it is reachable.
            tracks: Boxes to show; None takes the log's.
            host: Address to listen on; others than 127.0.0.1 let other machines in.
            port: The port; a taken one is left alone and the next is used.
            own_thread: Draw in a thread; without it, somebody has to call `loop.draw_next`.

        Raises:
            SpecError: This machine cannot listen there, or the folder's edit list does not fit the scene.
        """
        require_address(host, port)
        self.shown = Shown(scene, log, tracks)
        # A scene that is being trained is not edited: it changes under the edits.
        editable = own_thread and bool(modelled_objects(scene))
        editing = Editing(self.shown, folder / "edits.toml") if editable else None
        with _quietly():
            self.server = viser.ViserServer(host=host, port=port, label="gsrecon", verbose=False)
        self._splats: dict[int, BrowserSplats] = {}
        self._overlay_wanted = threading.Event()
        self._stopped = False
        self._look()
        tabs = self.server.gui.add_tab_group()
        with tabs.add_tab("Drive", icon=viser.Icon.STEERING_WHEEL):
            self.playback = Playback(self.server, self.shown)
            self.overlays = Overlays(self.server, self.shown)
            add_layers_panel(self.server, self.shown, self.overlays)
        self.objects: ObjectsPanel | None = None
        if editing is not None:
            self.editing = editing
            with tabs.add_tab("Objects", icon=viser.Icon.CAR):
                self.objects = ObjectsPanel(self.server, self.shown, editing, self.view_of, folder.parent)
        with tabs.add_tab("Export", icon=viser.Icon.DOWNLOAD):
            self.takeaway = TakeawayPanel(self.server, self.shown, folder, self.view_of)
        self.loop = DrawingLoop(lambda: self.playback.playing)
        self.overlays.refresh()
        self.shown.watch(self._changed)
        self.server.on_client_connect(self._came)
        self.server.on_client_disconnect(lambda client: self._went(client.client_id))
        self._overlay_thread = threading.Thread(
            target=self._keep_true, name="gsrecon-viewer-overlays", daemon=True
        )
        self._overlay_thread.start()
        if own_thread:
            self.loop.start()

    @property
    def address(self) -> str:
        """Where the browser finds it."""
        return f"http://{self.server.get_host()}:{self.server.get_port()}"

    def view_of(self, client: viser.ClientHandle | None) -> ClientView | None:
        """What is known of a browser."""
        return (
            None
            if client is None
            else next((view for view in self.loop.views() if view.client.client_id == client.client_id), None)
        )

    def stop(self) -> None:
        """Ends everything."""
        self._stopped = True
        self._overlay_wanted.set()
        self.takeaway.stop()
        self.playback.stop()
        self.loop.stop()
        self._overlay_thread.join(timeout=10)
        if self.objects is not None:
            self.objects.stop()
        with _quietly():
            self.server.stop()

    def _look(self) -> None:
        """Begins where the rig's first camera begins; up is the world's."""
        server, recording = self.server, self.shown.recording
        server.scene.set_up_direction("+z")
        server.gui.configure_theme(
            control_width="medium", dark_mode=True, show_logo=False, show_share_button=False
        )
        server.gui.main_panel.dock_right()
        pose = None if recording is None else ridden_pose(self.shown, Ride(next(iter(recording.cameras))))
        if pose is None or recording is None:
            return
        lens = next(iter(recording.cameras.values()))
        server.initial_camera.position = tuple(pose[:3, 3].tolist())
        server.initial_camera.look_at = tuple((pose[:3, 3] + 10 * pose[:3, 2]).tolist())
        server.initial_camera.up = (0.0, 0.0, 1.0)
        server.initial_camera.fov = float(2 * np.arctan(0.5 * lens.height / lens.K[1, 1]))

    def _came(self, client: viser.ClientHandle) -> None:
        view = ClientView(client, self.shown, lambda: client.client_id in self.server.get_clients())
        if not view.here():
            return
        cameras = [] if self.shown.recording is None else list(self.shown.recording.cameras)
        add_view_panel(view, cameras, self.shown.log is not None, lambda: self._redrawn(view))
        splats = self._splats[client.client_id] = BrowserSplats(client, self.shown)

        @client.camera.on_update
        def _(_: object) -> None:
            view.moved()
            splats.follow_camera()
            self.loop.wake()

        self.loop.add(view)
        if not view.here():  # coming and going run in threads: going may have been over first
            self._went(client.client_id)

    def _went(self, client_id: int) -> None:
        self.loop.remove(client_id)
        self._splats.pop(client_id, None)

    def _redrawn(self, view: ClientView) -> None:
        """A browser wants to see otherwise."""
        splats = self._splats.get(view.client.client_id)
        if splats is not None:
            if view.wishes.drawn == "splats":
                view.client.scene.set_background_image(None)
                splats.show()
            else:
                splats.clear()
        self.loop.wake()

    def _changed(self) -> None:
        self._overlay_wanted.set()
        self.loop.wake()

    def _keep_true(self) -> None:
        """Overlays, rides and splats follow the moment that is shown, in a thread of their own."""
        while True:
            self._overlay_wanted.wait()
            self._overlay_wanted.clear()
            if self._stopped:
                return
            self._bring_up_to_date()

    def _bring_up_to_date(self) -> None:
        with _logged():
            self.overlays.refresh()
        if self.objects is not None:
            with _logged():
                self.objects.refresh()
        for view in self.loop.views():
            with _logged():
                view.follow()
                splats = self._splats.get(view.client.client_id)
                if splats is not None and view.wishes.drawn == "splats" and view.here():
                    splats.show()


@contextlib.contextmanager
def _logged() -> Iterator[None]:
    """A sweep that cannot be read, or a browser that goes meanwhile, keeps nobody else from going on."""
    try:
        yield
    except Exception:
        _log.exception("what is drawn over the scene could not be brought up to date")


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Without what viser prints about itself; the command line says where the viewer is."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield
