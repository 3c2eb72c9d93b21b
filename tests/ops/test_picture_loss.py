import math

import pytest
import torch
from torch import Tensor

from gsrecon.ops.metrics import ssim_map
from gsrecon.ops.picture_loss import picture_loss, picture_loss_reference
from tests.ops.conftest import Compiled


def picture_and_truth(generator: torch.Generator, *shape: int) -> tuple[Tensor, Tensor]:
    """A picture as floats, and the truth in 8 bits."""
    truth = torch.randint(0, 256, (*shape, 3), generator=generator, dtype=torch.uint8)
    noise = 0.1 * torch.randn(*shape, 3, generator=generator)
    return (truth / 255 + noise).clamp(0, 1), truth


def as_floats(truth: Tensor) -> Tensor:
    return truth.float() / 255


def loss_and_gradient(
    image: Tensor, truth: Tensor, counts: Tensor | None, share: float
) -> tuple[Tensor, Tensor, Tensor]:
    leaf = image.clone().requires_grad_()
    loss, squared = picture_loss(leaf, truth, counts, share)
    loss.backward()
    assert leaf.grad is not None
    return loss.detach(), squared, leaf.grad


@pytest.mark.parametrize("shape", [(23, 37), (2, 16, 9), (7, 5), (1, 1), (3, 2, 33, 18)])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("in_bytes", [False, True])
@pytest.mark.parametrize("share", [0.0, 0.2, 1.0])
def test_compiled_loss_squared_error_and_gradient_are_the_reference_s(
    compiled: Compiled,
    shape: tuple[int, ...],
    masked: bool,
    in_bytes: bool,
    share: float,
    generator: torch.Generator,
) -> None:
    image, truth = picture_and_truth(generator, *shape)
    counts = torch.rand(shape, generator=generator) > 0.4 if masked else None
    leaf = image.clone().requires_grad_()
    given = truth if in_bytes else as_floats(truth)
    loss, squared = picture_loss(*(compiled.on_device(t) for t in (leaf, given, counts)), share)
    (3 * loss).backward()
    exact = image.double().requires_grad_()
    exact_truth = truth if in_bytes else given.double()
    expected, expected_squared = picture_loss_reference(exact, exact_truth, counts, share)
    (3 * expected).backward()
    assert leaf.grad is not None
    assert exact.grad is not None
    assert not squared.requires_grad
    assert loss.item() == pytest.approx(expected.item(), abs=2e-6)
    assert squared.item() == pytest.approx(expected_squared.item(), rel=1e-5)
    assert (leaf.grad - exact.grad).norm() <= 1e-5 * exact.grad.norm()


def test_reference_is_l1_and_dissimilarity_by_their_shares(generator: torch.Generator) -> None:
    image, truth = picture_and_truth(generator, 20, 30)
    image, truth = image.double(), truth.double() / 255
    loss, squared = picture_loss(image, truth, None, 0.3)
    l1, similarity = (image - truth).abs().mean(), ssim_map(image, truth).mean()
    torch.testing.assert_close(loss, 0.7 * l1 + 0.3 * (1 - similarity))
    torch.testing.assert_close(squared, (image - truth).square().mean())


def test_bytes_are_the_same_truth_as_their_floats(compiled: Compiled, generator: torch.Generator) -> None:
    image, truth = picture_and_truth(generator, 19, 21)
    image, truth, in_floats = (compiled.on_device(t) for t in (image, truth, as_floats(truth)))
    for ours, theirs in zip(
        loss_and_gradient(image, truth, None, 0.2),
        loss_and_gradient(image, in_floats, None, 0.2),
        strict=True,
    ):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("share", [0.0, 0.2])
def test_pixels_that_do_not_count_add_nothing_and_pull_nowhere(
    compiled: Compiled, share: float, generator: torch.Generator
) -> None:
    image, truth = (compiled.on_device(t) for t in picture_and_truth(generator, 24, 36))
    counts = torch.zeros(24, 36, dtype=torch.bool, device=image.device)
    counts[:12] = True
    loss, squared, gradient = loss_and_gradient(image, truth, counts, share)
    assert (gradient[12:] == 0).all()
    assert (gradient[:12] != 0).any()
    assert squared.item() == pytest.approx((image - as_floats(truth))[:12].square().mean().item(), rel=1e-5)
    image[12:] = math.nan
    for ours, theirs in zip(
        loss_and_gradient(image, truth, counts, share), (loss, squared, gradient), strict=True
    ):
        assert torch.equal(ours, theirs)


def test_a_picture_of_which_nothing_counts_has_no_gradient(
    compiled: Compiled, generator: torch.Generator
) -> None:
    image, truth = (compiled.on_device(t) for t in picture_and_truth(generator, 9, 8))
    counts = torch.zeros(9, 8, dtype=torch.bool, device=image.device)
    loss, squared, gradient = loss_and_gradient(image, truth, counts, 0.2)
    assert loss.isfinite()
    assert squared == 0
    assert (gradient == 0).all()


def test_a_value_that_is_not_a_number_is_told(compiled: Compiled, generator: torch.Generator) -> None:
    image, truth = (compiled.on_device(t) for t in picture_and_truth(generator, 18, 18))
    image[3, 4, 1] = math.nan
    for share in (0.0, 0.2):
        assert picture_loss(image, truth, None, share)[0].isnan()


def test_pictures_side_by_side_in_memory_are_taken_as_they_are_seen(
    compiled: Compiled, generator: torch.Generator
) -> None:
    image, truth = (compiled.on_device(t) for t in picture_and_truth(generator, 12, 17))
    turned = loss_and_gradient(image.transpose(0, 1), truth.transpose(0, 1), None, 0.2)
    expected = loss_and_gradient(
        image.transpose(0, 1).contiguous(), truth.transpose(0, 1).contiguous(), None, 0.2
    )
    for ours, theirs in zip(turned, expected, strict=True):
        assert torch.equal(ours, theirs)


def test_the_result_does_not_depend_on_the_number_of_threads(generator: torch.Generator) -> None:
    image, truth = picture_and_truth(generator, 90, 120)
    counts = torch.rand(90, 120, generator=generator) > 0.3
    results, threads = [], torch.get_num_threads()
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            results.append(loss_and_gradient(image, truth, counts, 0.2))
    finally:
        torch.set_num_threads(threads)
    for ours, theirs in zip(*results, strict=True):
        assert torch.equal(ours, theirs)


def test_a_truth_that_wants_a_gradient_gets_one(generator: torch.Generator) -> None:
    image, truth = picture_and_truth(generator, 9, 8)
    leaf = as_floats(truth).requires_grad_()
    picture_loss(image, leaf, None, 0.2)[0].backward()
    assert leaf.grad is not None
    assert (leaf.grad != 0).any()
