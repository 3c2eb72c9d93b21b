"""The objects of the scene: looked at, picked in the picture, moved by hand, edited."""

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import viser

from gsrecon.scene.assets import find_assets
from gsrecon.scene.edits import (
    Drive,
    Duplicate,
    Edit,
    Hide,
    Insert,
    Move,
    Recolour,
    Remove,
    Retime,
    Swap,
    told_in_one_line,
)
from gsrecon_viewer.client_view import ClientView
from gsrecon_viewer.editing import Editing
from gsrecon_viewer.gizmo import Gizmo
from gsrecon_viewer.highlight import Highlight
from gsrecon_viewer.overlays import OVERLAYS
from gsrecon_viewer.shown import Shown, modelled_objects
from gsrecon_viewer.telling import say, telling
from gsrecon_viewer.thumbnails import as_html, thumbnail
from gsrecon_viewer.vantage import vantage

NOTHING = "none"
_NONE_TOLD = '<div style="padding:4px 10px">Click an object in the picture, then drag its handles.</div>'
_PLACES = f"{OVERLAYS}/waypoints"
ViewOf = Callable[[viser.ClientHandle | None], ClientView | None]


class ObjectsPanel:
    """A list of objects, the chosen one, and what can be done with it."""

    def __init__(
        self, server: viser.ViserServer, shown: Shown, editing: Editing, view_of: ViewOf, run: Path
    ) -> None:
        """Adds the controls; assets are those of the run's folder."""
        self._server, self._shown, self._editing, self._view_of = server, shown, editing, view_of
        self._run = run
        self._pictures: dict[str, str] = {}
        self._waypoints: list[tuple[float, float]] = []
        gui = server.gui
        with gui.add_folder("Chosen"):
            self._object = gui.add_dropdown(
                "Object", (NOTHING, *self._ids()), hint="Or click one in the picture"
            )
            self._told = gui.add_html(_NONE_TOLD)
            gui.add_button("Look at it", icon=viser.Icon.EYE).on_click(self._look)
        self._add_actions()
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
        if self._object.value != value:
            self._object.value = value
            self._chosen()

    def stop(self) -> None:
        """Ends the thread."""
        self._stopped = True
        self._thread.join(timeout=10)

    def refresh(self) -> None:
        """Follows the scene and the moment that are shown."""
        thing = None if self.chosen is None else self._shown.object(self.chosen)
        self.gizmo.follow(thing)
        self.highlight.follow(thing)

    def _ids(self) -> list[str]:
        return sorted(modelled_objects(self._shown.scene))

    def _add_actions(self) -> None:
        gui = self._server.gui
        with gui.add_folder("Move and copy"):
            by = gui.add_vector3("Forward, left, up [m]", (0.0, 0.0, 0.0), step=0.1)
            turn = gui.add_number("Turn [deg]", 0.0, step=1.0)
            gui.add_button("Move").on_click(self._on(lambda id: Move(id, by.value, turn.value)))
            gui.add_button("Copy").on_click(
                self._on(lambda id: Duplicate(id, self._free_id(id), by.value, turn.value))
            )
            gui.add_button("Remove", color="red").on_click(self._on(Remove))
        with gui.add_folder("Time and colour", expand_by_default=False):
            shift = gui.add_number("Later by [s]", 0.0, step=0.1)
            rate = gui.add_number("Times as fast", 1.0, min=0.01, max=100.0, step=0.1)
            gui.add_button("Change time").on_click(self._on(lambda id: Retime(id, shift.value, rate.value)))
            start = gui.add_number("Hidden from [s]", 0.0, step=0.1)
            stop = gui.add_number("until [s]", self._shown.span_s[1], step=0.1)
            gui.add_button("Hide").on_click(self._on(lambda id: Hide(id, start.value, stop.value)))
            tint = gui.add_rgb("Tint", (255, 255, 255))
            gui.add_button("Recolour").on_click(self._on(lambda id: Recolour(id, _share(tint.value))))
        with gui.add_folder("New way", expand_by_default=False):
            self._way = gui.add_markdown("Click places on the road.")
            self._placing = gui.add_checkbox("Clicks are places", False)
            self._placing.on_update(lambda _: self._mark_places())
            gui.add_button("Drop the last place").on_click(lambda _: self._drop_place())
            speed = gui.add_number("Speed [m/s]", 8.0, min=0.1, max=60.0, step=0.5)
            lane = gui.add_checkbox("Follow the lane", False)
            gui.add_button("Drive").on_click(
                self._on(
                    lambda id: Drive(
                        object=id,
                        waypoints=tuple(self._waypoints),
                        speeds_mps=(speed.value,),
                        start_s=self._shown.time_s,
                        follow_lane=lane.value,
                    )
                )
            )
        # Those of the run alone: no browser names a folder.
        assets = {folder.name: folder for folder in find_assets(self._run)}
        with gui.add_folder("From an asset", expand_by_default=False):
            if not assets:
                gui.add_markdown("This run has none: `gsrecon assets extract` writes them.")
                return
            asset = gui.add_dropdown("Asset", tuple(assets))
            heading = gui.add_number("Heading [deg]", 0.0, step=5.0)
            gui.add_button("Insert at the first place").on_click(
                lambda event: self._do(event, lambda: self._inserted(assets[asset.value], heading.value))
            )
            gui.add_button("Swap the chosen one").on_click(
                self._on(lambda id: Swap(id, asset=assets[asset.value]))
            )

    def _inserted(self, asset: Path, heading_deg: float) -> Edit:
        if not self._waypoints:
            raise ValueError("no place yet: switch on 'Clicks are places' and click on the road")
        name = self._free_id(asset.name or "asset")
        return Insert(name=name, asset=asset, at=self._waypoints[0], heading_deg=heading_deg)

    def _on(self, make: Callable[[str], Edit]) -> Callable[[viser.GuiEvent], None]:
        def act(event: viser.GuiEvent) -> None:
            def edit() -> Edit:
                if self.chosen is None:
                    raise ValueError(
                        "no object is chosen: click one in the picture, or take it from the list"
                    )
                return make(self.chosen)

            self._do(event, edit)

        return act

    def _do(self, event: viser.GuiEvent, make: Callable[[], Edit]) -> None:
        with telling(event.client):
            edit = make()
            self._editing.do(edit)
            self._renew()
            say(event.client, "Done", told_in_one_line(edit))

    def _dragged(self, client: viser.ClientHandle, by: tuple[float, float, float], turn_deg: float) -> None:
        """The gizmo was let go of."""
        with telling(client):
            if self.chosen is not None:
                self._editing.do(Move(self.chosen, by, turn_deg))
        self._renew()

    def _turn(self, event: viser.GuiEvent, turn: Callable[[], Edit | None]) -> None:
        with telling(event.client):
            if turn() is None:
                raise ValueError("there is nothing more")
            self._renew()

    def _renew(self) -> None:
        """Objects may have come or gone."""
        ids, before = self._ids(), self.chosen
        self._object.options = (NOTHING, *ids)
        self._object.value = before if before in ids else NOTHING
        self._waypoints.clear()
        self._told_way()
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
            if not self._placing.value:
                self.choose(view.object_at(*event.screen_pos))
            elif view.compared() is not None:
                raise ValueError("places are clicked in the scene: switch 'Compare' off first")
            else:
                self._add_place(np.array(event.ray_origin), np.array(event.ray_direction))

    def _add_place(self, origin: np.ndarray, direction: np.ndarray) -> None:
        place = on_ground(self._editing, origin, direction)
        if place is None:
            raise ValueError("there is no ground where you clicked")
        self._waypoints.append(place)
        self._told_way()

    def _drop_place(self) -> None:
        del self._waypoints[-1:]
        self._told_way()

    def _told_way(self) -> None:
        places = ", ".join(f"({x:.1f}, {y:.1f})" for x, y in self._waypoints)
        self._way.content = places or "Click places on the road."
        self._mark_places()

    def _mark_places(self) -> None:
        if not self._waypoints:
            self._server.scene.remove_by_name(_PLACES)
            return
        flat = np.array(self._waypoints)
        ground = self._editing.surroundings.ground
        height = np.zeros(len(flat)) if ground is None else ground.nearest(flat)
        points = np.concatenate([flat, height[:, None] + 0.1], axis=1).astype(np.float32)
        self._server.scene.add_point_cloud(_PLACES, points, (255, 90, 60), point_size=0.25)

    def _free_id(self, id: str) -> str:
        taken, number = set(self._ids()) | set(self._shown.classes), 2
        while f"{id}-{number}" in taken:
            number += 1
        return f"{id}-{number}"

    def _picture(self, id: str) -> str:
        if id not in self._pictures:
            with self._shown.lock:
                self._pictures[id] = as_html(thumbnail(*modelled_objects(self._shown.scene, [id])[id]))
        return self._pictures[id]

    def _draw_pictures(self) -> None:
        """The contact sheet, picture by picture, so that nobody waits for it."""
        cells = []
        for id in self._ids():
            if self._stopped:
                return
            if id in modelled_objects(self._shown.scene):
                cells.append(
                    f'<div style="text-align:center">{self._picture(id)}<br/><small>{id}</small></div>'
                )
        style = "display:grid;grid-template-columns:1fr 1fr;gap:6px"
        self._sheet.content = f'<div style="{style}">{"".join(cells)}</div>'


def on_ground(editing: Editing, origin: np.ndarray, direction: np.ndarray) -> tuple[float, float] | None:
    """Where a ray meets the ground, [x, y] in world [m]; None where it does not within 200 m."""
    along = np.linspace(0.5, 200.0, 4000)
    points = origin + along[:, None] * direction
    ground = editing.surroundings.ground
    if ground is None:
        return None
    height = ground.height(points[:, :2])
    below = np.isfinite(height) & (points[:, 2] <= height)
    if not below.any():
        return None
    x, y, _ = points[int(below.argmax())]
    return float(x), float(y)


def _share(rgb: tuple[int, int, int]) -> tuple[float, float, float]:
    red, green, blue = (round(value / 255, 3) for value in rgb)
    return red, green, blue
