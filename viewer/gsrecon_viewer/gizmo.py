"""Handles on the chosen object: drag it over the road, lift it, turn it about its upright axis."""

import asyncio
from collections.abc import Callable

import numpy as np
import viser
from jaxtyping import Float64

from gsrecon_viewer.lens import pose_of, wxyz_of
from gsrecon_viewer.overlays import OVERLAYS
from gsrecon_viewer.shown import ShownObject

Dragged = Callable[[viser.ClientHandle, str, tuple[float, float, float], float], None]
Dragging = Callable[[Float64[np.ndarray, "4 4"]], None]
_LEAST_M, _LEAST_DEG = 0.02, 0.5
_LEAST_SIZE_M, _BEYOND_M = 1.5, 1.0
"""Arrows end so far outside the object, so that they are told from it."""


class Gizmo:
    """At most one, where the chosen object is.

    viser draws an arc about an axis where the other two are active. So one set of handles has the two level
    axes and their arc, about the upright one, and another has the upright arrow alone.
    """

    def __init__(self, server: viser.ViserServer, dragging: Dragging, dragged: Dragged) -> None:
        """No handles yet.

        Args:
            server: Where to put them.
            dragging: Called with where the object is being dragged to, in world.
            dragged: Called when it is let go, with the browser, the object's id, how far it went forward,
                left and up [m], and degrees turned.
        """
        self._server, self._on_drag, self._on_end = server, dragging, dragged
        self._handles: list[viser.TransformControlsHandle] = []
        self._dragging = False

    def follow(self, thing: ShownObject | None) -> None:
        """Puts the handles on an object, or takes them away."""
        if thing is None:
            for handle in self._handles:
                handle.visible = False
            return
        if self._dragging:
            return
        if not self._handles:
            self._handles = [
                self._made("ground", (True, True, False)),
                self._made("up", (False, False, True)),
            ]
        self._held = thing
        self._place(thing.world_from_actor)
        size = max(_LEAST_SIZE_M, 0.5 * float(np.max(thing.size_lwh)) + _BEYOND_M)
        for handle in self._handles:
            if handle.scale != size:
                handle.scale = size
            handle.visible = True

    def _place(
        self, pose: Float64[np.ndarray, "4 4"], but: viser.TransformControlsHandle | None = None
    ) -> None:
        for handle in self._handles:
            if handle is not but:
                handle.wxyz, handle.position = wxyz_of(pose), tuple(pose[:3, 3].tolist())

    def _made(self, name: str, axes: tuple[bool, bool, bool]) -> viser.TransformControlsHandle:
        handle = self._server.scene.add_transform_controls(
            f"{OVERLAYS}/handles/{name}",
            scale=_LEAST_SIZE_M,
            line_width=4.0,
            active_axes=axes,
            depth_test=False,
        )

        @handle.on_update
        async def _(event: viser.TransformControlsEvent) -> None:
            # Where events arrive, and not in viser's threads, which would mix up their order.
            held, pose = self._held, pose_of(handle.wxyz, handle.position)
            self._dragging = event.phase != "end"
            self._place(pose, but=handle)
            self._on_drag(pose)
            if not self._dragging and event.client is not None:
                asyncio.get_running_loop().run_in_executor(None, self._let_go, event.client, held, pose)

        return handle

    def _let_go(
        self, client: viser.ClientHandle, held: ShownObject, pose: Float64[np.ndarray, "4 4"]
    ) -> None:
        moved = np.linalg.inv(held.world_from_actor) @ pose
        by, turn = moved[:3, 3], float(np.degrees(np.arctan2(moved[1, 0], moved[0, 0])))
        if np.linalg.norm(by) > _LEAST_M or abs(turn) > _LEAST_DEG:
            forward, left, up = (round(float(v), 3) for v in by)
            self._on_end(client, held.id, (forward, left, up), round(turn, 2))
