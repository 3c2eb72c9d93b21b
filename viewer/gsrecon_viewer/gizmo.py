"""Handles on the chosen object: drag it over the road, turn it about its upright axis."""

import threading
from collections.abc import Callable

import numpy as np
import viser

from gsrecon_viewer.lens import pose_of, wxyz_of
from gsrecon_viewer.shown import Shown

Dragged = Callable[[viser.ClientHandle, tuple[float, float, float], float], None]
_LEAST_M, _LEAST_DEG = 0.02, 0.5


class Gizmo:
    """At most one, where the chosen object is."""

    def __init__(self, server: viser.ViserServer, shown: Shown, dragged: Dragged) -> None:
        self._server, self._shown, self._dragged = server, shown, dragged
        self._handle: viser.TransformControlsHandle | None = None
        self._dragging = False
        self._one = threading.Lock()

    def follow(self, id: str | None) -> None:
        """Puts the handles on an object at the moment that is shown, or takes them away."""
        thing = None if id is None else self._shown.object(id)
        if thing is None:
            if self._handle is not None:
                self._handle.visible = False
            return
        if self._dragging:
            return
        with self._one:
            if self._handle is None:
                self._handle = self._made()
        self._handle.wxyz = wxyz_of(thing.world_from_actor)
        self._handle.position = tuple(thing.world_from_actor[:3, 3].tolist())
        self._handle.visible = True
        self._start = thing.world_from_actor

    def _made(self) -> viser.TransformControlsHandle:
        handle = self._server.scene.add_transform_controls(
            "/gizmo", scale=2.0, disable_sliders=False, rotation_limits=((0, 0), (0, 0), (-1000, 1000)),
            depth_test=False,
        )  # fmt: skip

        @handle.on_update
        def _(event: viser.TransformControlsEvent) -> None:
            self._dragging = event.phase != "end"
            if self._dragging:
                return
            moved = np.linalg.inv(self._start) @ pose_of(handle.wxyz, handle.position)
            by, turn = moved[:3, 3], float(np.degrees(np.arctan2(moved[1, 0], moved[0, 0])))
            if event.client is not None and (np.linalg.norm(by) > _LEAST_M or abs(turn) > _LEAST_DEG):
                forward, left, up = (round(float(v), 3) for v in by)
                self._dragged(event.client, (forward, left, up), round(turn, 2))

        return handle
