"""Points found in pictures, and who saw them."""

import numpy as np

from gsrecon.data.sparse_points import SparsePoints


def test_sightings_count_the_asked_pictures_only():
    points = SparsePoints(
        points_in_world=np.zeros((3, 3)),
        colors=np.zeros((3, 3), np.uint8),
        frames=(("a", 0), ("a", 1), ("b", 0)),
        seen_points=np.array([0, 0, 0, 1, 1], np.int32),
        seen_frames=np.array([0, 1, 2, 1, 2], np.int32),
    )
    assert points.sightings({("a", 0), ("a", 1), ("b", 0)}).tolist() == [3, 2, 0]
    assert points.sightings([("a", 1)]).tolist() == [1, 1, 0]
    assert points.sightings([("c", 7)]).tolist() == [0, 0, 0]
