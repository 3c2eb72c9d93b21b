"""The drop-in is called like gsplat 1.5.3, gives what it gives, and refuses by name what it does not have."""

import inspect

import pytest
import torch

from gsrecon.compat.gsplat import RollingShutterType, rasterization
from tests.compat.small_scenes import CAMERAS, GAUSSIANS, HEIGHT, WIDTH, as_leaves, small_scene

PER_GAUSSIAN = ("means2d", "radii", "depths", "conics", "opacities")


def small(*shape, dtype=torch.float32, **options):
    return as_leaves(small_scene(*shape, **options), dtype)[0]


def test_names_order_and_defaults_are_gsplats():
    gsplat = pytest.importorskip("gsplat", reason="gsplat is not installed; the dev extra brings it")
    ours = inspect.signature(rasterization).parameters.values()
    theirs = inspect.signature(gsplat.rasterization).parameters.values()

    def listed(parameters):
        return [(p.name, p.kind, getattr(p.default, "name", p.default)) for p in parameters]

    assert listed(ours) == listed(theirs)


def test_the_positional_call_with_defaults_is_packed_and_black_behind():
    scene = small()
    image, alpha, meta = rasterization(
        scene["means"], scene["quats"], scene["scales"], scene["opacities"], scene["colors"],
        scene["viewmats"], scene["Ks"], WIDTH, HEIGHT,
    )  # fmt: skip
    assert image.shape == (CAMERAS, HEIGHT, WIDTH, 3)
    assert alpha.shape == (CAMERAS, HEIGHT, WIDTH, 1)
    assert 0 <= alpha.min() < 0.5 < alpha.max() < 1
    assert torch.equal(image, rasterization(**scene, packed=True, render_mode="RGB", eps2d=0.3)[0])
    assert len(meta["means2d"]) > GAUSSIANS


def test_packed_meta_lists_the_visible_pairs_by_camera_then_gaussian():
    meta = rasterization(**small())[2]
    unpacked = rasterization(**small(), packed=False)[2]
    visible = (unpacked["radii"] > 0).all(-1)
    assert torch.equal(torch.stack([meta["camera_ids"], meta["gaussian_ids"]], dim=-1), visible.nonzero())
    pairs = int(visible.sum())
    assert {name: tuple(meta[name].shape) for name in PER_GAUSSIAN} == {
        "means2d": (pairs, 2), "radii": (pairs, 2), "depths": (pairs,), "conics": (pairs, 3),
        "opacities": (pairs,),
    }  # fmt: skip
    assert meta["camera_ids"].dtype == meta["gaussian_ids"].dtype == meta["batch_ids"].dtype == torch.int64
    assert meta["radii"].dtype == torch.int32


def test_unpacked_meta_has_a_row_for_every_gaussian_and_no_ids():
    meta = rasterization(**small(), packed=False)[2]
    assert {name: tuple(meta[name].shape) for name in PER_GAUSSIAN} == {
        "means2d": (CAMERAS, GAUSSIANS, 2), "radii": (CAMERAS, GAUSSIANS, 2), "depths": (CAMERAS, GAUSSIANS),
        "conics": (CAMERAS, GAUSSIANS, 3), "opacities": (CAMERAS, GAUSSIANS),
    }  # fmt: skip
    assert meta["gaussian_ids"] is None
    assert meta["camera_ids"] is None
    sizes = {name: meta[name] for name in ("width", "height", "tile_size", "n_cameras", "n_batches")}
    assert sizes == {
        "width": WIDTH, "height": HEIGHT, "tile_size": 16, "n_cameras": CAMERAS, "n_batches": 1
    }  # fmt: skip


@pytest.mark.parametrize("packed", [True, False])
def test_absgrad_is_there_after_backward_only_when_asked_for(packed):
    for asked in (True, False):
        image, _, meta = rasterization(**small(), packed=packed, absgrad=asked)
        assert not hasattr(meta["means2d"], "absgrad")
        meta["means2d"].retain_grad()
        image.square().sum().backward()
        assert hasattr(meta["means2d"], "absgrad") == asked
        if asked:
            slack = 1 + 1e-4
            assert (meta["means2d"].absgrad * slack >= meta["means2d"].grad.abs()).all()
            assert meta["means2d"].absgrad.max() > 0


def test_nothing_is_recorded_without_gradients():
    with torch.no_grad():
        image, alpha, meta = rasterization(**small(), absgrad=True)
    assert not image.requires_grad
    assert not alpha.requires_grad
    assert not meta["means2d"].requires_grad


TENSOR = torch.zeros(CAMERAS, 4)
UNSUPPORTED = {
    "sparse_grad": (True, "True"),
    "distributed": (True, "True"),
    "with_ut": (True, "True"),
    "with_eval3d": (True, "True"),
    "camera_model": ("ortho", "'ortho'"),
    "covars": (torch.zeros(GAUSSIANS, 3, 3), f"a tensor of shape [{GAUSSIANS}, 3, 3]"),
    "radial_coeffs": (TENSOR, "a tensor of shape [2, 4]"),
    "tangential_coeffs": (TENSOR, "a tensor of shape [2, 4]"),
    "thin_prism_coeffs": (TENSOR, "a tensor of shape [2, 4]"),
    "ftheta_coeffs": ("coefficients", "'coefficients'"),
    "rolling_shutter": (RollingShutterType.ROLLING_TOP_TO_BOTTOM, "RollingShutterType.ROLLING_TOP_TO_BOTTOM"),
    "viewmats_rs": (torch.zeros(CAMERAS, 4, 4), "a tensor of shape [2, 4, 4]"),
}


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_what_is_not_supported_is_refused_by_name_and_value(name):
    value, shown = UNSUPPORTED[name]
    with pytest.raises(NotImplementedError) as refused:
        rasterization(**{**small(), name: value})
    message = str(refused.value)
    assert message.startswith(f"{name}: not supported")
    assert f"got {shown}" in message.replace("<", "")


def test_the_ftheta_lens_is_refused_and_an_unknown_one_is_a_mistake():
    with pytest.raises(NotImplementedError, match="camera_model: .* got 'ftheta'"):
        rasterization(**small(), camera_model="ftheta")
    with pytest.raises(ValueError, match="camera_model: .* got 'panorama'"):
        rasterization(**small(), camera_model="panorama")


def test_batch_dimensions_are_refused_by_name():
    names = ("means", "quats", "scales", "opacities", "colors", "viewmats", "Ks")
    scene = small()
    batch = {**scene, **{name: scene[name][None] for name in names}}
    with pytest.raises(NotImplementedError, match=r"batch dimensions of means: .* shape \[1, 30, 3\]"):
        rasterization(**batch)


def test_gsplats_own_global_shutter_is_taken():
    gsplat = pytest.importorskip("gsplat", reason="gsplat is not installed; the dev extra brings it")
    image = rasterization(**small(), rolling_shutter=gsplat.RollingShutterType.GLOBAL)[0]
    assert torch.equal(image, rasterization(**small())[0])
    with pytest.raises(NotImplementedError, match="rolling_shutter: .*ROLLING_LEFT_TO_RIGHT"):
        rasterization(**small(), rolling_shutter=gsplat.RollingShutterType.ROLLING_LEFT_TO_RIGHT)


MISTAKES = {
    "render_mode": ({"render_mode": "RGBD"}, "render_mode: expected one of RGB, D, .* got 'RGBD'"),
    "tile_size": ({"tile_size": 0}, "tile_size: expected at least 1"),
    "opacities": ({"opacities": torch.ones(GAUSSIANS - 1)}, r"opacities: expected \[30\], got \[29\]"),
    "colors": ({"colors": torch.ones(GAUSSIANS - 1, 3)}, r"colors: expected .*N = 30.* got \[29, 3\]"),
    "few harmonics": ({"sh_degree": 2, "colors": torch.ones(GAUSSIANS, 4, 3)}, "colors: .* at least 9"),
    "high degree": (
        {"sh_degree": 5, "colors": torch.ones(GAUSSIANS, 36, 3)},
        "sh_degree: expected .* 0 to 4",
    ),
    "backgrounds": ({"backgrounds": torch.ones(CAMERAS, 4)}, r"backgrounds: expected \[2, 3\], got \[2, 4\]"),
    "viewmats": ({"Ks": torch.eye(3)[None]}, r"Ks: expected \[2, 3, 3\], got \[1, 3, 3\]"),
    "mixed types": ({"quats": torch.ones(GAUSSIANS, 4).double()}, "quats: expected torch.float32 like means"),
    "eps2d": ({"eps2d": -1.0}, "eps2d: expected"),
}


@pytest.mark.parametrize("kind", MISTAKES)
def test_mistakes_are_value_errors_that_say_what_was_expected(kind):
    change, message = MISTAKES[kind]
    with pytest.raises(ValueError, match=message):
        inspect.unwrap(rasterization)(**{**small(), **change})


def test_half_precision_is_refused_with_a_remedy():
    halves = {k: v.half() if isinstance(v, torch.Tensor) else v for k, v in small().items()}
    with pytest.raises(
        ValueError, match=r"means: expected float32 or float64, got torch.float16; .*float\(\)"
    ):
        rasterization(**halves)
