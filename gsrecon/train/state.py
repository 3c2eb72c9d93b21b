"""Everything that changes while a run goes on."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Tensor

from gsrecon.gaussians.density import DensityConfig, DensityStrategy, start_strategy
from gsrecon.gaussians.order import morton_order
from gsrecon.gaussians.resample import Resample
from gsrecon.ops.metrics import HIGHEST_PSNR
from gsrecon.scene.actors import RigidActors
from gsrecon.scene.appearance import Appearance
from gsrecon.scene.camera_refinement import CameraRefinement
from gsrecon.scene.graph import SceneGraph
from gsrecon.scene.node import GaussianNode
from gsrecon.scene.sky import Sky
from gsrecon.train.config import Rate, TrainConfig
from gsrecon.train.dynamics import actors_of
from gsrecon.train.optim import Optimizer
from gsrecon.train.parked import in_parked_boxes
from gsrecon.train.sampler import Sampler

_SMOOTHING = 0.98


@dataclass
class TrainState:
    """A run between two steps."""

    graph: SceneGraph
    optimizer: Optimizer
    strategies: dict[str, DensityStrategy]
    """By the id of the node whose Gaussians they change."""
    sampler: Sampler
    generator: torch.Generator
    step: int = 0
    progress: float = 0.0
    """Fraction of the run that is over."""
    seconds: float = 0.0
    """Time spent in steps [s]."""
    squared_error: float = field(default=float("nan"))
    """Mean squared error of the training pictures, smoothed."""

    @staticmethod
    def start(
        graph: SceneGraph, pictures: int, config: TrainConfig, generator: torch.Generator
    ) -> "TrainState":
        """The state before the first step."""
        parameters = graph.parameters()
        rates = {name: _rate(graph, name, config) for name in parameters}
        strategies = {
            node.id: start_strategy(_density(node, config), node.gaussians) for node in graph.trained_nodes
        }
        return TrainState(graph, Optimizer(parameters, rates), strategies, Sampler(pictures), generator)

    @property
    def psnr(self) -> float:
        """Of the training pictures, smoothed [dB]; not a number before the first."""
        return min(float(-10 * torch.tensor(self.squared_error, dtype=torch.float64).log10()), HIGHEST_PSNR)

    def note_error(self, squared_error: float) -> None:
        """Takes a picture's mean squared error into the smoothed one."""
        started = self.squared_error == self.squared_error
        keep = _SMOOTHING if started else 0.0
        self.squared_error = keep * (self.squared_error if started else 0.0) + (1 - keep) * squared_error

    def change_density(self, before: float, now: float) -> None:
        """Lets every strategy change its node's Gaussians, and all that is kept with them."""
        for node in self.graph.trained_nodes:
            strategy = self.strategies[node.id]
            change = strategy.change(node.gaussians, before, now, self.generator)
            if change is not None:
                means = change.parameter("means", node.gaussians.means)
                self.apply(node, strategy, change.reordered(morton_order(means)))

    def prune_hidden(self, shown_px: Float[Tensor, " N"], least_share: float) -> None:
        """Removes background of which pictures show less than a share of the average; `graph.rows()` order.

        The average is that of what is trained: what neighbours lend is seen from afar, or in part. Objects
        keep theirs: the side that nobody saw is there on purpose. So does what moves in a deformation: it
        passes through few pictures. What drifted into a parked object's box goes: it would stay behind when
        the object is taken away.
        """
        rows, deformations = self.graph.rows(), self.graph.deformations
        shown = {node.id: shown_px[rows[node.id]] for node in self.graph.trained_nodes}
        if not shown:
            return
        least_px = least_share * float(torch.cat(list(shown.values())).mean())
        for node in self.graph.trained_nodes:
            if node.object_ids:
                continue
            stays = shown[node.id] >= least_px
            stays &= ~in_parked_boxes(self.graph, node.gaussians.means.detach())
            if node.id in deformations:
                stays |= deformations[node.id].dynamic
            kept = stays.nonzero()[:, 0]
            if 0 < len(kept) < len(node.gaussians):
                self.apply(node, self.strategies[node.id], Resample.keep(kept))

    def apply(self, node: GaussianNode, strategy: DensityStrategy, change: Resample) -> None:
        """Applies one change alike to parameters, optimiser moments and statistics."""
        named = {f"{node.id}/{name}": tensor for name, tensor in node.resample(change).items()}
        self.optimizer.resample(named, change)
        strategy.apply(change)

    def density_state(self) -> dict[str, Tensor]:
        """Statistics of all strategies, as `node id/name`."""
        return {
            f"{node_id}/{name}": tensor
            for node_id, strategy in self.strategies.items()
            for name, tensor in strategy.state().items()
        }

    def load_density_state(self, state: Mapping[str, Tensor]) -> None:
        """Takes up stored statistics."""
        for node_id, strategy in self.strategies.items():
            prefix = f"{node_id}/"
            strategy.load_state(
                {name.removeprefix(prefix): t for name, t in state.items() if name.startswith(prefix)}
            )


def _density(node: GaussianNode, config: TrainConfig) -> DensityConfig:
    """Objects have a cap of their own."""
    actors = actors_of(config.dynamics)
    if actors is None or not isinstance(node, RigidActors):
        return config.density
    return replace(config.density, cap=actors.cap)


def _rate(graph: SceneGraph, name: str, config: TrainConfig) -> Rate:
    """Learning rate of a parameter, by its node's kind and its own name."""
    node_id, _, parameter = name.rpartition("/")
    node = graph[node_id]
    if isinstance(node, Sky):
        return config.rates.sky
    if isinstance(node, Appearance):
        return config.rates.appearance
    if isinstance(node, CameraRefinement):
        rotates = parameter.endswith("rotations")
        return config.rates.camera_rotations if rotates else config.rates.camera_translations
    if "." in parameter:
        return config.rates.networks
    return getattr(config.rates, parameter)
