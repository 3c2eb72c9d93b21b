import torch

from gsrecon.gaussians.resample import Resample
from gsrecon.train.config import Rate
from gsrecon.train.optim import Optimizer


def test_a_row_that_survives_goes_on_as_if_nothing_had_happened(generator):
    """Two optimisers, one of which loses a row and gains a child half way, agree on the survivors."""
    start = torch.randn(4, 3, generator=generator)
    gradients = torch.randn(6, 4, 3, generator=generator)
    rates = {"node/means": Rate(1e-2, 1e-3)}
    change = Resample(torch.tensor([3, 0, 1, 1]), torch.tensor([False, False, False, True]))

    plain = start.clone().requires_grad_()
    undisturbed = Optimizer({"node/means": plain}, rates)
    changed = start.clone().requires_grad_()
    disturbed = Optimizer({"node/means": changed}, rates)
    for i in range(6):
        if i == 3:
            new = change.parameter("means", changed).requires_grad_()
            disturbed.resample({"node/means": new}, change)
            changed = new
        plain.grad = gradients[i].clone()
        changed.grad = gradients[i][change.parent] if i >= 3 else gradients[i].clone()
        undisturbed.step(i / 6)
        disturbed.step(i / 6)
    assert torch.equal(changed[:3], plain[[3, 0, 1]])
    assert not torch.equal(changed[3], plain[1])


def test_rates_fall_exponentially_and_begin_when_told():
    rate = Rate(1e-2, 1e-4, begin=0.2)
    assert rate.at(0.1) == 0.0
    assert abs(rate.at(0.5) - 1e-3) < 1e-9
    assert abs(rate.at(1.0) - 1e-4) < 1e-9


def test_a_restored_optimizer_steps_to_the_same_bits(generator):
    values = torch.randn(5, generator=generator)
    rates = {"a/x": Rate(1e-2, 1e-3)}
    first = values.clone().requires_grad_()
    optimizer = Optimizer({"a/x": first}, rates)
    first.grad = torch.randn(5, generator=generator)
    optimizer.step(0.0)

    second = first.detach().clone().requires_grad_()
    restored = Optimizer({"a/x": second}, rates)
    restored.load_state(optimizer.state())
    gradient = torch.randn(5, generator=generator)
    first.grad, second.grad = gradient.clone(), gradient.clone()
    optimizer.step(0.5)
    restored.step(0.5)
    assert torch.equal(first, second)


def test_what_is_not_learned_yet_keeps_its_value_and_its_first_step_is_a_whole_one():
    value = torch.zeros(3).requires_grad_()
    optimizer = Optimizer({"a/x": value}, {"a/x": Rate(1e-2, 1e-2, begin=0.5)})
    value.grad = torch.full((3,), 5.0)
    optimizer.step(0.25)
    assert torch.equal(value, torch.zeros(3))
    value.grad = torch.full((3,), 5.0)
    optimizer.step(0.75)
    torch.testing.assert_close(value.detach(), torch.full((3,), -1e-2))
