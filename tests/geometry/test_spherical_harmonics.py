import math

import pytest
import torch

from gsrecon.geometry.spherical_harmonics import basis, eval_sh, rgb_to_sh0, sh0_to_rgb


def unit_directions(count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(5)
    return torch.nn.functional.normalize(
        torch.randn(count, 3, generator=generator, dtype=torch.float64), dim=-1
    )


def test_harmonics_of_degree_1_point_along_minus_y_z_and_minus_x() -> None:
    axes = torch.eye(3, dtype=torch.float64)
    c = math.sqrt(3 / (4 * math.pi))
    expected = torch.tensor([[0, 0, -c], [-c, 0, 0], [0, c, 0]], dtype=torch.float64)
    torch.testing.assert_close(basis(axes, 1)[:, 1:], expected)


def test_harmonics_are_orthonormal_on_the_sphere() -> None:
    # Gauss-Legendre in z times equal steps in angle integrates polynomials of degree 8 exactly.
    nodes, weights = torch.tensor(
        [
            [0.9739065285171717, 0.0666713443086881],
            [0.8650633666889845, 0.1494513491505806],
            [0.6794095682990244, 0.2190863625159820],
            [0.4333953941292472, 0.2692667193099963],
            [0.1488743389816312, 0.2955242247147529],
        ],
        dtype=torch.float64,
    ).T
    z, weights = torch.cat([nodes, -nodes])[:, None], torch.cat([weights, weights])[:, None]
    angle = torch.arange(12, dtype=torch.float64) * 2 * math.pi / 12
    ring = (1 - z * z).sqrt()
    directions = torch.stack([ring * angle.cos(), ring * angle.sin(), z.expand(-1, 12)], dim=-1)
    values = basis(directions, 4).reshape(-1, 25)
    areas = (weights * 2 * math.pi / 12).expand(-1, 12).reshape(-1, 1)
    torch.testing.assert_close(
        values.T @ (areas * values), torch.eye(25, dtype=torch.float64), atol=1e-12, rtol=0
    )


@pytest.mark.parametrize("degree", range(5))
def test_order_and_constants_are_those_of_gsplat(degree: int) -> None:
    oracle = pytest.importorskip("gsplat.cuda._torch_impl", reason="gsplat is not installed: no oracle")
    directions = unit_directions(64)
    expected = oracle._eval_sh_bases_fast((degree + 1) ** 2, directions)
    torch.testing.assert_close(basis(3.7 * directions, degree), expected, atol=1e-12, rtol=0)


def test_colours_are_those_of_gsplat() -> None:
    oracle = pytest.importorskip("gsplat.cuda._torch_impl", reason="gsplat is not installed: no oracle")
    directions = unit_directions(30)
    coefficients = torch.randn(30, 25, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for degree in range(5):
        expected = oracle._spherical_harmonics(degree, directions, coefficients)
        actual = eval_sh(coefficients[:, 0], coefficients[:, 1:], directions, degree)
        torch.testing.assert_close(actual, expected, atol=1e-12, rtol=0)


def test_the_length_of_a_direction_does_not_matter_and_its_gradient_is_across_it() -> None:
    directions = (unit_directions(8) * 1e-3).requires_grad_()
    values = basis(directions, 4)
    torch.testing.assert_close(values, basis(1e6 * directions, 4))
    values.square().mul(torch.arange(25)).sum().backward()
    assert directions.grad is not None
    torch.testing.assert_close((directions.grad * directions).sum(-1), torch.zeros(8, dtype=torch.float64))


def test_gradients_pass_a_finite_difference_check() -> None:
    assert torch.autograd.gradcheck(lambda d: basis(d, 4), unit_directions(5).mul(2).requires_grad_())


def test_a_colour_goes_to_its_coefficient_and_back() -> None:
    rgb = torch.rand(10, 3, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(sh0_to_rgb(rgb_to_sh0(rgb)), rgb)
    assert rgb_to_sh0(torch.full((3,), 0.5)).abs().max() == 0


def test_a_zero_direction_gives_finite_values_and_gradients() -> None:
    direction = torch.zeros(1, 3, requires_grad=True)
    basis(direction, 4).sum().backward()
    assert direction.grad is not None
    assert direction.grad.isfinite().all()


def test_a_degree_beyond_what_is_held_is_refused() -> None:
    with pytest.raises(ValueError, match="degree 2 needs 8 coefficients, got 3"):
        eval_sh(torch.zeros(1, 3), torch.zeros(1, 3, 3), torch.ones(1, 3), 2)
    with pytest.raises(ValueError, match="degree: expected 0 to 4"):
        basis(torch.ones(1, 3), 5)
