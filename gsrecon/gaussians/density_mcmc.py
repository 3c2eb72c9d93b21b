"""Densification as Markov chain Monte Carlo: dead Gaussians move to where the live ones are.

Kheradmand et al., "3D Gaussian Splatting as Markov Chain Monte Carlo" (NeurIPS 2024).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from gsrecon.gaussians.gaussians import Gaussians
from gsrecon.gaussians.resample import Resample
from gsrecon.gaussians.schedule import Rounds
from gsrecon.geometry.rigid import quat_to_rotmat
from gsrecon.ops import mcmc
from gsrecon.ops.device import generator_on

MOST_COPIES = 51
"""Largest number of Gaussians that share one place in a round; the binomials of Equation 9 end here."""


@dataclass(frozen=True)
class MCMCDensity:
    """Relocation and noise, with a cap."""

    cap: int = 80_000
    """The number of Gaussians grows up to this."""
    rounds: Rounds = field(default_factory=lambda: Rounds(0.02, 0.8, 80))
    """When dead Gaussians are relocated and new ones are added."""
    growth_per_round: float = 0.05
    """A round adds this share of the Gaussians there are, up to the cap."""
    dead_opacity: float = 0.005
    """Gaussians fainter than this are dead."""
    noise: float = 150.0
    """Strength of the exploration noise, times the learning rate and the covariance [1/m^2].

    The paper's 5e5 is for scenes scaled to about unit size; a street of 60 m takes 5e5 / 60^2.
    """
    noise_stop: float = 0.8
    """Fraction of the run after which there is no more noise, so that the end can settle."""
    opacity_weight: float = 0.01
    """Weight of the mean opacity in the loss; it lets useless Gaussians die."""
    scale_weight: float = 0.01
    """Weight of the mean standard deviation [m] in the loss."""


class MCMCStrategy:
    """Relocation, growth and noise for one set of Gaussians; it keeps no statistics."""

    def __init__(self, config: MCMCDensity) -> None:
        self.config = config
        self._progress = 0.0

    def wants_screen_gradients(self, progress: float) -> bool:
        """Never."""
        return False

    def observe(self, screen_gradients: Tensor, radii: Tensor, width: int, height: int) -> None:
        """Nothing is needed from the backward pass."""

    def change(
        self, gaussians: Gaussians, before: float, now: float, generator: torch.Generator
    ) -> Resample | None:
        """The relocation round that falls in between, if any."""
        self._progress = now
        if not self.config.rounds.due(before, now):
            return None
        return self._relocate_and_add(gaussians.detached(), generator)

    def apply(self, change: Resample) -> None:
        """There are no statistics to move."""

    def perturb(self, gaussians: Gaussians, mean_rate: float, generator: torch.Generator) -> None:
        """Adds the noise of Equation 8 to the means of faint Gaussians, in place.

        The gate of the paper, sigmoid(-100 (o - 0.005)), is under 1e-4 above an opacity of 0.1; those
        Gaussians are left alone, which saves most of the work.

        On a GPU the noise is drawn there: see `generator_on`.
        """
        if self._progress > self.config.noise_stop or self.config.noise == 0.0:
            return
        strength = self.config.noise * mean_rate
        raw = (gaussians.means, gaussians.quats, gaussians.log_scales, gaussians.logit_opacities)
        if mcmc.has_kernels(*raw):
            noise = _noise(gaussians.means, generator)
            mcmc.explore(*raw, noise, strength, self.config.dead_opacity)
            return
        with torch.no_grad():
            opacities = gaussians.opacities
            rows = (opacities < 0.1).nonzero()[:, 0]
            if len(rows) == 0:
                return
            gate = torch.sigmoid(100.0 * (self.config.dead_opacity - opacities[rows]))
            noise = _noise(gaussians.means[rows], generator)
            noise *= (gate * strength)[:, None]
            axes = quat_to_rotmat(gaussians.quats[rows]) * gaussians.scales[rows][:, None, :]
            gaussians.means[rows] += (axes @ (axes.transpose(1, 2) @ noise[:, :, None]))[:, :, 0]

    def state(self) -> dict[str, Tensor]:
        """Only how far the run is."""
        return {"progress": torch.tensor(self._progress, dtype=torch.float64)}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Takes up a stored state."""
        self._progress = float(state["progress"])

    def _relocate_and_add(self, gaussians: Gaussians, generator: torch.Generator) -> Resample | None:
        opacities = gaussians.opacities
        dead = opacities <= self.config.dead_opacity
        count = len(gaussians)
        wanted = max(count, min(self.config.cap, math.ceil(count * (1 + self.config.growth_per_round))))
        alive = (~dead).nonzero()[:, 0]
        moved = dead.nonzero()[:, 0]
        arrivals = len(moved) + wanted - count
        if arrivals == 0 or len(alive) == 0:
            return None
        hosts = alive[_draw(opacities[alive], arrivals, generator)]
        parent = torch.arange(wanted, device=dead.device)
        slots = torch.cat([moved, torch.arange(count, wanted, device=dead.device)])
        parent[slots] = hosts
        is_new = torch.zeros(wanted, dtype=torch.bool, device=dead.device)
        is_new[slots] = True

        copies = torch.bincount(hosts, minlength=count) + 1
        opacity, scale_factor = relocate(opacities, copies)
        opacity = opacity.clamp(min=self.config.dead_opacity, max=1 - 1e-6)
        shared = copies > 1
        logits = torch.where(shared, torch.logit(opacity), gaussians.logit_opacities)
        log_scales = gaussians.log_scales + torch.where(shared, scale_factor.log(), 0.0)[:, None]
        return Resample(parent, is_new, {"logit_opacities": logits[parent], "log_scales": log_scales[parent]})


def relocate(
    opacities: Float[Tensor, " N"], copies: Int64[Tensor, " N"]
) -> tuple[Float[Tensor, " N"], Float[Tensor, " N"]]:
    """Opacity and scale that let n equal Gaussians at one place look like the one they replace.

    Equation 9: o' = 1 - (1 - o)^(1/n), and the standard deviation is multiplied by
    o / sum_{i=1..n} sum_{k=0..i-1} binom(i-1, k) (-1)^k o'^(k+1) / sqrt(k+1). Contracted:
    sum_{k=0..n-1} binom(n, k+1) (-1)^k o'^(k+1) / sqrt(k+1).

    Args:
        opacities: Opacities of the Gaussians that are shared.
        copies: n, how many Gaussians stand in each place from now on; more than 51 count as 51.

    Returns:
        The opacity of each copy, and the factor on its scales.
    """
    if mcmc.has_kernels(opacities):
        return mcmc.relocate(opacities, copies)
    n = copies.clamp(1, MOST_COPIES)
    old = opacities.double()
    new = 1 - (1 - old) ** (1.0 / n.double())
    total = torch.zeros_like(old)
    binomial = n.double()
    for k in range(int(n.max()) if len(n) else 0):
        total += binomial * (-1.0) ** k * new ** (k + 1) / math.sqrt(k + 1)
        binomial = binomial * (n - k - 1) / (k + 2)
    factor = torch.where(total > 0, old / total, 1.0)
    return new.to(opacities.dtype), factor.to(opacities.dtype)


def _noise(means: Float[Tensor, "N 3"], generator: torch.Generator) -> Float[Tensor, "N 3"]:
    """Normal numbers for each row."""
    return torch.randn(means.shape, generator=generator_on(means.device, generator), device=means.device)


def _draw(weights: Tensor, count: int, generator: torch.Generator) -> Int64[Tensor, " M"]:
    """Random rows in proportion to their weights, with replacement, for any number of weights."""
    cumulative = weights.double().cumsum(dim=0)
    points = torch.rand(count, generator=generator, dtype=torch.float64).to(weights.device)
    return torch.searchsorted(cumulative, points * cumulative[-1]).clamp(max=len(weights) - 1)
