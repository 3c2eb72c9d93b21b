"""Pictures and gradients of the drop-in are those of gsplat's own torch functions."""

from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor

from gsrecon.compat.gsplat import rasterization
from gsrecon.compat.gsplat_stages import composite
from tests.compat.small_scenes import CAMERAS, GAUSSIANS, HEIGHT, WIDTH, as_leaves, small_scene
from tests.ops.agreement import on_se3, relative_error

pytest.importorskip("gsplat", reason="gsplat is not installed; the dev extra brings it")
from tests.compat.gsplat_oracle import rasterization_oracle

CLOSE = {torch.float64: 2e-6, torch.float32: 2e-4}
KINDS = {
    "plain": {},
    "any channels over a background": {"shape": (GAUSSIANS, 5), "backgrounds": True},
    "plain per camera": {"shape": (CAMERAS, GAUSSIANS, 4), "render_mode": "RGB+D"},
    "harmonics": {"shape": (GAUSSIANS, 16, 3), "sh_degree": 3, "backgrounds": True},
    "harmonics below those held": {"shape": (GAUSSIANS, 10, 3), "sh_degree": 1},
    "harmonics per camera": {"shape": (CAMERAS, GAUSSIANS, 9, 3), "sh_degree": 2, "render_mode": "RGB+ED"},
    "antialiased": {"rasterize_mode": "antialiased", "render_mode": "RGB+D"},
    "fisheye": {"camera_model": "fisheye", "shape": (GAUSSIANS, 9, 3), "sh_degree": 2},
    "sum of depths": {"render_mode": "D", "backgrounds": True},
    "expected depth": {"render_mode": "ED"},
    "colours and depth over a background": {"render_mode": "RGB+D", "backgrounds": True},
    "colours and expected depth over a background": {"render_mode": "RGB+ED", "backgrounds": True},
}


def scene_of(kind: str) -> dict[str, Any]:
    options = dict(KINDS[kind])
    return small_scene(*options.pop("shape", ()), seed=7, **options)


def loss(image: Tensor, alpha: Tensor) -> Tensor:
    """Other weights at every pixel, so that no error cancels."""
    weights = torch.rand(image.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64) - 0.5
    more = torch.rand(alpha.shape, generator=torch.Generator().manual_seed(4), dtype=torch.float64) - 0.5
    return (image * weights.to(image)).sum() + (alpha * more.to(alpha)).sum()


def gradients(leaves: dict[str, Tensor]) -> dict[str, Tensor]:
    """By name, those of poses along rigid motions; None counts as zero."""
    found = {k: torch.zeros_like(v) if v.grad is None else v.grad for k, v in leaves.items()}
    return {**found, "viewmats": on_se3(found["viewmats"], leaves["viewmats"])}


def dense(meta: dict[str, Any], rows: Tensor) -> Tensor:
    """Rows of packed `meta` at their place in [C, N, ...], zero elsewhere; others as they are."""
    if meta["gaussian_ids"] is None:
        return rows
    out = rows.new_zeros(CAMERAS, GAUSSIANS, *rows.shape[1:])
    out[meta["camera_ids"], meta["gaussian_ids"]] = rows
    return out


@cache
def expectation(kind: str) -> tuple[Tensor, Tensor, dict[str, Tensor], dict[str, Any]]:
    """What gsplat's torch functions give: picture, alpha, gradients, and `meta` after the backward pass."""
    scene, leaves = as_leaves(scene_of(kind), torch.float64)
    image, alpha, meta = rasterization_oracle(**scene)
    for name in ("means2d", "means_at_pixels"):
        meta[name].retain_grad()
    loss(image, alpha).backward()
    return image, alpha, gradients(leaves), meta


@pytest.mark.parametrize("packed", [True, False], ids=["packed", "unpacked"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("kind", KINDS)
def test_pictures_and_gradients_are_gsplats(kind, dtype, packed):
    expected, expected_alpha, expected_gradients, expected_meta = expectation(kind)
    scene, leaves = as_leaves(scene_of(kind), dtype)
    image, alpha, meta = rasterization(**scene, packed=packed, absgrad=True)
    meta["means2d"].retain_grad()
    loss(image, alpha).backward()

    close = CLOSE[dtype]
    assert image.dtype == alpha.dtype == dtype
    assert image.shape == expected.shape
    assert relative_error(image, expected) < close
    assert relative_error(alpha, expected_alpha) < close
    found = gradients(leaves)
    for name, gradient in expected_gradients.items():
        assert relative_error(found[name], gradient) < 10 * close, name

    visible = dense(meta, (meta["radii"] > 0).all(-1))
    for name in ("means2d", "depths", "conics", "opacities"):
        wanted_rows = expected_meta[name][visible]
        assert relative_error(dense(meta, meta[name])[visible], wanted_rows) < close, name
    assert (dense(meta, meta["radii"]) <= expected_meta["radii"]).all()
    means2d = meta["means2d"]
    assert relative_error(dense(meta, means2d.grad), expected_meta["means2d"].grad) < 10 * close
    absolute = expected_meta["means_at_pixels"].grad.abs().sum(1)
    assert relative_error(dense(meta, means2d.absgrad), absolute) < 10 * close


@pytest.mark.parametrize("kind", KINDS)
def test_packed_and_unpacked_draw_the_same(kind):
    packed_scene, packed_leaves = as_leaves(scene_of(kind), torch.float32)
    scene, leaves = as_leaves(scene_of(kind), torch.float32)
    packed_image, packed_alpha, packed_meta = rasterization(**packed_scene, packed=True)
    image, alpha, meta = rasterization(**scene, packed=False)
    loss(packed_image, packed_alpha).backward()
    loss(image, alpha).backward()
    assert torch.equal(packed_image, image)
    assert torch.equal(packed_alpha, alpha)
    for name in ("means2d", "radii", "depths", "conics", "opacities"):
        assert torch.equal(dense(packed_meta, packed_meta[name]), meta[name]), name
    for name, gradient in gradients(leaves).items():
        assert relative_error(gradients(packed_leaves)[name], gradient) < 1e-6, name


def test_the_gradient_of_a_loss_on_the_packed_centres_reaches_the_gaussians():
    scene, leaves = as_leaves(scene_of("plain"), torch.float32)
    _, _, meta = rasterization(**scene)
    meta["means2d"].sum().backward()
    drawn = meta["gaussian_ids"].unique()
    assert len(drawn) > 0
    assert (leaves["means"].grad[drawn].abs().sum(-1) > 0).all()


def test_the_gradient_of_the_packed_centres_is_the_slope_along_the_centres_that_are_blended():
    scene, _ = as_leaves(scene_of("plain"), torch.float64)
    image, alpha, meta = rasterization(**scene)
    meta["means2d"].retain_grad()
    loss(image, alpha).backward()
    shift = 1e-6

    def drawn(sign: float) -> Tensor:
        def moved(seen, *rest):
            return composite(seen._replace(means2d=seen.means2d + sign * shift), *rest)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("gsrecon.compat.gsplat.composite", moved)
            with torch.no_grad():
                return loss(*rasterization(**scene)[:2])

    slope = (drawn(1) - drawn(-1)) / (2 * shift)
    torch.testing.assert_close(slope, meta["means2d"].grad.sum(), rtol=1e-4, atol=1e-6)


def test_chunks_tiles_and_sorting_do_not_change_the_picture():
    scene, _ = as_leaves(small_scene(GAUSSIANS, 40), torch.float32)
    expected, _, _ = rasterization(**scene)
    image, _, meta = rasterization(**scene, channel_chunk=7, tile_size=8, segmented=True)
    assert torch.equal(image, expected)
    assert (meta["tile_size"], meta["tile_width"], meta["tile_height"]) == (
        8,
        -(-WIDTH // 8),
        -(-HEIGHT // 8),
    )


def test_planes_and_radius_clip_leave_out_the_same_gaussians_in_both_types():
    scene = scene_of("plain")
    everything = rasterization(**as_leaves(scene, torch.float32)[0], packed=False)[2]
    depths, radii = everything["depths"], everything["radii"].amax(-1)
    between = (depths >= 2.0) & (depths <= 6.0) & (radii > 0)
    clip = float(radii[between].median())
    limits = {"near_plane": 2.0, "far_plane": 6.0, "radius_clip": clip, "packed": False}
    kept = between & (radii > clip)
    assert 0 < kept.sum() < between.sum() < (radii > 0).sum()
    for dtype in (torch.float32, torch.float64):
        meta = rasterization(**as_leaves(scene, dtype)[0], **limits)[2]
        assert torch.equal((meta["radii"] > 0).all(-1), kept)


def test_a_larger_eps2d_widens_the_gaussians():
    scene, _ = as_leaves(scene_of("plain"), torch.float32)
    narrow = rasterization(**scene, eps2d=0.1)[2]["conics"]
    wide = rasterization(**scene, eps2d=2.0)[2]["conics"]
    assert wide[:, 0].max() <= 1 / 2.0 < narrow[:, 0].max()


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_nothing_in_sight_gives_the_background(packed, dtype):
    scene, leaves = as_leaves(small_scene(backgrounds=True), dtype)
    scene["means"] = leaves["means"] - torch.tensor([0.0, 0.0, 100.0], dtype=dtype)
    image, alpha, meta = rasterization(**scene, packed=packed, absgrad=True)
    loss(image, alpha).backward()
    assert alpha.max() == 0
    assert torch.equal(image, leaves["backgrounds"][:, None, None].expand_as(image))
    assert meta["means2d"].shape == ((0, 2) if packed else (CAMERAS, GAUSSIANS, 2))
    assert leaves["means"].grad is None or leaves["means"].grad.abs().max() == 0
