import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gsrecon.ops.metrics import psnr, ssim, ssim_map
from tests.ops.conftest import Compiled


def pictures(*shape: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    truth = torch.rand(*shape, 3, generator=generator, dtype=torch.float64)
    noise = torch.randn(*shape, 3, generator=generator, dtype=torch.float64)
    return (truth + 0.1 * noise).clamp(0, 1), truth


def papers_ssim(image: Tensor, truth: Tensor) -> Tensor:
    """The published form: a two-dimensional window, convolved with zero padding, one channel at a time."""
    weights = torch.tensor([math.exp(-((i - 5) ** 2) / (2 * 1.5**2)) for i in range(11)], dtype=image.dtype)
    weights = weights / weights.sum()
    window = torch.outer(weights, weights).expand(3, 1, 11, 11)

    def blur(planes: Tensor) -> Tensor:
        return F.conv2d(planes, window, padding=5, groups=3)

    x, y = image.movedim(-1, -3)[None], truth.movedim(-1, -3)[None]
    mean_x, mean_y = blur(x), blur(y)
    variance_x, variance_y = blur(x * x) - mean_x**2, blur(y * y) - mean_y**2
    covariance = blur(x * y) - mean_x * mean_y
    above = (2 * mean_x * mean_y + 0.0001) * (2 * covariance + 0.0009)
    below = (mean_x**2 + mean_y**2 + 0.0001) * (variance_x + variance_y + 0.0009)
    return above / below


def test_psnr_of_a_tenth_off_everywhere_is_20_db() -> None:
    truth = torch.full((4, 5, 3), 0.5)
    torch.testing.assert_close(psnr(truth + 0.1, truth), torch.tensor(20.0))


def test_psnr_looks_only_where_the_mask_is_set() -> None:
    truth = torch.zeros(4, 4, 3)
    image = truth.clone()
    image[0] = 1.0
    image[1:] = 0.01
    mask = torch.ones(4, 4, dtype=torch.bool)
    mask[0] = False
    torch.testing.assert_close(psnr(image, truth, mask), torch.tensor(40.0))


def test_psnr_of_equal_pictures_is_infinite() -> None:
    assert psnr(torch.ones(2, 2, 3), torch.ones(2, 2, 3)).isinf()


@pytest.mark.parametrize("size", [(23, 37), (11, 11), (5, 4), (1, 1)])
def test_ssim_is_that_of_the_papers(size: tuple[int, int]) -> None:
    image, truth = pictures(*size)
    expected = papers_ssim(image, truth)
    torch.testing.assert_close(ssim_map(image, truth), expected[0].movedim(-3, -1))
    torch.testing.assert_close(ssim(image, truth), expected.mean())


def test_ssim_of_equal_pictures_is_one_and_of_different_ones_less() -> None:
    image, truth = pictures(16, 20)
    torch.testing.assert_close(ssim(truth, truth), torch.tensor(1.0, dtype=torch.float64))
    assert ssim(image, truth) < 0.99


def test_ssim_of_a_batch_is_the_mean_over_its_pictures() -> None:
    image, truth = pictures(3, 14, 13)
    each = torch.stack([ssim(a, b) for a, b in zip(image, truth, strict=True)])
    torch.testing.assert_close(ssim(image, truth), each.mean())


def test_gradients_of_ssim_agree_with_those_of_the_papers_form() -> None:
    image, truth = pictures(17, 12)
    image.requires_grad_()
    truth.requires_grad_()
    ours = torch.autograd.grad(ssim(image, truth), [image, truth])
    theirs = torch.autograd.grad(papers_ssim(image, truth).mean(), [image, truth])
    torch.testing.assert_close(ours, theirs)


def test_ssim_passes_a_finite_difference_check() -> None:
    image, truth = pictures(6, 7)
    assert torch.autograd.gradcheck(lambda t: ssim(t, truth), image.requires_grad_())


@pytest.mark.parametrize("shape", [(23, 37, 3), (2, 16, 9, 3), (7, 5, 3), (1, 1, 3)])
def test_compiled_ssim_and_its_gradient_are_the_reference_s(
    compiled: Compiled, shape: tuple[int, ...], generator: torch.Generator
) -> None:
    image = torch.rand(shape, generator=generator)
    truth = (image + 0.1 * torch.randn(shape, generator=generator)).clamp(0, 1)
    leaf = image.clone().requires_grad_()
    found = ssim(compiled.on_device(leaf), compiled.on_device(truth))
    found.backward()
    reference = image.double().requires_grad_()
    expected = ssim_map(reference, truth.double()).mean()
    expected.backward()
    assert leaf.grad is not None
    assert reference.grad is not None
    assert found.item() == pytest.approx(expected.item(), abs=1e-6)
    assert (leaf.grad - reference.grad).norm() < 1e-5 * reference.grad.norm()
