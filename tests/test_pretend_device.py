"""The pretend GPU refuses what CUDA refuses, allows what it allows, and computes with the CPU's bits."""

import numpy as np
import pytest
import torch

from gsrecon.ops import device
from gsrecon.train import loop
from tests.pretend_device import DEVICE, PretendTensor, pretend_gpu


@pytest.fixture(autouse=True)
def gpu():
    with pretend_gpu() as reads:
        yield reads


def here(*shape: int) -> torch.Tensor:
    """Numbers on the device."""
    return torch.rand(*shape, generator=torch.Generator().manual_seed(3)).to(DEVICE)


MIXED = {
    "sum": lambda x, c: x + c,
    "sum the other way": lambda x, c: c + x,
    "in place": lambda x, c: x.add_(c),
    "into the CPU": lambda x, c: c.add_(x),
    "number into the CPU": lambda x, c: c.add_(x.sum()),
    "product": lambda x, c: x @ c.T,
    "joined": lambda x, c: torch.cat([x, c]),
    "joined with nothing": lambda x, c: torch.cat([x, torch.zeros(0, 3)]),
    "stacked": lambda x, c: torch.stack([x.sum(), c.sum()]),
    "chosen": lambda x, c: torch.where(c > 0.5, x, x),
    "masked": lambda x, c: x.masked_fill(c > 0.5, 0.0),
    "gathered": lambda x, c: x.gather(1, c.long()),
    "selected": lambda x, c: x.index_select(0, torch.tensor([0])),
    "scattered": lambda x, c: x.scatter(0, c.long(), x),
    "added by index": lambda x, c: x.index_add(0, torch.tensor([0]), x[:1]),
    "copied by index": lambda x, c: x.index_copy(0, torch.tensor([0]), x[:1]),
    "assigned by index": lambda x, c: x.__setitem__(torch.tensor([0]), c[:1]),
    "the CPU's indexed": lambda x, c: c[(x[:, 0] * 0).long()],
    "the CPU's masked": lambda x, c: c[x > 0.5],
    "result elsewhere": lambda x, c: torch.maximum(x, x, out=c),
    "searched": lambda x, c: torch.searchsorted(x[0].sort().values, c[0]),
    "sampled with the CPU's generator": lambda x, c: torch.rand(
        3, generator=torch.Generator(), device=x.device
    ),
    "the CPU's sampled": lambda x, c: torch.rand(3, generator=torch.Generator(device=x.device)),
    "in an operation of ours": lambda x, c: loop.picture_loss(x[None], c[None], None, 0.2),
}


@pytest.mark.parametrize("what", list(MIXED))
def test_tensors_of_two_devices_do_not_mix(what):
    with pytest.raises(RuntimeError, match=r"two devices|device type for generator"):
        MIXED[what](here(6, 3), torch.rand(6, 3))


ALLOWED = {
    "numbers": lambda x: 2 * x + 1,
    "a scalar of the CPU": lambda x: x * torch.tensor(2.0),
    "a scalar in a choice": lambda x: torch.where(x > 0.5, torch.tensor(1.0), x),
    "indices of the CPU": lambda x: x[torch.tensor([2, 0])],
    "a mask of the CPU": lambda x: x[torch.tensor([True, False, True, False, True, True])],
    "a list": lambda x: x[[1, 2]],
    "a scalar assigned by index": lambda x: assigned(x, torch.tensor([0]), torch.tensor(5.0)),
    "a number assigned by mask": lambda x: assigned(x, x > 0.5, 7.0),
    "a slice assigned from the CPU": lambda x: assigned(x, slice(0, 2), torch.ones(2, 3)),
}


def assigned(x: torch.Tensor, index, value) -> torch.Tensor:
    x = x.clone()
    x[index] = value
    return x


@pytest.mark.parametrize("what", list(ALLOWED))
def test_what_cuda_allows_has_the_cpus_bits(what):
    x = here(6, 3)
    found = ALLOWED[what](x)
    assert found.device == DEVICE
    assert torch.equal(found.cpu(), ALLOWED[what](x.cpu()))


def test_numpy_does_not_see_it_and_numbers_do():
    x = here(2, 2)
    with pytest.raises(TypeError, match=r"can't convert cuda:0 device type tensor to numpy"):
        x.numpy()
    with pytest.raises(TypeError, match=r"can't convert cuda:0"):
        np.asarray(x)
    plain = x.cpu()
    assert type(plain) is torch.Tensor
    assert x.tolist() == plain.tolist()
    assert x[0, 1].item() == float(x[0, 1]) == plain[0, 1].item()
    assert bool((x > -1).all())


@pytest.mark.parametrize(
    "make",
    [
        lambda d: torch.zeros(3, device=d),
        lambda d: torch.tensor([1.0, 2.0, 3.0], device=d),
        lambda d: torch.arange(3, device=d),
        lambda d: torch.as_tensor(0.5, dtype=torch.float64, device=d),
        lambda d: torch.zeros_like(here(3)),
        lambda d: here(3).new_tensor([1.0, 2.0]),
        lambda d: here(3).new_zeros(2, 3),
        lambda d: torch.from_numpy(np.ones(3)).to(here(3)),
        lambda d: torch.ones(3).cuda(),
        lambda d: torch.randn(3, generator=torch.Generator(device=d).manual_seed(1), device=d),
    ],
)
def test_factories_make_it(make):
    made = make(DEVICE)
    assert isinstance(made, PretendTensor)
    assert made.device == DEVICE
    assert made.is_cuda


@pytest.mark.parametrize(
    "leave",
    [
        lambda x: x.cpu(),
        lambda x: x.to("cpu"),
        lambda x: x.to(torch.device("cpu"), torch.float64),
        lambda x: x.to(torch.zeros(1)),
        lambda x: torch.zeros_like(x, device="cpu"),
    ],
)
def test_it_is_left_for_the_cpu(leave):
    assert type(leave(here(3))) is torch.Tensor


def test_gradients_go_there_and_back():
    leaf = here(4, 3).requires_grad_()
    start = torch.ones(3, requires_grad=True)
    total = ((leaf * start.to(DEVICE)).cpu() * torch.arange(3)).sum().to(DEVICE)
    total.backward()
    assert isinstance(leaf.grad, PretendTensor)
    assert type(start.grad) is torch.Tensor
    assert torch.equal(leaf.grad.cpu(), torch.arange(3).float().expand(4, 3))


def test_views_and_changes_in_place_share_what_they_hold():
    x = here(4, 3)
    x[1:].mul_(0)
    x[0, 0] = 9
    assert x.tolist()[0][0] == 9
    assert x[1:].abs().sum().item() == 0


def test_what_is_read_is_told(gpu):
    x = here(3)
    assert (x + x.mean()).device == DEVICE
    assert gpu == []
    x.sum().item()
    x.tolist()
    x.cpu()
    x.to("cpu")
    x.nonzero()
    assert [read.split(".")[-1] for read in gpu] == ["default", "tolist", "cpu", "cpu", "default"]


def test_it_is_the_gpu_that_is_picked():
    assert device.pick_device("auto") == loop.pick_device("cuda") == DEVICE
    assert device.pick_device("auto", "cpu") == loop.pick_device("cpu") == torch.device("cpu")
