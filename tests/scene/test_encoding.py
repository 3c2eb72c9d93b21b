import math

import pytest
import torch

from gsrecon.scene.encoding import MOST_OCTAVES, encode, octaves_down_to


def test_a_value_is_followed_by_its_sines_and_cosines_octave_by_octave():
    encoded = encode(torch.tensor([[0.25, -0.5]]), 2)
    quarter = math.sqrt(0.5)
    expected = [0.25, -0.5, quarter, -1.0, 1.0, 0.0, quarter, 0.0, 0.0, -1.0]
    assert encoded[0].tolist() == pytest.approx(expected, abs=1e-6)


def test_no_octaves_leave_the_value_alone():
    values = torch.tensor([[0.3]])
    assert torch.equal(encode(values, 0), values)


@pytest.mark.parametrize(
    ("shortest", "half", "octaves"), [(2.0, 1.0, 1), (1.0, 1.0, 2), (1.0, 8.0, 5), (5.0, 1.0, 1)]
)
def test_octaves_halve_the_period_from_the_whole_extent_down(shortest, half, octaves):
    assert octaves_down_to(shortest, half) == octaves
    assert 2 * half / 2 ** (octaves - 1) <= max(shortest, 2 * half)


def test_frequencies_end_however_long_the_drive():
    assert octaves_down_to(1e-3, 1e6) == MOST_OCTAVES
    with pytest.raises(ValueError, match="shortest_period: expected above 0, got 0.0"):
        octaves_down_to(0.0, 1.0)
