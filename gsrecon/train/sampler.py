"""The order in which pictures are fitted."""

from collections.abc import Mapping

import torch
from torch import Tensor


class Sampler:
    """Every picture once in random order, then again in another order."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._order = torch.empty(0, dtype=torch.int64)
        self._next = 0

    def draw(self, generator: torch.Generator) -> int:
        """The number of the next picture."""
        if self._next >= len(self._order):
            self._order = torch.randperm(self._count, generator=generator)
            self._next = 0
        self._next += 1
        return int(self._order[self._next - 1])

    def upcoming(self, count: int) -> list[int]:
        """The next numbers of this order, at most `count` of them; nothing is drawn."""
        return self._order[self._next : self._next + count].tolist()

    def state(self) -> dict[str, Tensor]:
        """Order and place in it."""
        return {"order": self._order, "next": torch.tensor(self._next)}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Takes up a stored state."""
        self._order = state["order"].clone()
        self._next = int(state["next"])
