"""The sky of browsers that draw splats."""

import numpy as np
import pytest
import torch

from gsrecon.scene.sky import Sky
from gsrecon_viewer.sky_splats import COUNT, RADIUS_M, even_directions, sky_splats


def test_directions_are_spread_evenly():
    directions = even_directions(2000)
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1, atol=1e-12)
    np.testing.assert_allclose(directions.mean(axis=0), 0, atol=2e-3)
    cosines = directions @ directions.T - 3 * np.eye(2000)
    apart = np.degrees(np.arccos(cosines.max(axis=1)))
    wanted = np.degrees(np.sqrt(4 * np.pi / 2000))
    assert apart.min() > 0.75 * wanted
    assert apart.max() < 1.1 * wanted


def test_splats_have_the_sky_s_colours_and_face_its_middle():
    texels = torch.rand(6, 4, 4, 3, generator=torch.Generator().manual_seed(3))
    sky = Sky(texels)
    splats = sky_splats(sky)
    centres = splats.centers
    assert centres.shape == (COUNT, 3)
    np.testing.assert_allclose(np.linalg.norm(centres, axis=1), RADIUS_M, rtol=1e-5)
    with torch.no_grad():
        wanted = sky.look(torch.from_numpy(centres)).numpy()
    np.testing.assert_allclose(splats.rgbs, wanted, atol=1e-3)
    assert (splats.opacities == 1).all()
    widths = np.linalg.eigvalsh(splats.covariances.astype(float))
    np.testing.assert_allclose(widths[:, 0], 0, atol=0.05)
    np.testing.assert_allclose(widths[:, 1], widths[:, 2], rtol=1e-4)
    thin = np.einsum("nij,nj->ni", splats.covariances, centres / RADIUS_M)
    np.testing.assert_allclose(thin, 0, atol=0.05)


def test_variances_fit_into_the_half_floats_that_browsers_are_sent():
    assert sky_splats(Sky.plain(2, torch.ones(3))).covariances.max() < np.finfo(np.float16).max


@pytest.mark.parametrize("value", [-1.0, 3.0])
def test_colours_out_of_range_are_clamped(value: float):
    colours = sky_splats(Sky.plain(2, torch.full((3,), value))).rgbs
    assert colours.min() == colours.max() == float(value > 0)
