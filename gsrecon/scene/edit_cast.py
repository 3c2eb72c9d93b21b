"""The objects of a scene taken apart, so that one can be changed at a time, and put together again.

Nothing here writes into a tensor of the scene: what changes is made anew, the rest is shared.
"""

import copy
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Bool, Float64
from torch import Tensor

from gsrecon.errors import SpecError
from gsrecon.gaussians.gaussians import Gaussians
from gsrecon.scene.actors import RigidActors
from gsrecon.scene.figures import Figure, assembled, figures, joined
from gsrecon.scene.graph import SceneGraph
from gsrecon.scene.node import GaussianNode, Node
from gsrecon.scene.sky import Sky


class Cast:
    """All objects of a scene by id, in the order of its nodes.

    The graph is changed by `assemble` alone, once, and its nodes and tensors never are: new ones take their
    places.
    """

    def __init__(self, graph: SceneGraph, elsewhere: Sequence[Figure] = ()) -> None:
        """Takes a graph apart.

        Args:
            graph: The graph.
            elsewhere: Objects that the graph does not draw, because they are in other groups of a scene;
                it will draw those that are given another way.
        """
        self.graph = graph
        self._nodes = {node.id: node for node in graph.gaussian_nodes if isinstance(node, RigidActors)}
        self._figures = {figure.id: figure for node in self._nodes.values() for figure in figures(node)}
        self._figures |= {figure.id: figure for figure in elsewhere}
        self._before = dict(self._figures)
        self._elsewhere = frozenset(figure.id for figure in elsewhere)
        self._rest: dict[str, Node] = {}
        self._new: list[str] = []

    @property
    def ids(self) -> list[str]:
        """Of all objects."""
        return list(self._figures)

    def __contains__(self, id: str) -> bool:
        return id in self._figures

    def __getitem__(self, id: str) -> Figure:
        """An object.

        Raises:
            SpecError: There is none of the id.
        """
        if id not in self._figures:
            told = ", ".join(self._figures) or "none: train with dynamics:actor-dynamics, or insert one"
            raise SpecError(f"the scene has no object {id!r}; it has {told}")
        return self._figures[id]

    def change(self, figure: Figure) -> None:
        """Puts an object in the place of the one of its id."""
        self._figures[figure.id] = figure

    def remove(self, id: str) -> None:
        """Takes an object out; its id is never used again."""
        del self._figures[self[id].id]

    def add(self, figure: Figure) -> None:
        """Takes a new object in.

        Raises:
            SpecError: The id is taken, or was.
        """
        if figure.id in self._figures or figure.id in self._new or figure.id in self.graph.objects.ids:
            raise SpecError(f"the id {figure.id!r} is taken; choose another one")
        self._new.append(figure.id)
        self._figures[figure.id] = figure

    def change_rest(
        self, of_gaussians: Callable[[Gaussians], Gaussians], of_sky: Callable[[Sky], Sky]
    ) -> None:
        """Changes what is no object: the background and the sky."""
        for node in self.graph:
            now = self._rest.get(node.id, node)
            if isinstance(now, Sky):
                self._rest[node.id] = of_sky(now)
            elif isinstance(now, GaussianNode) and node.id not in self._nodes:
                changed = copy.copy(now)
                changed.gaussians = of_gaussians(now.gaussians)
                self._rest[node.id] = changed

    def at(self, times_s: Float64[Tensor, " T"]) -> tuple[Float64[Tensor, "T K 4 4"], Bool[Tensor, "T K"]]:
        """Poses of all objects, and whether each is there."""
        trajectories = joined([figure.way for figure in self._figures.values()])
        with torch.no_grad():
            return trajectories.at(times_s), trajectories.present(times_s)

    def assemble(self) -> None:
        """Brings the graph up to date; nodes of which nothing has changed stay the same ones."""
        for id in self._new:
            self.graph.objects.append(id)
        for node in self._rest.values():
            self.graph.replace(node)
        groups = self._groups()
        for id, node in self._nodes.items():
            wanted, before = groups.pop(id, []), [self._before[each] for each in node.object_ids]
            if not wanted:
                self.graph.remove(id)
            elif wanted != before:
                alike = [figure.shape for figure in wanted] == [figure.shape for figure in before]
                kept = node if alike and [figure.id for figure in wanted] == list(node.object_ids) else None
                self.graph.replace(assembled(id, wanted, kept))
        for id, wanted in groups.items():
            self.graph.add(assembled(id, wanted))

    def _groups(self) -> dict[str, list[Figure]]:
        """Objects by the id of their node: one node has one set of networks and one degree of harmonics."""
        groups: dict[str, list[Figure]] = {}
        keys: dict[str, tuple[int, int]] = {}
        for figure in self._figures.values():
            if figure.id in self._elsewhere and figure.way is self._before[figure.id].way:
                continue
            shape = figure.shape
            key = (0 if shape.deforming is None else id(shape.deforming.whole), shape.gaussians.sh_degree)
            name, number = shape.home, 1
            while keys.setdefault(name, key) != key:
                number += 1
                name = f"{shape.home}-{number}"
            groups.setdefault(name, []).append(figure)
        return groups
