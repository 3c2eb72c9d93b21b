"""What is drawn over the scene, and which of its nodes are drawn at all."""

from dataclasses import fields

import viser

from gsrecon_viewer.overlays import Layers, Overlays
from gsrecon_viewer.shown import Shown

_TOLD = {
    "boxes": ("Boxes", "3D boxes of the objects"),
    "ids": ("Ids", "Id and class above each box"),
    "way": ("Vehicle's way", "Where it went"),
    "cameras": ("Cameras", "The rig's cameras at this moment"),
    "lidar": ("Lidar", "Points of the nearest sweep, coloured by height"),
    "lanes": ("Lanes", "Lane lines of the map"),
}


def add_layers_panel(server: viser.ViserServer, shown: Shown, overlays: Overlays) -> None:
    """Check boxes, shared by all browsers; what the drive does not have is not offered."""
    available = _available(shown)
    with server.gui.add_folder("Layers"):
        for field in fields(Layers):
            if field.name not in available:
                continue
            label, hint = _TOLD[field.name]
            box = server.gui.add_checkbox(label, getattr(overlays.layers, field.name), hint=hint)
            box.on_update(_switch(overlays, field.name))
    with server.gui.add_folder("Parts of the scene", expand_by_default=False):
        boxes = {id: server.gui.add_checkbox(id, True) for id in dict.fromkeys(shown.node_ids())}

        def chosen(_: object) -> None:
            shown.hide_nodes(frozenset(id for id, box in boxes.items() if not box.value))

        for box in boxes.values():
            box.on_update(chosen)


def _switch(overlays: Overlays, name: str):
    def switch(event: viser.GuiEvent) -> None:
        setattr(overlays.layers, name, event.target.value)
        overlays.refresh()

    return switch


def _available(shown: Shown) -> set[str]:
    names = {"way", "cameras"} if shown.recording is not None else set()
    if shown.tracks:
        names |= {"boxes", "ids"}
    if shown.log is not None and shown.log.sweeps:
        names.add("lidar")
    if shown.log is not None and shown.log.lanes:
        names.add("lanes")
    return names
