"""Places on the road, clicked in the picture: where something is put, or the way it drives."""

import numpy as np
import viser

from gsrecon.scene.ground import Ground
from gsrecon_viewer.editing import Editing
from gsrecon_viewer.overlays import OVERLAYS

Place = tuple[float, float]
_MARKS = f"{OVERLAYS}/waypoints"
_FARTHEST_M = 200.0
_NONE_TOLD = "Click places on the road."


class Places:
    """The places that were clicked so far, marked in every browser."""

    def __init__(self, server: viser.ViserServer, editing: Editing) -> None:
        """Adds the controls where the panel is at."""
        self._server, self._editing = server, editing
        self.chosen: list[Place] = []
        """[x, y] in world in the order of the clicks [m]."""
        self._told = server.gui.add_markdown(_NONE_TOLD)
        self._wanted = server.gui.add_checkbox("Clicks are places", False)
        server.gui.add_button("Drop the last place").on_click(lambda _: self.drop())

    @property
    def wanted(self) -> bool:
        """Whether clicks are places, and not choices of objects."""
        return self._wanted.value

    def add(self, origin: np.ndarray, direction: np.ndarray) -> None:
        """Takes the place where a ray meets the ground.

        Raises:
            ValueError: There is no ground.
        """
        ground = self._editing.surroundings.ground
        place = None if ground is None else on_ground(ground, origin, direction)
        if place is None:
            raise ValueError("there is no ground where you clicked")
        self.chosen.append(place)
        self._tell()

    def drop(self) -> None:
        """Forgets the last one."""
        del self.chosen[-1:]
        self._tell()

    def clear(self) -> None:
        """Forgets all."""
        if self.chosen:
            self.chosen.clear()
            self._tell()

    def _tell(self) -> None:
        self._told.content = ", ".join(f"({x:.1f}, {y:.1f})" for x, y in self.chosen) or _NONE_TOLD
        if not self.chosen:
            self._server.scene.remove_by_name(_MARKS)
            return
        flat = np.array(self.chosen)
        ground = self._editing.surroundings.ground
        height = np.zeros(len(flat)) if ground is None else ground.nearest(flat)
        points = np.concatenate([flat, height[:, None] + 0.1], axis=1).astype(np.float32)
        self._server.scene.add_point_cloud(_MARKS, points, (255, 90, 60), point_size=0.25)


def on_ground(ground: Ground, origin: np.ndarray, direction: np.ndarray) -> Place | None:
    """Where a ray meets the ground, [x, y] in world [m]; None where it does not within 200 m."""
    along = np.linspace(0.5, _FARTHEST_M, 4000)
    points = origin + along[:, None] * direction
    height = ground.height(points[:, :2])
    below = np.isfinite(height) & (points[:, 2] <= height)
    if not below.any():
        return None
    x, y, _ = points[int(below.argmax())]
    return float(x), float(y)
