"""Depths that hide what is drawn over the scene; hand-computed."""

import numpy as np
import pytest

from gsrecon_viewer.occlusion import COARSE, FARTHEST_M, SLACK, SLACK_M, depth_to_send
from gsrecon_viewer.painter import paint, paint_with_depth
from gsrecon_viewer.shown import Shown
from tests.viewer.looking import street_eye


def test_a_line_on_a_surface_is_in_front_of_it_and_one_behind_it_is_not():
    depth = np.geomspace(0.2, 150, 2000, dtype=np.float32)[None]
    sent = depth_to_send(depth, coarse=False)
    with_slack = np.minimum(depth * (1 + SLACK) + SLACK_M, FARTHEST_M)
    assert (sent >= with_slack - 1e-4).all()
    assert (sent <= with_slack * (1 + 1 / 64) + 1e-4).all(), "rounded by a 64th at most"
    assert (np.diff(sent) >= 0).all()
    assert sent.dtype == np.float32


def test_the_sky_hides_nothing_up_to_the_farthest_that_can_be_told():
    sent = depth_to_send(np.array([[np.inf, 500.0, 10.0]], np.float32), coarse=False)
    assert sent[0, 0] == sent[0, 1] == FARTHEST_M
    assert sent[0, 2] == pytest.approx(10.375), "10.3 m, up to the next 8th of a metre"


def test_coarse_depths_are_those_of_the_middles_of_blocks():
    depth = np.arange(1, 1 + 9 * 16, dtype=np.float32).reshape(9, 16)
    sent = depth_to_send(depth, coarse=True)
    middles = depth_to_send(depth, coarse=False)[COARSE // 2 :: COARSE, COARSE // 2 :: COARSE]
    assert sent.shape == (2, 4)
    np.testing.assert_array_equal(sent, middles)


def test_depths_of_a_picture_are_those_of_the_street(street_shown: Shown):
    eye = street_eye(street_shown, size=(320, 180))
    painted = paint_with_depth(street_shown, eye, "colours")
    assert painted.depth is not None
    assert painted.depth.shape == (180, 320)
    assert np.isinf(painted.depth[:10]).all(), "the sky"
    assert painted.depth[98, 160] == pytest.approx(9.5, abs=0.3), (
        "the near car's back is at 10 m, we at 0.5 m"
    )
    assert painted.depth[60, 300] == pytest.approx(49.5, abs=0.5), "the wall"
    np.testing.assert_array_equal(painted.picture, paint(street_shown, eye, "colours"))


def test_depth_is_given_beside_every_kind_of_picture_if_wanted(street_shown: Shown):
    eye = street_eye(street_shown)
    for kind in ("depth", "objects"):
        assert paint_with_depth(street_shown, eye, kind).depth is not None
        assert paint_with_depth(street_shown, eye, kind, with_depth=False).depth is None
