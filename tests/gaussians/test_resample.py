import pytest
import torch

from gsrecon.gaussians.gaussians import PARAMETERS, Gaussians
from gsrecon.gaussians.resample import Resample


def some_gaussians(count: int, generator: torch.Generator) -> Gaussians:
    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    return Gaussians(
        draw(count, 3), draw(count, 4), draw(count, 3), draw(count), draw(count, 3), draw(count, 3, 3)
    ).trainable()


@pytest.fixture
def change() -> Resample:
    """Row 1 is dropped, row 2 has a child, row 0 gets another opacity."""
    return Resample(
        parent=torch.tensor([0, 2, 3, 2]),
        is_new=torch.tensor([False, False, False, True]),
        values={"logit_opacities": torch.tensor([9.0, 2.0, 3.0, 2.0])},
    )


def test_every_parameter_takes_its_rows_from_the_same_parents(change, generator):
    old = some_gaussians(4, generator)
    new = old.resampled(change)
    for name in PARAMETERS:
        if name not in change.values:
            assert torch.equal(getattr(new, name), getattr(old, name)[change.parent])
    assert torch.equal(new.logit_opacities, change.values["logit_opacities"])


def test_leaves_stay_leaves_and_frozen_tensors_stay_frozen(change, generator):
    old = some_gaussians(4, generator)
    assert all(t.requires_grad and t.is_leaf for t in old.resampled(change).named().values())
    assert not any(t.requires_grad for t in old.detached().resampled(change).named().values())


def test_a_moment_survives_where_row_and_value_survive(change):
    old = torch.tensor([0.0, 1.0, 2.0, 3.0])
    moment = torch.tensor([10.0, 11.0, 12.0, 13.0])
    assert change.moment("logit_opacities", old, moment).tolist() == [0.0, 12.0, 13.0, 0.0]
    assert change.moment("other", old, moment).tolist() == [10.0, 12.0, 13.0, 0.0]


def test_labels_are_inherited(change):
    assert change.label(torch.tensor([5, 6, 7, 8], dtype=torch.int32)).tolist() == [5, 7, 8, 7]


def test_keeping_rows_drops_the_others():
    kept = Resample.keep(torch.tensor([3, 1]))
    assert kept.label(torch.arange(4)).tolist() == [3, 1]


def test_values_of_another_length_are_refused():
    with pytest.raises(ValueError, match=r"means.*expected 2 rows, got 3"):
        Resample(torch.tensor([0, 1]), torch.tensor([False, False]), {"means": torch.zeros(3, 3)})


def test_a_change_may_leave_nothing(generator):
    old = some_gaussians(4, generator)
    nobody = torch.zeros(0, dtype=torch.int64)
    change = Resample(nobody, nobody.bool(), {"means": old.means[:0], "logit_opacities": torch.zeros(0)})
    new = old.resampled(change)
    for name in PARAMETERS:
        parameter = getattr(old, name)
        assert len(getattr(new, name)) == 0
        assert change.moment(name, parameter, torch.ones_like(parameter)).shape == getattr(new, name).shape
