"""How much of each object a view shows, measured on the scene itself.

Visible are the pixels that an object wins in the full picture, inside its alone mask (alpha at least one
half with nothing else there). Amodal is the alone mask joined with a shape prior for sides that no camera
saw: the object mirrored about its length, else its box's outline. Their ratio is the visible fraction. An
object whose alone mask is empty is unmeasured.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float64, Int32

from gsrecon.geometry.camera import Cameras
from gsrecon.labels.components import without_specks
from gsrecon.labels.subjects import Placed, Placement, mirrored, of_objects
from gsrecon.ops.alone import Alone, draw_alone
from gsrecon.ops.rasterize import Backend
from gsrecon.ops.settings import RasterizeSettings

Window = tuple[int, int, int, int]
"""Left, top, right, bottom [px]."""
Outline = tuple[Window, np.ndarray]
"""A mask and where it lies."""
Prior = Literal["mirror"] | Outline
"""What stands in for an object's unseen sides."""

COVERED = 0.5
"""Alpha from which a pixel belongs to an object."""


@dataclass(frozen=True)
class Measured:
    """What a view shows of one object."""

    window: Window
    """Part of the picture that holds the masks: left, top, right, bottom [px]."""
    visible: Bool[np.ndarray, "h w"]
    """Pixels of the window that show the object."""
    amodal: Bool[np.ndarray, "h w"]
    """Pixels that would show it with nothing else there."""
    alpha: float
    """Mean alpha of the object alone over its amodal pixels."""

    @property
    def visible_px(self) -> int:
        """Number of visible pixels."""
        return int(self.visible.sum())

    @property
    def amodal_px(self) -> int:
        """Number of amodal pixels."""
        return int(self.amodal.sum())

    @property
    def visible_fraction(self) -> float:
        """Visible over amodal."""
        return self.visible_px / self.amodal_px

    @property
    def modal_box(self) -> Float64[np.ndarray, " 4"] | None:
        """Pixel edges around the visible pixels [x0, y0, x1, y1]; None where there are none."""
        return box_around(self.visible, self.window)


def visibility_level(fraction: float) -> int:
    """NuScenes' level of a visible fraction: 1 up to 40 %, 2 to 60 %, 3 to 80 %, 4 above."""
    return 1 + sum(fraction > bound for bound in (0.4, 0.6, 0.8))


def box_around(mask: Bool[np.ndarray, "h w"], window: Window) -> Float64[np.ndarray, " 4"] | None:
    """Pixel edges around a mask in a window, in the picture."""
    rows, columns = mask.any(axis=1).nonzero()[0], mask.any(axis=0).nonzero()[0]
    if len(rows) == 0:
        return None
    left, top = window[:2]
    return np.array(
        [left + columns[0], top + rows[0], left + columns[-1] + 1, top + rows[-1] + 1], dtype=np.float64
    )


def measure(
    placement: Placement,
    cameras: Cameras,
    settings: RasterizeSettings,
    ids: Int32[np.ndarray, "H W"],
    wanted: Sequence[Placed],
    priors: Mapping[int, Prior] | None = None,
    backend: Backend = "auto",
) -> dict[int, Measured]:
    """Visible and amodal pixels of objects by their row; objects that are unmeasured are left out.

    Args:
        placement: All Gaussians, each with its object.
        cameras: One camera.
        settings: As the picture was drawn.
        ids: Object at each pixel of the full picture.
        wanted: Which objects.
        priors: Shape priors of objects that are seen from sides no camera saw, by their rows.
        backend: Of the rasterizer.
    """
    if not wanted:
        return {}
    count = placement.around
    own = of_objects(placement.splats, [thing.row for thing in wanted])
    if len(own) == 0:
        return {}
    alone = draw_alone(own, cameras, settings, count, backend)
    priors = priors or {}
    reflected = [thing for thing in wanted if priors.get(thing.row) == "mirror"]
    turned = None
    if reflected:
        halves = of_objects(own, [thing.row for thing in reflected])
        turned = draw_alone(
            mirrored(halves, reflected, placement.in_world), cameras, settings, count, backend
        )
    found = {}
    for thing in wanted:
        prior = priors.get(thing.row)
        if prior == "mirror":
            assert turned is not None
            prior = (tuple(turned.windows[thing.row].tolist()), turned.alphas[thing.row] >= COVERED)
        measured = _measured(thing.row, alone, prior, ids, placement.around)
        if measured is not None:
            found[thing.row] = measured
    return found


def _measured(
    row: int, alone: Alone, prior: Outline | None, ids: Int32[np.ndarray, "H W"], around: int
) -> Measured | None:
    alpha = alone.alphas[row]
    own = alpha >= COVERED
    if not own.any():
        return None
    window: Window = tuple(alone.windows[row].tolist())
    left, top, right, bottom = window
    winner = ids[top:bottom, left:right]
    # Where an object's own surroundings win inside its mask, nothing hides it.
    visible = without_specks(own & ((winner == row) | (winner == row + around)))
    amodal = own
    if prior is not None and prior[1].any():
        window, visible, amodal = _joined(window, own, visible, prior)
    return Measured(window, visible, amodal, float(alpha[own].mean()))


def _joined(
    window: Window,
    own: Bool[np.ndarray, "h w"],
    visible: Bool[np.ndarray, "h w"],
    prior: Outline,
) -> tuple[Window, np.ndarray, np.ndarray]:
    """Visible pixels and own ones joined with a prior's, in the smallest window around both."""
    other = prior[0]
    left, top = min(window[0], other[0]), min(window[1], other[1])
    right, bottom = max(window[2], other[2]), max(window[3], other[3])

    def placed(mask: np.ndarray, at: Window) -> np.ndarray:
        whole = np.zeros((bottom - top, right - left), dtype=bool)
        whole[at[1] - top : at[3] - top, at[0] - left : at[2] - left] = mask
        return whole

    return (left, top, right, bottom), placed(visible, window), placed(own, window) | placed(prior[1], other)
