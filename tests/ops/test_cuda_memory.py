"""How much memory drawing takes on a GPU: the table of docs/cuda.md, bytes a cell, view, entry and pixel.

Seen on the processor: there, too, the kernels take all memory from torch.
"""

from dataclasses import replace

import pytest
import torch

from gsrecon.ops.rasterize import rasterize
from gsrecon.ops.settings import RasterizeSettings
from tests.ops.live_bytes import LiveBytes
from tests.ops.random_scenes import SceneOptions, random_scene
from tests.ops.shim import cuda_on_the_processor

SCENE = SceneOptions(gaussians=900, cameras=3, backgrounds=False)
SLACK = 12288
"""Cameras' matrices, sums of their gradients, tiles' first entries, workspaces rounded up to 256 bytes."""


@pytest.mark.parametrize(
    ("options", "parameter_bytes", "largest"),
    [
        (replace(SCENE, width=50, height=40, sh_degree=0), 56, ("composite", "composite_vjp")),
        (replace(SCENE, width=24, height=16, sh_degree=3), 236, ("tiles", "project_vjp")),
    ],
)
def test_memory_is_what_the_table_says(
    options: SceneOptions, parameter_bytes: int, largest: tuple[str, str]
) -> None:
    scene = random_scene(options).to(torch.float32)
    leaves, named = scene.with_gradients(torch.float32)
    shape = (options.cameras, options.height, options.width)
    upstream = torch.ones(*shape, 3), torch.ones(shape)
    with cuda_on_the_processor(), LiveBytes() as live:
        drawn = rasterize(leaves.splats, leaves.cameras, RasterizeSettings(depth=True))
        forward = live.peak
        cells, pixels = drawn.info.depths.numel(), drawn.alpha.numel()
        views = int((drawn.info.radii > 0).all(-1).sum())
        assert drawn.info.entries is not None
        entries = int(drawn.info.entries)
        pictures = [drawn.image, drawn.depth]
        del drawn
        between = live.now
        live.start_peak()
        gradients = torch.autograd.grad(pictures, list(named.values()), upstream)
    assert cells / 3 < views < 0.9 * cells  # else it could not be told which of the two counts
    assert all(gradient.isfinite().all() for gradient in gradients)
    table = {
        "tiles": 57 * cells + 68 * views + 16 * entries,
        "composite": 49 * cells + 48 * views + 4 * entries + 20 * pixels,
        "between": 1 * cells + 48 * views + 4 * entries + 20 * pixels,
        "composite_vjp": 41 * cells + 96 * views + 4 * entries + 20 * pixels,
        "project_vjp": 41 * cells + 16 * pixels + parameter_bytes * options.gaussians,
    }
    assert forward == pytest.approx(table[largest[0]], abs=SLACK)
    assert forward > min(table["tiles"], table["composite"]) + SLACK
    assert between == pytest.approx(table["between"], abs=SLACK)
    assert live.peak == pytest.approx(table[largest[1]], abs=SLACK)


def test_nothing_is_kept_where_no_gradient_is_wanted() -> None:
    scene = random_scene(replace(SCENE, width=50, height=40)).to(torch.float32)
    leaves, _ = scene.with_gradients(torch.float32)
    with cuda_on_the_processor(), torch.no_grad(), LiveBytes() as live:
        drawn = rasterize(leaves.splats, leaves.cameras, RasterizeSettings(depth=True))
        pictures = [drawn.image, drawn.depth, drawn.alpha]
        del drawn
        assert live.now == sum(p.numel() * 4 for p in pictures if p is not None)
