"""Controls for what can be done to objects: each button is an entry of the edit list."""

from collections.abc import Callable
from pathlib import Path

import viser

from gsrecon.scene.assets import find_assets
from gsrecon.scene.edits import (
    Drive,
    Duplicate,
    Edit,
    Exposure,
    Hide,
    Insert,
    Move,
    Recolour,
    Remove,
    Retime,
    Swap,
)
from gsrecon_viewer.editing import Editing
from gsrecon_viewer.places import Places
from gsrecon_viewer.shown import Shown, modelled_objects

Do = Callable[[viser.GuiEvent, Callable[[], Edit]], None]


class ObjectActions:
    """Folders of controls; the values in them are everybody's."""

    def __init__(
        self,
        server: viser.ViserServer,
        shown: Shown,
        editing: Editing,
        chosen: Callable[[], str | None],
        do: Do,
        run: Path,
    ) -> None:
        """Adds the controls where the panel is at.

        Args:
            server: The app's.
            shown: The scene.
            editing: Its edit list.
            chosen: Gives the id of the object that is chosen.
            do: Does what a button asks for, and tells the browser where it was pressed.
            run: Folder with assets: no browser names another one.
        """
        self._gui, self._shown, self._chosen, self._do = server.gui, shown, chosen, do
        with self._gui.add_folder("Move and copy"):
            self._add_moves()
        with self._gui.add_folder("Time", expand_by_default=False):
            self._add_times()
        with self._gui.add_folder("Colour", expand_by_default=False):
            self._add_colours()
        with self._gui.add_folder("New way", expand_by_default=False):
            self.places = Places(server, editing)
            self._add_drive()
        with self._gui.add_folder("From an asset", expand_by_default=False):
            self._add_assets({folder.name: folder for folder in find_assets(run)})

    def _add_moves(self) -> None:
        gui = self._gui
        by = gui.add_vector3("Forward, left, up [m]", (0.0, 0.0, 0.0), step=0.1)
        turn = gui.add_number("Turn [deg]", 0.0, step=1.0)
        gui.add_button("Move").on_click(self._on(lambda id: Move(id, by.value, turn.value)))
        gui.add_button("Copy").on_click(
            self._on(lambda id: Duplicate(id, self._free_id(id), by.value, turn.value))
        )
        gui.add_button("Remove", color="red").on_click(self._on(Remove))

    def _add_times(self) -> None:
        gui = self._gui
        shift = gui.add_number("Later by [s]", 0.0, step=0.1)
        rate = gui.add_number("Times as fast", 1.0, min=0.01, max=100.0, step=0.1)
        gui.add_button("Change time").on_click(self._on(lambda id: Retime(id, shift.value, rate.value)))
        start = gui.add_number("Hidden from [s]", 0.0, step=0.1)
        stop = gui.add_number("until [s]", self._shown.span_s[1], step=0.1)
        gui.add_button("Hide").on_click(self._on(lambda id: Hide(id, start.value, stop.value)))

    def _add_colours(self) -> None:
        gui = self._gui
        tint = gui.add_rgb("Tint", (255, 255, 255))
        gui.add_button("Recolour").on_click(self._on(lambda id: Recolour(id, _share(tint.value))))
        gain = gui.add_number(
            "Brightness", 1.0, min=0.05, max=20.0, step=0.05, hint="Times as bright as it was recorded"
        )
        gui.add_button("Expose the chosen one").on_click(self._on(lambda id: Exposure(gain.value, id)))
        gui.add_button("Expose everything").on_click(
            lambda event: self._do(event, lambda: Exposure(gain.value))
        )

    def _add_drive(self) -> None:
        gui = self._gui
        speed = gui.add_number("Speed [m/s]", 8.0, min=0.1, max=60.0, step=0.5)
        lane = gui.add_checkbox("Follow the lane", False)
        gui.add_button("Drive").on_click(
            self._on(
                lambda id: Drive(
                    object=id,
                    waypoints=tuple(self.places.chosen),
                    speeds_mps=(speed.value,),
                    start_s=self._shown.time_s,
                    follow_lane=lane.value,
                )
            )
        )

    def _add_assets(self, assets: dict[str, Path]) -> None:
        gui = self._gui
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
        if not self.places.chosen:
            raise ValueError(
                "no place yet: switch on 'Clicks are places' under 'New way' and click on the road"
            )
        name = self._free_id(asset.name or "asset")
        return Insert(name=name, asset=asset, at=self.places.chosen[0], heading_deg=heading_deg)

    def _on(self, make: Callable[[str], Edit]) -> Callable[[viser.GuiEvent], None]:
        """A button about the chosen object."""

        def edit() -> Edit:
            id = self._chosen()
            if id is None:
                raise ValueError("no object is chosen: click one in the picture, or take it from the list")
            return make(id)

        return lambda event: self._do(event, edit)

    def _free_id(self, id: str) -> str:
        taken, number = set(modelled_objects(self._shown.scene)) | set(self._shown.classes), 2
        while f"{id}-{number}" in taken:
            number += 1
        return f"{id}-{number}"


def _share(rgb: tuple[int, int, int]) -> tuple[float, float, float]:
    red, green, blue = (round(value / 255, 3) for value in rgb)
    return red, green, blue
