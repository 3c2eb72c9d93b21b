import itertools
import math

import pytest
import torch

from gsrecon.gaussians.density_classic import ClassicDensity, ClassicStrategy
from gsrecon.gaussians.density_mcmc import MCMCDensity, MCMCStrategy, relocate
from gsrecon.gaussians.gaussians import Gaussians
from gsrecon.gaussians.schedule import Rounds
from gsrecon.train.config import LearningRates

ALWAYS = Rounds(0.0, 1.0, 10)


def gaussians_of(opacities: list[float], scale: float = 0.1) -> Gaussians:
    count = len(opacities)
    quats = torch.zeros(count, 4)
    quats[:, 0] = 1
    return Gaussians(
        means=torch.arange(3.0 * count).reshape(count, 3),
        quats=quats,
        log_scales=torch.full((count, 3), math.log(scale)),
        logit_opacities=torch.tensor(opacities).logit(),
        sh0=torch.rand(count, 3, generator=torch.Generator().manual_seed(1)),
        sh_rest=torch.zeros(count, 0, 3),
    )


def classic(gaussians: Gaussians, gradients: list[float], radii: list[int], **settings) -> ClassicStrategy:
    """A strategy that has seen one picture."""
    config = ClassicDensity(rounds=ALWAYS, gradient_threshold=1.0, growth_per_round=1.0, **settings)
    strategy = ClassicStrategy(config, len(gaussians), torch.device("cpu"))
    seen = torch.tensor(radii, dtype=torch.int32)[None, :, None].expand(1, -1, 2)
    # A picture of two pixels, so that half of it is one.
    strategy.observe(torch.tensor([[[g, 0.0] for g in gradients]]), seen, width=2, height=2)
    return strategy


@pytest.mark.parametrize("copies", [2, 3, 7, 51])
@pytest.mark.parametrize("opacity", [0.02, 0.3, 0.8, 0.999])
def test_relocated_gaussians_together_hide_as_much_light_as_the_one_they_replace(opacity, copies):
    """Integral over a line of the composited opacity, by brute force, against that of the one Gaussian."""
    new, factor = relocate(torch.tensor([opacity], dtype=torch.float64), torch.tensor([copies]))
    x = torch.linspace(-60, 60, 200_001, dtype=torch.float64)
    alone = opacity * torch.exp(-0.5 * x**2)
    each = new * torch.exp(-0.5 * (x / factor) ** 2)
    together = 1 - (1 - each) ** copies
    assert torch.trapezoid(together, x).item() == pytest.approx(torch.trapezoid(alone, x).item(), rel=1e-6)
    assert (1 - (1 - new) ** copies).item() == pytest.approx(opacity, rel=1e-9)


def test_one_copy_is_left_as_it_was():
    new, factor = relocate(torch.tensor([0.4]), torch.tensor([1]))
    assert new.item() == pytest.approx(0.4)
    assert factor.item() == pytest.approx(1.0)


def test_classic_clones_small_and_splits_large_gaussians_that_the_picture_pulls(generator):
    gaussians = gaussians_of([0.5, 0.5, 0.5])
    change = classic(gaussians, [5.0, 5.0, 0.1], [2, 50, 50]).change(gaussians, 0.0, 0.1, generator)
    assert change is not None
    assert change.parent.tolist() == [0, 2, 0, 1, 1]
    assert change.is_new.tolist() == [False, False, True, True, True]
    after = gaussians.resampled(change)
    assert torch.equal(after.means[0], after.means[2])
    assert torch.allclose(after.scales[3:], gaussians.scales[1] / 1.6)
    assert not torch.equal(after.means[3], after.means[4])


def test_a_cloned_pair_hides_as_much_as_the_gaussian_did(generator):
    gaussians = gaussians_of([0.5])
    change = classic(gaussians, [5.0], [2]).change(gaussians, 0.0, 0.1, generator)
    assert change is not None
    opacities = gaussians.resampled(change).opacities
    assert (1 - (1 - opacities).prod()).item() == pytest.approx(0.5, rel=1e-5)


def test_classic_prunes_the_faint_and_late_in_the_run_the_huge(generator):
    gaussians = gaussians_of([0.5, 0.001, 0.5])
    strategy = classic(gaussians, [0.0, 0.0, 0.0], [3, 3, 900])
    early = strategy.change(gaussians, 0.0, 0.1, generator)
    late = strategy.change(gaussians, 0.8, 0.9, generator)
    assert early is not None
    assert late is not None
    assert early.parent.tolist() == [0, 2]
    assert late.parent.tolist() == [0]


def test_classic_never_exceeds_the_cap_and_prefers_the_strongest(generator):
    gaussians = gaussians_of([0.5] * 4)
    change = classic(gaussians, [2.0, 9.0, 3.0, 8.0], [2] * 4, cap=6).change(gaussians, 0.0, 0.1, generator)
    assert change is not None
    assert sorted(change.parent[change.is_new].tolist()) == [1, 3]


def test_screen_gradients_are_asked_for_until_the_last_round_only():
    strategy = ClassicStrategy(ClassicDensity(rounds=Rounds(0.1, 0.6, 5)), 1, torch.device("cpu"))
    assert [strategy.wants_screen_gradients(p) for p in (0.0, 0.59, 0.6, 0.9)] == [True, True, False, False]
    assert not MCMCStrategy(MCMCDensity()).wants_screen_gradients(0.1)


def test_an_opacity_reset_changes_opacities_and_nothing_else(generator):
    gaussians = gaussians_of([0.5, 0.008])
    config = ClassicDensity(rounds=Rounds(count=0), opacity_resets=Rounds(0.5, 0.5, 1))
    strategy = ClassicStrategy(config, 2, torch.device("cpu"))
    assert strategy.change(gaussians, 0.0, 0.4, generator) is None
    change = strategy.change(gaussians, 0.4, 0.6, generator)
    assert change is not None
    after = gaussians.resampled(change)
    assert after.opacities.tolist() == pytest.approx([0.01, 0.008], rel=1e-4)
    assert torch.equal(after.means, gaussians.means)


def test_an_opacity_reset_that_falls_together_with_a_round_is_not_lost(generator):
    gaussians = gaussians_of([0.5, 0.5, 0.001])
    strategy = classic(gaussians, [5.0, 5.0, 0.0], [2, 50, 2], opacity_resets=Rounds(0.1, 0.1, 1))
    change = strategy.change(gaussians, 0.0, 0.1, generator)
    assert change is not None
    assert change.parent.tolist() == [0, 0, 1, 1]
    assert gaussians.resampled(change).opacities.tolist() == pytest.approx([0.01] * 4, rel=1e-4)


def test_mcmc_moves_the_dead_to_the_living_and_grows_to_the_cap(generator):
    gaussians = gaussians_of([0.9, 0.001, 0.001, 0.9])
    strategy = MCMCStrategy(MCMCDensity(cap=5, rounds=ALWAYS, growth_per_round=0.5))
    change = strategy.change(gaussians, 0.0, 0.1, generator)
    assert change is not None
    assert len(change) == 5
    assert set(change.parent.tolist()) <= {0, 3}
    assert change.is_new.tolist() == [False, True, True, False, True]
    after = gaussians.resampled(change)
    assert bool((after.opacities > 0.2).all())
    for parent in (0, 3):
        pair = after.opacities[change.parent == parent]
        assert (1 - (1 - pair).prod()).item() == pytest.approx(0.9, rel=1e-4)


def test_mcmc_prefers_opaque_hosts(generator):
    gaussians = gaussians_of([0.9, 0.01] + [0.001] * 300)
    change = MCMCStrategy(MCMCDensity(cap=302, rounds=ALWAYS)).change(gaussians, 0.0, 0.1, generator)
    assert change is not None
    assert int((change.parent == 0).sum()) > 20 * int((change.parent == 1).sum())


def test_mcmc_noise_moves_the_faint_along_their_own_extent_and_leaves_the_opaque(generator):
    gaussians = gaussians_of([0.9] + [0.004] * 500)
    log_scales = gaussians.log_scales.clone()
    log_scales[:, 0] = math.log(1.0)
    gaussians = Gaussians(**{**gaussians.named(), "log_scales": log_scales})
    before = gaussians.means.clone()
    MCMCStrategy(MCMCDensity(noise=1.0)).perturb(gaussians, 1e-2, generator)
    moved = gaussians.means - before
    assert torch.equal(moved[0], torch.zeros(3))
    spread = moved[1:].std(dim=0)
    # The noise is multiplied by the covariance: axes of 1 m and 0.1 m differ by 100.
    assert (spread[0] / spread[1]).item() == pytest.approx(100, rel=0.3)


def test_mcmc_noise_of_a_step_stays_within_the_gaussians_extent(generator):
    for scale in (0.02, 0.5):
        gaussians = gaussians_of([0.01] * 500, scale)
        before = gaussians.means.clone()
        MCMCStrategy(MCMCDensity()).perturb(gaussians, LearningRates().means.start, generator)
        assert 0 < (gaussians.means - before).std() < scale


def test_equal_generators_give_equal_changes():
    gaussians = gaussians_of([0.5, 0.001, 0.7])
    changes = [
        MCMCStrategy(MCMCDensity(rounds=ALWAYS)).change(gaussians, 0.0, 0.1, torch.Generator().manual_seed(3))
        for _ in range(2)
    ]
    assert changes[0] is not None
    assert changes[1] is not None
    assert torch.equal(changes[0].parent, changes[1].parent)


def test_rounds_fall_evenly_and_all_of_them_whatever_the_step_size():
    rounds = Rounds(0.1, 0.6, 7)
    for steps in (7, 50, 1001):
        marks = [i / steps for i in range(steps + 1)]
        due = sum(rounds.passed(b) - rounds.passed(a) for a, b in itertools.pairwise(marks))
        assert due == 7
    assert not rounds.due(0.0, 0.1)
    assert not rounds.due(0.6, 1.0)
    assert not Rounds(count=0).due(0.0, 1.0)
