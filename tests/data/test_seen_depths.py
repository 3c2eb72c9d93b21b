import numpy as np

from gsrecon.data.seen_depths import seen_from_here


def test_lidar_behind_a_nearer_neighbour_is_not_seen_from_the_camera():
    pixels = np.array([0, 1, 1, 30])
    depths = np.array([10.0, 20.0, 25.0, 20.0], dtype=np.float32)
    kept, nearest = seen_from_here(pixels, depths, width=40, height=3)
    assert kept.tolist() == [0, 30]
    assert nearest.tolist() == [10.0, 20.0]
