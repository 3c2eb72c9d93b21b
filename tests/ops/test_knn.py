import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gsrecon.ops.knn import mean_neighbour_distance, median_leaves


def brute_force(points: torch.Tensor, k: int) -> torch.Tensor:
    distances = (points[:, None] - points[None]).norm(dim=-1).fill_diagonal_(torch.inf)
    return distances.topk(min(k, len(points) - 1), largest=False).values.mean(dim=-1)


@settings(max_examples=30, deadline=None)
@given(
    count=st.integers(2, 700),
    k=st.integers(1, 40),
    shape=st.sampled_from(["uniform", "skewed", "grid", "line", "equal"]),
    seed=st.integers(0, 1000),
)
def test_every_cloud_gets_the_same_distances_as_by_brute_force(
    count: int, k: int, shape: str, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    points = torch.rand(count, 3, generator=generator, dtype=torch.float64)
    if shape == "skewed":
        points = points * 1000 * torch.rand(count, 1, generator=generator, dtype=torch.float64) ** 9
    elif shape == "grid":
        points = (points * 6).round()
    elif shape == "line":
        points[:, 1:] = 0.0
    elif shape == "equal":
        points[:] = 1.0
    torch.testing.assert_close(mean_neighbour_distance(points, k), brute_force(points, k))


def test_four_corners_of_a_square_have_two_sides_and_a_diagonal() -> None:
    corners = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]])
    torch.testing.assert_close(mean_neighbour_distance(corners, 3), torch.full((4,), (2 + 2**0.5) / 3))


def test_with_fewer_others_than_asked_for_the_mean_is_over_those_there_are() -> None:
    pair = torch.tensor([[0.0, 0, 0], [0, 3, 4]])
    torch.testing.assert_close(mean_neighbour_distance(pair, 3), torch.full((2,), 5.0))


def test_an_outlier_kilometres_away_is_measured_exactly() -> None:
    cloud = torch.rand(5000, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    cloud[777] = torch.tensor([5000.0, -2000.0, 30.0])
    expected = (cloud - cloud[777]).norm(dim=-1).sort().values[1:4].mean()
    torch.testing.assert_close(mean_neighbour_distance(cloud)[777], expected)


def test_equal_points_fall_into_leaves_in_the_order_they_come_in() -> None:
    leaves, real = median_leaves(torch.ones(512, 3), 16)
    assert torch.equal(leaves.flatten(), torch.arange(512))
    assert bool(real.all())


def test_no_points_give_no_distances() -> None:
    assert mean_neighbour_distance(torch.zeros(0, 3)).shape == (0,)


@pytest.mark.parametrize(
    ("points", "k", "message"),
    [
        (torch.zeros(1, 3), 3, "at least 2"),
        (torch.zeros(5, 3), 0, "k: expected"),
        (torch.full((4, 3), torch.nan), 3, "4 rows"),
    ],
)
def test_what_has_no_answer_is_refused(points: torch.Tensor, k: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        mean_neighbour_distance(points, k)
