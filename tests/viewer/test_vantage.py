"""Places to look at objects from; hand-computed on the street."""

from dataclasses import replace

import numpy as np

from gsrecon_viewer import vantage as vantages
from gsrecon_viewer.shown import Shown
from gsrecon_viewer.vantage import AWAY, vantage


def test_an_object_that_stands_free_is_seen_from_in_front_of_its_left(street_shown: Shown):
    thing = street_shown.object("near")
    assert thing is not None
    reach = AWAY * 4.0
    wanted = np.array([12.0, 0.0, 0.75]) + reach * np.array([0.8, 0.8, 0.5])
    np.testing.assert_allclose(vantage(street_shown, thing), wanted, atol=1e-4)


def test_an_object_is_seen_from_where_nothing_is_in_front_of_it(street_shown: Shown, monkeypatch):
    walker = street_shown.object("walker")
    assert walker is not None
    # 60 m before it is behind the wall at 50 m; 5 m behind it is on the road.
    monkeypatch.setattr(vantages, "_DIRECTIONS", np.array([[12.0, 0.0, 0.3], [-1.0, 0.0, 0.3]]))
    reach = AWAY * 1.8
    wanted = np.array([9.0, 3.0, 0.9]) + reach * np.array([-1.0, 0.0, 0.3])
    np.testing.assert_allclose(vantage(street_shown, walker), wanted, atol=1e-4)


def test_an_object_that_the_scene_does_not_model_is_looked_at_all_the_same(street_shown: Shown):
    thing = street_shown.object("near")
    assert thing is not None
    assert np.isfinite(vantage(street_shown, replace(thing, id="nobody"))).all()
