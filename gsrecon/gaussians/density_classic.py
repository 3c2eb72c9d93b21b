"""Classic densification: clone and split where the picture pulls hard, prune what does not show.

Kerbl et al., "3D Gaussian Splatting for Real-Time Radiance Field Rendering" (SIGGRAPH 2023), section 5, with
absolute gradients (Ye et al., "AbsGS", 2024) and the opacity of clones corrected (Rota Bulo et al.,
"Revising Densification in Gaussian Splatting", ECCV 2024, section 4.1).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace

import torch
from jaxtyping import Float, Int32, Int64
from torch import Tensor

from gsrecon.gaussians.gaussians import Gaussians
from gsrecon.gaussians.resample import Resample
from gsrecon.gaussians.schedule import Rounds
from gsrecon.geometry.rigid import quat_to_rotmat
from gsrecon.ops.screen_statistics import ScreenStatistics, add_screen_statistics

_STATISTICS = tuple(f.name for f in fields(ScreenStatistics))


@dataclass(frozen=True)
class ClassicDensity:
    """Densification by screen gradients, with a cap."""

    cap: int = 450_000
    """Never more Gaussians than this; the strongest candidates come first."""
    rounds: Rounds = field(default_factory=lambda: Rounds(0.02, 0.4, 25))
    """When Gaussians are cloned, split and pruned."""
    gradient_threshold: float = 0.0008
    """Mean absolute screen gradient (in half picture sizes) above which a Gaussian grows."""
    growth_per_round: float = 0.1
    """A round adds at most this share of the Gaussians there are."""
    split_radius_px: float = 5.0
    """A growing Gaussian with a larger screen radius [px] is split, a smaller one is cloned."""
    prune_opacity: float = 0.005
    """Gaussians fainter than this are removed."""
    prune_radius_px: float = 200.0
    """Gaussians with a larger screen radius [px] are removed, once the first half of the rounds is over."""
    censuses: Rounds = field(default_factory=lambda: Rounds(0.1, 0.4, 3))
    """When all fitted pictures are asked which Gaussians they show."""
    prune_shown_share: float = 0.05
    """A census removes Gaussians that show less than this share of what an average one shows."""
    opacity_resets: Rounds = field(default_factory=lambda: Rounds(0.1, 0.5, 0))
    """When all opacities are pulled down to twice the pruning threshold."""


class ClassicStrategy:
    """The running state of classic densification for one set of Gaussians."""

    def __init__(self, config: ClassicDensity, count: int, device: torch.device) -> None:
        self.config = config
        self._device = device
        self._statistics = ScreenStatistics.zeros(count, device)

    def wants_screen_gradients(self, progress: float) -> bool:
        """Until the last round, which is the last to ask what was observed."""
        return self.config.rounds.count > 0 and progress < self.config.rounds.stop

    def observe(
        self, screen_gradients: Float[Tensor, "C N 2"], radii: Int32[Tensor, "C N 2"], width: int, height: int
    ) -> None:
        """Takes note of one backward pass (see `DensityStrategy.observe`)."""
        add_screen_statistics(screen_gradients, radii, width, height, self._statistics)

    def change(
        self, gaussians: Gaussians, before: float, now: float, generator: torch.Generator
    ) -> Resample | None:
        """The clone, split and prune round and the opacity reset that fall in between, if any."""
        gaussians, change = gaussians.detached(), None
        if self.config.rounds.due(before, now):
            change = self._grow_and_prune(gaussians, now, generator)
        if self.config.opacity_resets.due(before, now):
            everyone = torch.arange(len(gaussians), device=gaussians.means.device)
            change = self._opacity_reset(gaussians, Resample.keep(everyone) if change is None else change)
        return change

    def apply(self, change: Resample) -> None:
        """Statistics start anew after each round: parameters of the survivors have moved on too."""
        self._statistics = ScreenStatistics.zeros(len(change), self._device)

    def perturb(self, gaussians: Gaussians, mean_rate: float, generator: torch.Generator) -> None:
        """Classic densification adds no noise."""

    def state(self) -> dict[str, Tensor]:
        """The running statistics."""
        return {name: getattr(self._statistics, name) for name in _STATISTICS}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Takes up stored statistics."""
        self._statistics = ScreenStatistics(
            **{name: state[name].to(self._device, copy=True) for name in _STATISTICS}
        )

    def _grow_and_prune(self, gaussians: Gaussians, now: float, generator: torch.Generator) -> Resample:
        config = self.config
        pruned = gaussians.opacities < config.prune_opacity
        if now > (config.rounds.start + config.rounds.stop) / 2:
            pruned |= self._statistics.largest_radius > config.prune_radius_px
        grown = self._strongest(~pruned)
        large = self._statistics.largest_radius[grown] > config.split_radius_px
        split, cloned = grown[large], grown[~large]

        stays = ~pruned
        stays[split] = False
        kept = stays.nonzero()[:, 0]
        parent = torch.cat([kept, cloned, split, split])
        is_new = torch.ones(len(parent), dtype=torch.bool, device=parent.device)
        is_new[: len(kept)] = False
        means = gaussians.means[parent]
        log_scales = gaussians.log_scales[parent]
        logits = gaussians.logit_opacities[parent]

        first_child = len(kept) + len(cloned)
        means[first_child:] += _offsets_inside(gaussians, torch.cat([split, split]), generator)
        log_scales[first_child:] -= torch.tensor(1.6, device=parent.device).log()
        halved = torch.logit(_opacity_of_two(gaussians.opacities[cloned]))
        logits[len(kept) : first_child] = halved
        position = torch.full((len(gaussians),), -1, device=parent.device)
        position[kept] = torch.arange(len(kept), device=parent.device)
        logits[position[cloned]] = halved
        return Resample(parent, is_new, {"means": means, "log_scales": log_scales, "logit_opacities": logits})

    def _strongest(self, allowed: Tensor) -> Int64[Tensor, " G"]:
        """Rows that grow: above the threshold, strongest first, within the cap."""
        mean_gradient = self._statistics.gradient_sum / self._statistics.times_seen.clamp_min(1)
        candidates = allowed & (mean_gradient > self.config.gradient_threshold)
        count = len(allowed)
        room = self.config.cap - int(allowed.sum())
        limit = max(0, min(room, int(count * self.config.growth_per_round), int(candidates.sum())))
        score = torch.where(candidates, mean_gradient, -1.0)
        return score.topk(limit).indices.sort().values

    def _opacity_reset(self, gaussians: Gaussians, change: Resample) -> Resample:
        """The same change, none of whose Gaussians is more opaque than the ceiling."""
        ceiling = torch.logit(torch.tensor(2 * self.config.prune_opacity))
        logits = change.parameter("logit_opacities", gaussians.logit_opacities)
        return replace(change, values={**change.values, "logit_opacities": logits.clamp(max=float(ceiling))})


def _opacity_of_two(opacity: Tensor) -> Tensor:
    """Opacity of each of two equal Gaussians that together hide as much as one: 1 - sqrt(1 - o)."""
    return 1 - (1 - opacity.clamp(max=0.999)).sqrt()


def _offsets_inside(gaussians: Gaussians, rows: Tensor, generator: torch.Generator) -> Float[Tensor, "M 3"]:
    """Random offsets [m], distributed as the Gaussians of the rows themselves."""
    noise = torch.randn((len(rows), 3), generator=generator).to(gaussians.means.device)
    rotations = quat_to_rotmat(gaussians.quats[rows])
    return (rotations @ (gaussians.scales[rows] * noise)[:, :, None])[:, :, 0]
