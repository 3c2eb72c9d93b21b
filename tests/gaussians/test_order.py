import torch

from gsrecon.gaussians.order import morton_order
from gsrecon.gaussians.resample import Resample


def test_the_order_is_a_permutation_that_brings_neighbours_together(generator: torch.Generator) -> None:
    points = 100 * torch.rand(4000, 3, generator=generator) - 50
    order = morton_order(points)
    assert torch.equal(order.sort().values, torch.arange(4000))

    def step(p: torch.Tensor) -> torch.Tensor:
        return (p[1:] - p[:-1]).norm(dim=1).median()

    assert step(points[order]) < 0.2 * step(points)


def test_a_point_far_away_does_not_spoil_the_order_of_the_others(generator: torch.Generator) -> None:
    points = torch.cat([torch.rand(2000, 3, generator=generator), torch.tensor([[1e5, 0.0, 0.0]])])
    sorted_points = points[morton_order(points)]
    assert (sorted_points[1:] - sorted_points[:-1]).norm(dim=1).median() < 0.15


def test_no_points_have_an_empty_order() -> None:
    assert morton_order(torch.zeros(0, 3)).shape == (0,)


def test_a_reordered_change_keeps_rows_together() -> None:
    change = Resample(
        torch.tensor([4, 5, 5]),
        torch.tensor([False, False, True]),
        {"means": torch.arange(9.0).reshape(3, 3)},
    )
    turned = change.reordered(torch.tensor([2, 0, 1]))
    assert turned.parent.tolist() == [5, 4, 5]
    assert turned.is_new.tolist() == [True, False, False]
    assert turned.values["means"][0].tolist() == [6.0, 7.0, 8.0]
