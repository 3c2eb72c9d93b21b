"""How much there is to do in a case, counted on the device from our tile lists, and the least to be moved."""

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from gsrecon.ops._native_composite import Channels, composite
from gsrecon.ops._tile_lists import TileLists
from gsrecon.ops.rasterize import project_compiled
from gsrecon.ops.settings import ALPHA_MAX, ALPHA_MIN, TRANSMITTANCE_STOP, RasterizeSettings
from gsrecon.ops.splats import Splats
from scripts.bench_gpu.cases import Case
from scripts.bench_gpu.inputs import Inputs

_TILE = 16
_ENTRY_ID_MASK = (1 << 28) - 1
"""`kEntryIdMask` of cuda/ops.h."""
_DEGREE = 3


@dataclass(frozen=True)
class Counts:
    """The work that every rasterizer has in a case."""

    visible: int
    """Gaussians that at least one camera sees."""
    views: int
    """Pairs of a camera and a Gaussian that it sees."""
    entries: int
    """Pairs of a tile and a Gaussian that reaches it."""
    pairs: int
    """Pairs of a pixel and a Gaussian that are blended: alpha of at least 1/255, light left."""


@torch.no_grad()
def count(inputs: Inputs) -> Counts:
    """Counts a case."""
    case = inputs.case
    projection = project_compiled(Splats(**inputs.gaussians), inputs.cameras, RasterizeSettings(), _DEGREE)
    lists = composite(
        projection,
        projection.colors,
        None,
        Channels(image=3, depth=False),
        width=case.width,
        height=case.height,
    ).lists
    seen = (projection.radii > 0).all(-1)
    return Counts(
        visible=int(seen.any(0).sum()),
        views=int(seen.sum()),
        entries=int(lists.tile_entries[-1]),
        pairs=_blended_pairs(lists, case),
    )


def least_bytes(case: Case, counts: Counts) -> dict[str, int]:
    """Bytes that each work has to read from or write to memory if every array passes through it once.

    With N Gaussians of 59 floats, V of them visible, S pairs of camera and Gaussian, E of tile and Gaussian
    and P pixels of 4 channels:

    - forward: 16 N for centres and opacities, which decide who is visible; 220 V for the rest of the visible
      ones; 96 S for their records (48 bytes), written and read; 8 E for the lists, written and read; 20 P for
      channels and alpha.
    - forward_backward: that, and 36 P for channels and alpha read again and the channels' gradients; 4 E for
      the lists; 48 S for the records; 80 S for the projected gradients (10 floats), written and read; 236 V
      for the parameters, read again; 236 N for the gradients of all.
    - training_step: that without depth, 12 P + 8 S less, but with absolute gradients, 16 S more; 36 P for
      picture, truth and gradient of the losses; 236 N for Adam's look at all gradients; 6 * 236 V for
      parameters and two moments of the visible ones, read and written.

    Fetching a record anew for every tile is not in it, since caches can serve that.
    """
    n, p, v = case.gaussians, case.pixels, counts.visible
    s, e = counts.views, counts.entries
    forward = 16 * n + 220 * v + 96 * s + 8 * e + 20 * p
    both = forward + 36 * p + 4 * e + 128 * s + 236 * v + 236 * n
    step = both - 12 * p + 8 * s + 36 * p + 236 * n + 6 * 236 * v
    return {"forward": forward, "forward_backward": both, "training_step": step}


def _blended_pairs(lists: TileLists, case: Case) -> int:
    tiles_x, tiles_y = -(-case.width // _TILE), -(-case.height // _TILE)
    device = lists.records.device
    total = torch.zeros((), dtype=torch.int64, device=device)
    for tile, (start, stop) in enumerate(pairwise(lists.tile_entries.tolist())):
        if start == stop:
            continue
        row, column = divmod(tile % (tiles_x * tiles_y), tiles_x)
        x = torch.arange(column * _TILE, min((column + 1) * _TILE, case.width), device=device)
        y = torch.arange(row * _TILE, min((row + 1) * _TILE, case.height), device=device)
        entries = (lists.entries[start:stop] & _ENTRY_ID_MASK).long()
        total += _blended_in_tile(lists.records[entries, :6], x, y)
    return int(total)


def _blended_in_tile(records: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Pairs in one tile: records [K, 6] front to back, pixels of columns x and rows y."""
    cx, cy, a, b, c, log2_opacity = (column[:, None, None] for column in records.unbind(1))
    dx, dy = x - cx, y[:, None] - cy
    log2_alpha = (a * dx + b * dy) * dx + c * dy * dy + log2_opacity
    touched = log2_alpha >= math.log2(ALPHA_MIN)
    alpha = torch.where(touched, log2_alpha.exp2().clamp(max=ALPHA_MAX), 0.0)
    lit = (1 - alpha).cumprod(0) > TRANSMITTANCE_STOP
    return (touched & lit).sum()
