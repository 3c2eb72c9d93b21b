"""The sky for browsers that draw splats: large opaque ones on a sphere far away, around the camera."""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float32, Float64

from gsrecon.scene.sky import Sky

RADIUS_M = 900.0
"""A little nearer than browsers draw at all, which is 1000 m."""
COUNT = 8000
FOLLOWS_AFTER_M = 10.0
"""The sphere is put around the camera again when that has moved so far: a turn of the sky by 0.6 degrees."""
_WIDE = 0.8  # standard deviation, as a share of the distance between neighbours: no gaps, little blur
_GOLDEN = np.pi * (3 - np.sqrt(5))


class SkySplats(NamedTuple):
    """Splats as viser takes them."""

    centers: Float32[np.ndarray, "N 3"]
    """In metres from the middle."""
    covariances: Float32[np.ndarray, "N 3 3"]
    rgbs: Float32[np.ndarray, "N 3"]
    """0 to 1."""
    opacities: Float32[np.ndarray, "N 1"]


def sky_splats(sky: Sky) -> SkySplats:
    """Splats around the origin, in the directions of a Fibonacci lattice, which are about even."""
    directions = even_directions(COUNT)
    between = RADIUS_M * np.sqrt(4 * np.pi / COUNT)
    # Flat discs that face the centre.
    across = np.eye(3) - directions[:, :, None] * directions[:, None, :]
    with torch.no_grad():
        colours = sky.look(torch.from_numpy(directions).float()).clamp(0, 1).cpu().float().numpy()
    return SkySplats(
        centers=(RADIUS_M * directions).astype(np.float32),
        covariances=((_WIDE * between) ** 2 * across).astype(np.float32),
        rgbs=colours,
        opacities=np.ones((COUNT, 1), np.float32),
    )


def even_directions(count: int) -> Float64[np.ndarray, "N 3"]:
    """Unit vectors spread over the sphere."""
    place = np.arange(count) + 0.5
    z = 1 - 2 * place / count
    level = np.sqrt(1 - z**2)
    return np.stack([level * np.cos(_GOLDEN * place), level * np.sin(_GOLDEN * place), z], axis=1)
