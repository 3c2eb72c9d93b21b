"""How the number and places of Gaussians change in training: the choice of strategies."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int32
from torch import Tensor

from gsrecon.gaussians.density_classic import ClassicDensity, ClassicStrategy
from gsrecon.gaussians.density_mcmc import MCMCDensity, MCMCStrategy
from gsrecon.gaussians.gaussians import Gaussians
from gsrecon.gaussians.resample import Resample

DensityConfig = ClassicDensity | MCMCDensity
"""The strategies a user can choose from."""


@runtime_checkable
class DensityStrategy(Protocol):
    """What training asks of a strategy. One strategy serves one set of Gaussians."""

    def wants_screen_gradients(self, progress: float) -> bool:
        """Whether to `observe` backward passes with absolute screen gradients at a fraction of the run."""
        ...

    def observe(
        self, screen_gradients: Float[Tensor, "C N 2"], radii: Int32[Tensor, "C N 2"], width: int, height: int
    ) -> None:
        """Takes note of one backward pass.

        Args:
            screen_gradients: Absolute ones (`RasterizeSettings.absgrad`) [1 / px].
            radii: Extents on the screen [px].
            width: Of the pictures [px].
            height: Of the pictures [px].
        """
        ...

    def change(
        self, gaussians: Gaussians, before: float, now: float, generator: torch.Generator
    ) -> Resample | None:
        """The change that falls between two fractions of the run, or None."""
        ...

    def apply(self, change: Resample) -> None:
        """Lets the statistics follow a change, or start anew."""
        ...

    def perturb(self, gaussians: Gaussians, mean_rate: float, generator: torch.Generator) -> None:
        """Moves parameters in place after an optimiser step (SGLD noise); may do nothing."""
        ...

    def state(self) -> dict[str, Tensor]:
        """Everything that a resumed run needs."""
        ...

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Takes up a stored state."""
        ...


def start_strategy(config: DensityConfig, gaussians: Gaussians) -> DensityStrategy:
    """A fresh strategy of the configured kind for a set of Gaussians."""
    if isinstance(config, ClassicDensity):
        return ClassicStrategy(config, len(gaussians), gaussians.means.device)
    return MCMCStrategy(config)
