"""gsplat's own densification strategies train on the drop-in, on the CPU."""

import sys
from typing import Any

import pytest
import torch
from torch import Tensor

from gsrecon.compat import gsplat_mcmc
from gsrecon.compat.gsplat import rasterization
from gsrecon.gaussians.density_mcmc import relocate

pytest.importorskip("gsplat", reason="gsplat is not installed; the dev extra brings it")
from gsplat import DefaultStrategy, MCMCStrategy
from gsplat.cuda._torch_impl import _quat_scale_to_covar_preci

SIZE, START = 16, 24


@pytest.fixture(autouse=True)
def without_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever calls gsplat's compiled code gets an ImportError."""
    monkeypatch.setitem(sys.modules, "gsplat.cuda._backend", None)


class Fit:
    """Gaussians in front of a camera that learn a picture of coloured stripes."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(5)
        torch.manual_seed(5)

        def random(*shape: int) -> Tensor:
            return 2 * torch.rand(*shape, generator=generator) - 1

        values = {
            "means": 0.8 * random(START, 3) + torch.tensor([0.0, 0.0, 3.0]),
            "quats": random(START, 4),
            "scales": random(START, 3) - 2.0,
            "opacities": random(START),
            "colors": random(START, 3),
        }
        rates = {"means": 1e-2, "quats": 1e-2, "scales": 2e-2, "opacities": 5e-2, "colors": 5e-2}
        self.params = {name: torch.nn.Parameter(value) for name, value in values.items()}
        self.optimizers = {name: torch.optim.Adam([self.params[name]], lr=rates[name]) for name in values}
        stripes = torch.linspace(0, 9, SIZE).sin()
        self.target = 0.5 + 0.4 * torch.stack(
            [stripes.expand(SIZE, SIZE), stripes[:, None].expand(SIZE, SIZE)]
        )
        self.target = torch.cat([self.target, 0.5 * torch.ones(1, SIZE, SIZE)]).permute(1, 2, 0)[None]

    def __len__(self) -> int:
        return len(self.params["means"])

    def draw(self, **options: Any) -> tuple[Tensor, dict[str, Any]]:
        image, _, meta = rasterization(
            self.params["means"],
            self.params["quats"],
            self.params["scales"].exp(),
            self.params["opacities"].sigmoid(),
            self.params["colors"].sigmoid(),
            torch.eye(4)[None],
            torch.tensor([[[24.0, 0, 8], [0, 24.0, 8], [0, 0, 1]]]),
            SIZE,
            SIZE,
            **options,
        )
        return (image - self.target).square().mean(), meta

    def step(self) -> None:
        for optimizer in self.optimizers.values():
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    def check_moments(self) -> None:
        """The optimisers followed: each holds the parameter that is drawn, and moments of its shape."""
        for name, optimizer in self.optimizers.items():
            (held,) = optimizer.param_groups[0]["params"]
            assert held is self.params[name]
            assert optimizer.state[held]["exp_avg"].shape == held.shape


@pytest.mark.parametrize("packed", [True, False], ids=["packed", "unpacked"])
@pytest.mark.parametrize("absgrad", [True, False], ids=["absgrad", "grad"])
def test_the_default_strategy_densifies_and_the_fit_gets_better(packed, absgrad):
    fit = Fit()
    strategy = DefaultStrategy(
        grow_grad2d=2e-3, absgrad=absgrad, refine_start_iter=5, refine_every=10, refine_stop_iter=25
    )
    strategy.check_sanity(fit.params, fit.optimizers)
    state = strategy.initialize_state(scene_scale=1.0)
    losses, sizes = [], []
    for step in range(28):
        loss, meta = fit.draw(packed=packed, absgrad=absgrad)
        strategy.step_pre_backward(fit.params, fit.optimizers, state, step, meta)
        loss.backward()
        strategy.step_post_backward(fit.params, fit.optimizers, state, step, meta, packed=packed)
        fit.step()
        losses.append(loss.item())
        sizes.append(len(fit))
    assert sizes[9] == START < sizes[10] < sizes[20] == sizes[-1]
    assert losses[-1] < 0.5 * losses[0]
    fit.check_moments()


def test_without_gradients_over_the_threshold_the_default_strategy_adds_nothing():
    fit = Fit()
    strategy = DefaultStrategy(grow_grad2d=1e6, refine_start_iter=1, refine_every=2)
    state = strategy.initialize_state()
    for step in range(4):
        loss, meta = fit.draw()
        strategy.step_pre_backward(fit.params, fit.optimizers, state, step, meta)
        loss.backward()
        strategy.step_post_backward(fit.params, fit.optimizers, state, step, meta, packed=True)
        fit.step()
    assert len(fit) == START


@pytest.mark.parametrize("absgrad", [True, False], ids=["absgrad", "grad"])
def test_the_default_strategy_sees_the_same_gradients_packed_and_unpacked(absgrad):
    states = []
    for packed in (True, False):
        fit = Fit()
        strategy = DefaultStrategy(absgrad=absgrad, refine_scale2d_stop_iter=10)
        state = strategy.initialize_state()
        loss, meta = fit.draw(packed=packed, absgrad=absgrad)
        strategy.step_pre_backward(fit.params, fit.optimizers, state, 0, meta)
        loss.backward()
        strategy.step_post_backward(fit.params, fit.optimizers, state, 0, meta, packed=packed)
        states.append(state)
    assert states[0]["grad2d"].max() > 0
    for name in ("grad2d", "count", "radii"):
        torch.testing.assert_close(states[0][name], states[1][name], msg=name)


def test_the_mcmc_strategy_relocates_and_grows_with_our_two_functions(monkeypatch):
    for name in ("compute_relocation", "quat_scale_to_covar_preci"):
        monkeypatch.setattr(f"gsplat.strategy.ops.{name}", getattr(gsplat_mcmc, name))
    fit = Fit()
    with torch.no_grad():
        fit.params["opacities"][:4] = -9.0
    strategy = MCMCStrategy(cap_max=28, refine_start_iter=5, refine_every=4, noise_lr=10.0)
    strategy.check_sanity(fit.params, fit.optimizers)
    state = strategy.initialize_state()
    losses, sizes = [], []
    for step in range(28):
        loss, meta = fit.draw()
        loss.backward()
        fit.step()
        strategy.step_post_backward(fit.params, fit.optimizers, state, step, meta, lr=1e-2)
        losses.append(loss.item())
        sizes.append(len(fit))
    assert sizes[7] == START < sizes[8] < sizes[-1] == 28
    assert fit.params["opacities"].sigmoid().min() > strategy.min_opacity
    assert losses[-1] < 0.5 * losses[0]
    fit.check_moments()


def test_without_our_functions_the_mcmc_strategy_needs_gsplats_compiled_code():
    fit = Fit()
    strategy = MCMCStrategy()
    with pytest.raises(ImportError, match="gsplat.cuda._backend"):
        strategy.step_post_backward(fit.params, fit.optimizers, strategy.initialize_state(), 0, {}, lr=1e-2)


def test_relocation_with_a_table_of_binomials_is_that_of_our_own_strategy(generator):
    opacities = 0.01 + 0.98 * torch.rand(200, generator=generator, dtype=torch.float64)
    scales = torch.rand(200, 3, generator=generator, dtype=torch.float64)
    ratios = torch.randint(1, 60, (200,), generator=generator)
    binoms = MCMCStrategy().initialize_state()["binoms"]
    given = ratios.clone()
    new_opacities, new_scales = gsplat_mcmc.compute_relocation(opacities, scales, ratios, binoms.double())
    expected_opacities, factors = relocate(opacities, ratios)
    torch.testing.assert_close(new_opacities, expected_opacities)
    torch.testing.assert_close(new_scales, scales * factors[:, None], rtol=1e-5, atol=1e-9)
    assert torch.equal(ratios, given)


def test_one_gaussian_alone_keeps_its_opacity_and_scales():
    opacities, scales = torch.tensor([0.0, 0.3, 1.0]), torch.rand(3, 3)
    binoms = MCMCStrategy().initialize_state()["binoms"]
    found = gsplat_mcmc.compute_relocation(opacities, scales, torch.ones(3, dtype=torch.int64), binoms)
    torch.testing.assert_close(found, (opacities, scales))


@pytest.mark.parametrize("triu", [True, False])
def test_covariances_and_precisions_are_gsplats(triu, generator):
    quats = torch.randn(6, 4, generator=generator)
    scales = 0.1 + torch.rand(6, 3, generator=generator)
    found = gsplat_mcmc.quat_scale_to_covar_preci(quats, scales, triu=triu)
    torch.testing.assert_close(found, _quat_scale_to_covar_preci(quats, scales, triu=triu))
    alone = gsplat_mcmc.quat_scale_to_covar_preci(quats, scales, compute_preci=False)
    assert alone[1] is None
