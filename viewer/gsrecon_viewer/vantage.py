"""Where to look at an object from, so that nothing stands in between."""

import numpy as np
import torch
from jaxtyping import Float64

from gsrecon.geometry.paths import look_at
from gsrecon_viewer.lens import Eye
from gsrecon_viewer.painter import share_of_object
from gsrecon_viewer.shown import Shown, ShownObject

AWAY = 2.5
"""How far away, in lengths of the object's longest side."""
_FOV_Y, _WIDTH, _HEIGHT = 0.9, 96, 72
_DIRECTIONS = np.array(
    # Forward, left, up: three quarters in front on both sides, behind on both, straight, and from above.
    [[0.8, 0.8, 0.5], [0.8, -0.8, 0.5], [-0.8, 0.8, 0.5], [-0.8, -0.8, 0.5], [-1.2, 0, 0.4], [-0.5, 0, 1.2]]
)
_BETTER = 1.5  # the first directions show more of an object: others have to be so much better


def vantage(shown: Shown, thing: ShownObject) -> Float64[np.ndarray, " 3"]:
    """A place in world [m] from which most of an object is seen; if all are alike, in front of its left."""
    best, seen = None, 0.0
    reach = AWAY * float(np.max(thing.size_lwh))
    middle = thing.world_from_actor[:3, 3]
    for direction in _DIRECTIONS:
        place = (thing.world_from_actor @ np.array([*(reach * direction), 1.0]))[:3]
        pose = look_at(torch.from_numpy(place), torch.from_numpy(middle)).numpy()
        share = share_of_object(shown, Eye(pose, _FOV_Y, _WIDTH, _HEIGHT), thing.id)
        if best is None or share > _BETTER * seen:
            best, seen = place, share
    assert best is not None
    return best
