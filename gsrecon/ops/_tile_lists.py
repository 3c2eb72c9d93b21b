"""From projected Gaussians to a front-to-back list for every tile: what compositing walks."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gsrecon.ops._native import fresh, kernels


class TileLists(NamedTuple):
    """V visible Gaussians over all cameras, E pairs of Gaussian and tile. See `TileLists` of `cuda/ops.h`."""

    records: Tensor
    """[V or more, 12] what blending needs of a Gaussian."""
    camera_records: Tensor
    """[C + 1] first record of each camera."""
    tile_entries: Tensor
    """[C * tiles + 1] first entry of each tile."""
    entries: Tensor
    """[E or more] records, front to back in each tile."""
    slots: Tensor
    """Where the backward pass finds or leaves each entry's sums; how is the backend's own affair."""
    totals: Tensor
    """[2] V and E."""


class TileRequest(NamedTuple):
    """How the lists are wanted."""

    width: int
    height: int
    with_depth: bool
    with_gradients: bool
    deterministic: bool
    """The backward pass has to give the same bits in every run (on the CPU it always does)."""
    max_entries: int
    """Room for entries on a GPU; 0: as many as there are, which has to be read back from it."""

    def tiles(self) -> int:
        """Tiles of a picture."""
        tile = kernels().tile_size
        return -(-self.width // tile) * -(-self.height // tile)


def tile_lists(module: Any, projected: Sequence[Tensor], request: TileRequest) -> TileLists:
    """Sorts into tiles.

    Args:
        module: The kernels of the tensors' device.
        projected: means2d, radii, depths, conics, opacities and colors, dense.
        request: What is wanted.
    """
    return (_on_gpu if hasattr(module, "count_tiles") else _on_cpu)(module, projected, request)


def _on_cpu(module: Any, projected: Sequence[Tensor], request: TileRequest) -> TileLists:
    means2d = projected[0]
    cameras, gaussians = means2d.shape[:2]
    size = (request.width, request.height, request.with_depth)
    records = fresh(means2d, (cameras * gaussians, kernels().record_floats))
    camera_records = fresh(means2d, (cameras + 1,), torch.int64)
    tiler = kernels().Tiler()
    count = tiler.count(*projected, *size, records, camera_records)
    tile_entries = fresh(means2d, (cameras * request.tiles() + 1,), torch.int64)
    entries = fresh(means2d, (count,), torch.int32)
    slots = fresh(means2d, (count if request.with_gradients else 0,), torch.int32)
    tiler.fill(tile_entries, entries, slots if request.with_gradients else None)
    totals = torch.tensor([int(camera_records[-1]), count])
    return TileLists(records, camera_records, tile_entries, entries, slots, totals)


def _on_gpu(module: Any, projected: Sequence[Tensor], request: TileRequest) -> TileLists:
    means2d = projected[0]
    cameras, gaussians = means2d.shape[:2]
    size = (request.width, request.height, request.with_depth)
    index, tiles = (fresh(means2d, (cameras, gaussians), torch.int32) for _ in range(2))
    totals = fresh(means2d, (2,), torch.int64)
    module.count_tiles(*projected, *size, index, tiles, totals)
    if request.max_entries:
        visible, count = cameras * gaussians, request.max_entries
    else:
        if totals.is_cuda and torch.cuda.is_current_stream_capturing():
            raise ValueError(
                "max_entries: needed where a CUDA graph captures a picture, as nothing can be read back "
                "then; draw once without it, and give more room than RasterInfo.entries says"
            )
        visible, count = totals.tolist()  # the one place where the CPU waits for the GPU
        if count > torch.iinfo(torch.int32).max:
            raise RuntimeError(
                f"{count:,} pairs of Gaussian and tile are more than the 2^31 a call can draw: render fewer "
                "cameras at a time, smaller pictures, or look for Gaussians that have grown over everything"
            )
    records = fresh(means2d, (visible, kernels().record_floats))
    camera_records = fresh(means2d, (cameras + 1,), torch.int64)
    tile_entries = fresh(means2d, (cameras * request.tiles() + 1,), torch.int64)
    entries = fresh(means2d, (count,), torch.int32)
    with_slots = request.with_gradients and request.deterministic
    slots = fresh(means2d, (visible + count if with_slots else 0,), torch.int32)
    module.fill_tiles(
        *(*projected, *size, index, tiles, totals),
        *(records, camera_records, tile_entries, entries, slots),
        request.max_entries == 0,
    )
    return TileLists(records, camera_records, tile_entries, entries, slots, totals)
