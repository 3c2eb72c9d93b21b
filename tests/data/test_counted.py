import numpy as np

from gsrecon.data.counted import widened


def test_a_mask_grows_in_every_direction():
    mask = np.zeros((7, 9), bool)
    mask[3, 4] = True
    grown = widened(mask, 2)
    assert grown.sum() == 25
    assert grown[1:6, 2:7].all()
    assert widened(mask, 0) is mask
