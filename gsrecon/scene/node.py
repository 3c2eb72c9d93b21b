"""What a node of the scene graph is."""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from gsrecon.gaussians.gaussians import Gaussians


@runtime_checkable
class Node(Protocol):
    """Something a scene owns and stores: it has parameters by name and settings that JSON can hold."""

    kind: str
    """Name of the node's type in a stored scene."""
    id: str
    """Address in the graph."""

    def parameters(self) -> dict[str, Tensor]:
        """Optimised tensors by name."""
        ...

    def tensors(self) -> dict[str, Tensor]:
        """All tensors to store by name, the parameters among them."""
        ...

    def settings(self) -> dict[str, Any]:
        """Everything else to store, as JSON values."""
        ...

    @classmethod
    def restored(cls, id: str, settings: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> "Node":
        """The node of a stored scene."""
        ...


@runtime_checkable
class GaussianNode(Node, Protocol):
    """A node that is drawn as Gaussians."""

    gaussians: Gaussians
    """In the node's own frame."""

    def world_from_object(self, times_s: Float[Tensor, " C"]) -> Float[Tensor, "C 4 4"] | None:
        """Pose of the node's frame at each time; None is the identity at all times."""
        ...
