"""The order in which Gaussians lie in memory: neighbours in space are neighbours in memory.

A camera then sees few blocks of rows and skips the others, and what a tile needs lies together.
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

_BITS = 21
"""Bits of each coordinate in a code of 63."""


def morton_order(points: Float[Tensor, "N 3"]) -> Int64[Tensor, " N"]:
    """Rows sorted along a Morton curve through the points; equal codes keep their order.

    The curve runs over log-spaced cells, so that a few points far away do not squeeze all others into one.

    Source: Morton, "A computer oriented geodetic data base", 1966.
    """
    if len(points) == 0:
        return torch.zeros(0, dtype=torch.int64, device=points.device)
    centred = points.detach() - points.detach().median(dim=0).values
    squeezed = centred.sign() * torch.log1p(centred.abs() / 50.0)
    low, high = squeezed.amin(dim=0), squeezed.amax(dim=0)
    cells = (squeezed - low) / (high - low).amax().clamp_min(1e-12) * (2**_BITS - 1)
    codes = _spread(cells.to(torch.int64))
    return (codes[:, 0] | codes[:, 1] << 1 | codes[:, 2] << 2).argsort(stable=True)


def _spread(values: Int64[Tensor, "N 3"]) -> Int64[Tensor, "N 3"]:
    """Two zero bits between any two bits."""
    for shift, mask in (
        (32, 0x1F00000000FFFF),
        (16, 0x1F0000FF0000FF),
        (8, 0x100F00F00F00F00F),
        (4, 0x10C30C30C30C30C3),
        (2, 0x1249249249249249),
    ):
        values = (values | values << shift) & mask
    return values
