"""The controls that belong to one browser: what it shows, who draws it, which camera it rides along with."""

from collections.abc import Callable

from gsrecon_viewer.client_view import ClientView
from gsrecon_viewer.comparing import COMPARISONS, Comparison
from gsrecon_viewer.painter import KINDS
from gsrecon_viewer.riding import Ride

_FREE = "free"


def add_view_panel(
    view: ClientView, cameras: list[str], can_compare: bool, redrawn: Callable[[], None]
) -> None:
    """Adds them.

    Args:
        view: The browser.
        cameras: Names of the rig's cameras.
        can_compare: Whether recorded pictures are reachable.
        redrawn: Called after every change.
    """
    gui, wishes = view.client.gui, view.wishes
    with gui.add_folder("View (this browser alone)"):
        kind = gui.add_dropdown("Show", KINDS, initial_value=wishes.kind, hint="What each pixel shows")
        drawn = gui.add_dropdown(
            "Drawn by",
            ("server", "browser"),
            initial_value="server",
            hint="Pictures from the server are exact; splats drawn by the browser move smoothly",
        )
        quality = gui.add_slider("Sharpness", 0.25, 1.0, 0.05, 1.0, hint="Share of the resolution when still")
        through = gui.add_checkbox(
            "Show through", wishes.through, hint="Boxes and lines also behind what is in front of them"
        )
    with gui.add_folder("Ride along", visible=bool(cameras)):
        camera = gui.add_dropdown("Camera", (_FREE, *cameras), initial_value=_FREE, hint="Follow the rig")
        left = gui.add_slider("Left [m]", -5.0, 5.0, 0.1, 0.0)
        up = gui.add_slider("Up [m]", -1.5, 8.0, 0.1, 0.0)
        yaw = gui.add_slider("Turn [deg]", -180.0, 180.0, 1.0, 0.0, hint="Counter-clockwise from above")
        comparison = gui.add_dropdown(
            "Compare", ("off", *COMPARISONS), initial_value="off", visible=can_compare,
            hint="With the recorded picture; takes the offsets away, and hides the boxes",
        )  # fmt: skip
        wipe = gui.add_slider("Wipe", 0.0, 1.0, 0.01, 0.5, visible=False)

    def changed(_: object = None) -> None:
        chosen = None if camera.value == _FREE else camera.value
        how: Comparison | None = next((c for c in COMPARISONS if c == comparison.value), None)
        if how is not None and chosen is None:
            camera.value = chosen = cameras[0]
        offsets = (0.0, 0.0, 0.0) if how is not None else (left.value, up.value, yaw.value)
        wishes.kind, wishes.quality, wishes.through = kind.value, quality.value, through.value
        wishes.drawn = "pictures" if drawn.value == "server" else "splats"
        wishes.comparison, wishes.wipe, wishes.ride = how, wipe.value, Ride(chosen, *offsets)
        by_server = wishes.drawn == "pictures"
        kind.visible = quality.visible = through.visible = by_server
        comparison.visible = can_compare and by_server
        wipe.visible = by_server and how == "wipe"
        for offset in (left, up, yaw):
            offset.visible = chosen is not None and how is None
        view.cover_overlays()
        view.follow()
        view.ask()
        redrawn()

    for control in (kind, drawn, quality, through, camera, left, up, yaw, comparison, wipe):
        control.on_update(changed)
    for offset in (left, up, yaw):
        offset.visible = False
