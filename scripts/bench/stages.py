"""The rasterizer's work one native call at a time, as the modules `gsrecon/ops/_native_*` string them."""

from dataclasses import dataclass

import torch
from ours import SETTINGS, Ours
from torch import Tensor
from watch import Watch

from gsrecon.ops import _native
from gsrecon.ops._native_composite import run_composite_vjp
from gsrecon.ops._native_project import Lens, Projection, run_project, run_project_vjp

STAGES = ("project", "sort", "scatter", "blend", "blend_vjp", "project_vjp")
"""`sort` makes records and orders them by depth, `scatter` fills the tiles' lists."""
_BYTES_PARAMETERS = 4 * 59
"""Of a Gaussian at SH degree 3."""
_BYTES_PROJECTED = 4 * (2 + 2 + 1 + 3 + 1 + 3)
_BYTES_RECORD, _BYTES_ENTRY, _BYTES_PAIR_GRADIENT = 48, 8, 36


@dataclass(frozen=True)
class Lists:
    """Which Gaussians every tile blends."""

    records: Tensor
    camera_records: Tensor
    tile_entries: Tensor
    entries: Tensor
    slot_entries: Tensor


@dataclass(frozen=True)
class Staged:
    """What the stages leave behind."""

    projection: Projection
    lists: Lists
    image: Tensor

    @property
    def visible(self) -> int:
        """Gaussians in the picture."""
        return int((self.projection.radii > 0).all(-1).sum())


@torch.no_grad()
def run_stages(ours: Ours, watch: Watch) -> Staged:
    """Runs forward and backward pass, each stage timed with what it allocates."""
    width, height, s = ours.case.width, ours.case.height, SETTINGS
    inputs = (*ours.leaves.values(), None, ours.cameras.viewmats[:, None], ours.cameras.Ks, None)
    lens = Lens(width, height, "pinhole", False, s.near_plane, s.far_plane, s.radius_clip, s.eps2d, 3)
    projection, seen = watch("project", lambda: run_project(lens, inputs, with_gradients=True))
    lists = _bin(projection, width, height, watch)
    image, alpha = watch("blend", lambda: _blend(projection, lists, width, height))
    v_means2d, v_conics, v_opacities, v_colors, *_ = watch(
        "blend_vjp",
        lambda: run_composite_vjp(
            (None, None),
            (*_fields(lists), image, None, None, alpha),
            (ours.upstream, None, None, None),
            colors_shape=projection.colors.shape,
            with_depth=False,
            absgrad=False,
        ),
    )
    assert seen is not None
    gradients = (v_means2d, None, v_conics, v_opacities, v_colors)
    watch("project_vjp", lambda: run_project_vjp(lens, inputs, seen, gradients, with_poses=False))
    return Staged(projection, lists, image)


def least_bytes(ours: Ours, staged: Staged) -> dict[str, int]:
    """Bytes that have to be read or written once by each stage, whatever the caches hold."""
    n, visible, entries = ours.case.gaussians, staged.visible, len(staged.lists.entries)
    pixels = ours.case.width * ours.case.height
    # Centre and opacity of all Gaussians decide which are visible; only those are read further.
    parameters = n * 16 + visible * (_BYTES_PARAMETERS - 16)
    lists = visible * _BYTES_RECORD + entries * _BYTES_ENTRY
    stages = {
        "project": parameters + n * _BYTES_PROJECTED,
        "sort": n * _BYTES_PROJECTED + visible * _BYTES_RECORD,
        "scatter": lists,
        "blend": lists + pixels * 16,
        "blend_vjp": lists + pixels * 28 + 2 * entries * _BYTES_PAIR_GRADIENT + n * 36,
        "project_vjp": parameters + n * (36 + _BYTES_PARAMETERS),
    }
    forward = sum(stages[name] for name in STAGES[:4])
    return {**stages, "forward": forward, "forward_backward": sum(stages.values())}


def _bin(projection: Projection, width: int, height: int, watch: Watch) -> Lists:
    module, splats2d = _native.kernels(), _splats2d(projection)
    tiler = module.Tiler()

    def sort() -> tuple[Tensor, Tensor, int]:
        records = torch.empty(projection.depths.numel(), module.record_floats)
        camera_records = torch.empty(2, dtype=torch.int64)
        count = tiler.count(*splats2d, width, height, False, records, camera_records)
        return records, camera_records, count

    records, camera_records, count = watch("sort", sort)

    def scatter() -> Lists:
        tiles = -(-width // module.tile_size) * -(-height // module.tile_size)
        tile_entries = torch.empty(tiles + 1, dtype=torch.int64)
        entries, slots = (torch.empty(count, dtype=torch.int32) for _ in range(2))
        tiler.fill(tile_entries, entries, slots)
        return Lists(records, camera_records, tile_entries, entries, slots)

    return watch("scatter", scatter)


def _blend(projection: Projection, lists: Lists, width: int, height: int) -> tuple[Tensor, Tensor]:
    image, alpha = torch.empty(1, height, width, 3), torch.empty(1, height, width)
    composite = _native.kernels_for(image).composite
    composite(projection.colors, projection.depths, False, *_fields(lists), image, None, None, alpha)
    return image, alpha


def _splats2d(projection: Projection) -> tuple[Tensor, ...]:
    return (*projection[:5], projection.colors)


def _fields(lists: Lists) -> tuple[Tensor, ...]:
    return lists.records, lists.camera_records, lists.tile_entries, lists.entries, lists.slot_entries
