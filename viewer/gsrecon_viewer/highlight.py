"""The chosen object is marked by a bright box, in every browser."""

import numpy as np
import viser
from jaxtyping import Float64

from gsrecon_viewer.lens import wxyz_of
from gsrecon_viewer.overlays import OVERLAYS, box_lines
from gsrecon_viewer.shown import ShownObject

COLOUR = (255, 225, 60)
_ROOM_M = 0.06  # so that its lines are not those of the object's other box
_PLACE = f"{OVERLAYS}/chosen"


class Highlight:
    """A box around one object; not a filled one, in which splats would not be drawn."""

    def __init__(self, server: viser.ViserServer) -> None:
        self._scene = server.scene
        self._frame: viser.FrameHandle | None = None
        self._size: tuple[float, ...] | None = None

    def follow(self, thing: ShownObject | None) -> None:
        """Marks an object, or none."""
        if thing is None:
            if self._frame is not None:
                self._frame.visible = False
            return
        size = tuple((thing.size_lwh + _ROOM_M).tolist())
        if size != self._size:
            self._draw(size)
            self._size = size
        self.at(thing.world_from_actor)
        assert self._frame is not None
        self._frame.visible = True

    def at(self, world_from_actor: Float64[np.ndarray, "4 4"]) -> None:
        """Moves the mark, as while its object is dragged."""
        if self._frame is not None:
            self._frame.wxyz = wxyz_of(world_from_actor)
            self._frame.position = tuple(world_from_actor[:3, 3].tolist())

    def _draw(self, size_lwh: tuple[float, ...]) -> None:
        if self._frame is None:
            self._frame = self._scene.add_frame(_PLACE, show_axes=False)
        own = ShownObject("", "", np.array(size_lwh), np.eye(4))
        self._scene.add_line_segments(
            f"{_PLACE}/edges", box_lines(own), COLOUR, thickness=5.0, thickness_units="screen"
        )
