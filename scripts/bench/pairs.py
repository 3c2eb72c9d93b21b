"""How many pairs of pixel and Gaussian a picture blends: the work that every rasterizer has to do."""

import math
from itertools import pairwise

import torch
from stages import Lists
from torch import Tensor

from gsrecon.ops.settings import ALPHA_MAX, ALPHA_MIN, TRANSMITTANCE_STOP

_TILE = 16
_ENTRY_ID_MASK = (1 << 28) - 1
"""`kEntryIdMask` of cuda/ops.h."""


def blended_pairs(lists: Lists, width: int, height: int) -> int:
    """Pairs with alpha of at least 1/255 before the pixel's light is used up.

    Args:
        lists: Those of one picture; a record begins with x, y, a, b, c, log2(opacity).
        width: Of the picture [px].
        height: Of the picture [px].
    """
    starts = lists.tile_entries.tolist()
    records = lists.records[:, :6]
    tiles_x, total = -(-width // _TILE), 0
    for tile, (start, stop) in enumerate(pairwise(starts)):
        x0, y0 = tile % tiles_x * _TILE, tile // tiles_x * _TILE
        y, x = torch.meshgrid(
            torch.arange(y0, min(y0 + _TILE, height), dtype=torch.float32),
            torch.arange(x0, min(x0 + _TILE, width), dtype=torch.float32),
            indexing="ij",
        )
        rows = (lists.entries[start:stop] & _ENTRY_ID_MASK).long()
        total += _blended_in_tile(records[rows], x.flatten(), y.flatten())
    return total


def _blended_in_tile(records: Tensor, x: Tensor, y: Tensor) -> int:
    """Pairs blended in one tile: records [K, 6] front to back, pixels [P]."""
    cx, cy, a, b, c, log2_opacity = (column[:, None] for column in records.unbind(1))
    dx, dy = x - cx, y - cy
    log2_alpha = (a * dx + b * dy) * dx + c * dy * dy + log2_opacity
    touched = log2_alpha >= math.log2(ALPHA_MIN)
    alpha = torch.where(touched, log2_alpha.exp2().clamp(max=ALPHA_MAX), 0.0)
    lit = (1 - alpha).cumprod(0) > TRANSMITTANCE_STOP
    return int((touched & lit).sum())
