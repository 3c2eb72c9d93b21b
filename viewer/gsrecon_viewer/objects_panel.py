"""The objects of the scene: looked at, picked in the picture, moved by hand, edited."""

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import viser

from gsrecon.scene.edits import Edit, Exposure, Move, Recolour, Swap, told_in_one_line
from gsrecon_viewer.client_view import ClientView
from gsrecon_viewer.editing import Editing
from gsrecon_viewer.gizmo import Gizmo
from gsrecon_viewer.highlight import Highlight
from gsrecon_viewer.object_actions import ObjectActions
from gsrecon_viewer.shown import Shown, modelled_objects
from gsrecon_viewer.telling import say, telling, warn
from gsrecon_viewer.thumbnails import as_html, thumbnail
from gsrecon_viewer.vantage import vantage

NOTHING = "none"
_NONE_TOLD = '<div style="padding:4px 10px">Click an object in the picture, then drag its handles.</div>'
ViewOf = Callable[[viser.ClientHandle | None], ClientView | None]


class ObjectsPanel:
    """A list of objects, the chosen one, and what can be done with it."""

    def __init__(
        self, server: viser.ViserServer, shown: Shown, editing: Editing, view_of: ViewOf, run: Path
    ) -> None:
        """Adds the controls; assets are those of the run's folder."""
        self._server, self._shown, self._editing, self._view_of = server, shown, editing, view_of
        self._pictures: dict[str, str] = {}
        self._one = threading.Lock()  # whoever asks for the object later also shows it later
        gui = server.gui
        with gui.add_folder("Chosen"):
            self._object = gui.add_dropdown(
                "Object", (NOTHING, *self._ids()), hint="Or click one in the picture"
            )
            self._told = gui.add_html(_NONE_TOLD)
            gui.add_button("Look at it", icon=viser.Icon.EYE).on_click(self._look)
        self._actions = ObjectActions(server, shown, editing, lambda: self.chosen, self._do, run)
        with gui.add_folder("Edits"):
            self._list = gui.add_markdown("Nothing was edited.")
            gui.add_button("Undo", icon=viser.Icon.ARROW_BACK_UP).on_click(
                lambda e: self._turn(e, editing.undo)
            )
            gui.add_button("Redo", icon=viser.Icon.ARROW_FORWARD_UP).on_click(
                lambda e: self._turn(e, editing.redo)
            )
        with gui.add_folder("All objects", expand_by_default=False):
            self._sheet = gui.add_html("")
        self._object.on_update(lambda _: self._chosen())
        self.highlight = Highlight(server)
        self.gizmo = Gizmo(server, self.highlight.at, self._dragged)
        server.scene.on_click()(self._clicked)
        self._stopped = False
        self._sheet_wanted = threading.Event()
        self._sheet_wanted.set()
        self._thread = threading.Thread(
            target=self._draw_pictures, name="gsrecon-viewer-thumbnails", daemon=True
        )
        self._thread.start()
        self._told_edits()

    @property
    def chosen(self) -> str | None:
        """Id of the chosen object."""
        return None if self._object.value == NOTHING else self._object.value

    def choose(self, id: str | None) -> None:
        """Chooses an object, or none."""
        value = id if id in self._object.options else NOTHING
        self._object.value = value  # which calls `_chosen`

    def stop(self) -> None:
        """Ends the thread."""
        self._stopped = True
        self._sheet_wanted.set()
        self._thread.join(timeout=10)

    def refresh(self) -> None:
        """Follows the scene and the moment that are shown."""
        with self._one:
            thing = None if self.chosen is None else self._shown.object(self.chosen)
            self.gizmo.follow(thing)
            self.highlight.follow(thing)

    def _ids(self) -> list[str]:
        return sorted(modelled_objects(self._shown.scene))

    def _do(self, event: viser.GuiEvent, make: Callable[[], Edit]) -> None:
        """A button was pressed."""
        with telling(event.client):
            edit = make()
            doubts = self._editing.do(edit)
            self._renew(edit)
            say(event.client, "Done", told_in_one_line(edit))
            warn(event.client, doubts)

    def _dragged(
        self, client: viser.ClientHandle, id: str, by: tuple[float, float, float], turn_deg: float
    ) -> None:
        """The gizmo was let go of."""
        edit = Move(id, by, turn_deg)
        with telling(client):
            warn(client, self._editing.do(edit))
        self._renew(edit)

    def _turn(self, event: viser.GuiEvent, turn: Callable[[], Edit | None]) -> None:
        with telling(event.client):
            edit = turn()
            if edit is None:
                raise ValueError("there is nothing more")
            self._renew(edit)

    def _renew(self, edit: Edit) -> None:
        """Objects may have come or gone, or look otherwise."""
        ids, before = self._ids(), self.chosen
        looks = isinstance(edit, Recolour | Exposure | Swap)
        with self._shown.lock:
            for id in list(self._pictures):
                if id not in ids or (looks and edit.object in ("", id)):
                    del self._pictures[id]
        self._sheet_wanted.set()
        self._object.options = (NOTHING, *ids)
        self._object.value = before if before in ids else NOTHING
        self._actions.places.clear()
        self._told_edits()
        self._chosen()

    def _told_edits(self) -> None:
        edits, undone = self._editing.history.edits, self._editing.history.undone
        lines = [f"{number}. {told_in_one_line(edit)}" for number, edit in enumerate(edits, 1)]
        if undone:
            lines.append(f"\n{len(undone)} undone")
        self._list.content = "\n".join(lines) or "Nothing was edited."

    def _chosen(self) -> None:
        self.refresh()
        id = self.chosen
        if id is None:
            self._told.content = _NONE_TOLD
            return
        node, number = modelled_objects(self._shown.scene)[id]
        length, width, height = node.sizes_lwh[number].tolist()
        start, end = node.trajectories.spans_s[number].tolist()
        told = (
            f"<b>{id}</b> {self._shown.classes.get(id, '')}<br/>{length:.1f} x {width:.1f} x {height:.1f} m"
        )
        if np.isfinite([start, end]).all():
            told += f"<br/>{start:.1f} to {end:.1f} s"
        self._told.content = (
            f'<div style="display:flex;gap:10px;padding:4px 10px">{self._picture(id)}<div>{told}</div></div>'
        )

    def _look(self, event: viser.GuiEvent) -> None:
        with telling(event.client):
            thing = None if self.chosen is None else self._shown.object(self.chosen)
            if thing is None:
                raise ValueError("it is not there at this moment")
            if event.client is not None:
                event.client.camera.position = tuple(vantage(self._shown, thing).tolist())
                event.client.camera.look_at = tuple(thing.world_from_actor[:3, 3].tolist())

    def _clicked(self, event: viser.SceneClickEvent) -> None:
        with telling(event.client):
            view = self._view_of(event.client)
            if view is None:
                return
            if not self._actions.places.wanted:
                self.choose(view.object_at(*event.screen_pos))
            elif view.compared() is not None:
                raise ValueError("places are clicked in the scene: switch 'Compare' off first")
            else:
                self._actions.places.add(np.array(event.ray_origin), np.array(event.ray_direction))

    def _picture(self, id: str) -> str:
        """As HTML; empty where the object has gone meanwhile."""
        with self._shown.lock:
            if id not in self._pictures:
                found = modelled_objects(self._shown.scene, [id]).get(id)
                if found is None:
                    return ""
                self._pictures[id] = as_html(thumbnail(*found))
            return self._pictures[id]

    def _draw_pictures(self) -> None:
        """Keeps the contact sheet true, in a thread of its own, so that nobody waits for it."""
        while True:
            self._sheet_wanted.wait()
            self._sheet_wanted.clear()
            if self._stopped:
                return
            self._draw_sheet()

    def _draw_sheet(self) -> None:
        cells = []
        for id in self._ids():
            if self._sheet_wanted.is_set():  # it is to be another one, or none
                return
            if picture := self._picture(id):
                cells.append(f'<div style="text-align:center">{picture}<br/><small>{id}</small></div>')
        style = "display:grid;grid-template-columns:1fr 1fr;gap:6px"
        sheet = f'<div style="{style}">{"".join(cells)}</div>'
        if sheet != self._sheet.content:
            self._sheet.content = sheet
