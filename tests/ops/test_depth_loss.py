import pytest
import torch
from torch import Tensor

from gsrecon.ops import _native
from gsrecon.ops.depth_loss import log_depth_loss, log_depth_loss_reference
from tests.ops.conftest import Compiled

LIMIT = 0.5


def depths(generator: torch.Generator, shape: tuple[int, ...], count: int) -> tuple[Tensor, Tensor, Tensor]:
    """A depth picture with holes, places in it, and depths there that are now and then far off."""
    depth = 1 + 40 * torch.rand(shape, generator=generator)
    depth[torch.rand(shape, generator=generator) < 0.2] = 0
    places = torch.randperm(depth.numel(), generator=generator)[:count].int()
    factors = (0.6 * torch.randn(count, generator=generator)).exp()
    return depth, places, (depth.flatten()[places] + 0.01) * factors


@pytest.mark.parametrize(
    ("shape", "count"), [((23, 37), 300), ((1, 60, 50), 2500), ((2, 9, 8), 144), ((1, 1), 1), ((5, 4), 0)]
)
def test_compiled_loss_and_gradient_are_the_reference_s(
    compiled: Compiled, shape: tuple[int, ...], count: int, generator: torch.Generator
) -> None:
    depth, places, measured = depths(generator, shape, count)
    leaf, exact = depth.clone().requires_grad_(), depth.double().requires_grad_()
    loss = log_depth_loss(*(compiled.on_device(t) for t in (leaf, places, measured)), LIMIT)
    expected = log_depth_loss_reference(exact, places, measured.double(), LIMIT)
    (3 * loss).backward()
    (3 * expected).backward()
    assert leaf.grad is not None
    assert exact.grad is not None
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    assert (leaf.grad - exact.grad).norm() <= 1e-5 * exact.grad.norm()


def test_errors_beyond_the_limit_count_as_it_and_pull_no_more(compiled: Compiled) -> None:
    depth = compiled.on_device(torch.tensor([[10.0, 30.0, 2.0, 0.0]])).requires_grad_()
    places = compiled.on_device(torch.tensor([0, 1, 2, 3], dtype=torch.int32))
    measured = compiled.on_device(torch.tensor([8.0, 10.0, 10.0, 10.0]))
    loss = log_depth_loss(depth, places, measured, LIMIT)
    loss.backward()
    expected = (torch.tensor(10.0 / 8.0).log() + 2 * LIMIT) / 3
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    torch.testing.assert_close(depth.grad, compiled.on_device(torch.tensor([[1 / 30, 0.0, 0.0, 0.0]])))


def test_where_nothing_is_drawn_the_loss_is_0(compiled: Compiled) -> None:
    depth = compiled.on_device(torch.zeros(3, 4)).requires_grad_()
    places, measured = torch.arange(5, dtype=torch.int32), torch.full((5,), 7.0)
    loss = log_depth_loss(depth, *(compiled.on_device(t) for t in (places, measured)), LIMIT)
    loss.backward()
    assert loss == 0
    assert depth.grad is not None
    assert (depth.grad == 0).all()


def test_a_place_out_of_range_is_refused_on_the_cpu_and_left_out_on_a_gpu(compiled: Compiled) -> None:
    depth = compiled.on_device(torch.full((2, 2), 5.0)).requires_grad_()
    places = compiled.on_device(torch.tensor([1, 4, -1], dtype=torch.int32))
    measured = compiled.on_device(torch.full((3,), 4.0))
    if compiled.name == "cpu":
        with pytest.raises(ValueError, match="places: expected pixels of the picture"):
            log_depth_loss(depth, places, measured, LIMIT)
        return
    loss = log_depth_loss(depth, places, measured, LIMIT)
    loss.backward()
    assert loss.item() == pytest.approx(torch.tensor(5 / 4).log().item(), rel=1e-5)
    torch.testing.assert_close(depth.grad, compiled.on_device(torch.tensor([[0.0, 0.2], [0.0, 0.0]])))


def test_the_result_does_not_depend_on_the_number_of_threads(generator: torch.Generator) -> None:
    depth, places, measured = depths(generator, (90, 120), 8000)
    results, threads = [], torch.get_num_threads()
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            leaf = depth.clone().requires_grad_()
            loss = log_depth_loss(leaf, places, measured, LIMIT)
            results.append((loss.detach(), *torch.autograd.grad(loss, leaf)))
    finally:
        torch.set_num_threads(threads)
    for ours, theirs in zip(*results, strict=True):
        assert torch.equal(ours, theirs)


def test_a_gradient_of_another_shape_is_refused() -> None:
    place = _native.kernels_for(torch.empty(1))
    depth, places, measured = torch.ones(6), torch.zeros(1, dtype=torch.int32), torch.ones(1)
    with pytest.raises(ValueError, match="v_depth: expected the shape of depth"):
        place.compare_depths_vjp(depth, places, measured, LIMIT, torch.ones(2), torch.ones(1), torch.empty(5))
