"""The background: Gaussians that stand still in the world."""

from collections.abc import Mapping
from typing import Any

from jaxtyping import Float
from torch import Tensor

from gsrecon.gaussians.gaussians import Gaussians


class StaticGroup:
    """Gaussians in world coordinates; part of object 0, the background."""

    kind = "static"

    def __init__(self, id: str, gaussians: Gaussians) -> None:
        self.id = id
        self.gaussians = gaussians

    def world_from_object(self, times_s: Float[Tensor, " C"]) -> None:
        """The identity: the group's frame is the world."""
        return None

    def parameters(self) -> dict[str, Tensor]:
        """The raw parameters of the Gaussians."""
        return self.gaussians.named()

    def tensors(self) -> dict[str, Tensor]:
        """The same; there is nothing else."""
        return self.gaussians.named()

    def settings(self) -> dict[str, Any]:
        """None are needed."""
        return {}

    @classmethod
    def restored(cls, id: str, settings: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> "StaticGroup":
        """From stored parameters."""
        return cls(id, Gaussians.from_named(tensors))
