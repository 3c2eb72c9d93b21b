"""What a node of the scene graph is."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from gsrecon.gaussians.gaussians import Gaussians
from gsrecon.gaussians.resample import Resample
from gsrecon.geometry.camera import Cameras
from gsrecon.ops.splats import Splats


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
    """In the node's own frame, or each in the frame of its object."""
    object_ids: Sequence[str]
    """Objects the node holds, by their ids in the object table; none: it is part of the background."""

    def splats_at(
        self, times_s: Float[Tensor, " C"], sh_degree: int | None = None, cameras: Cameras | None = None
    ) -> Splats:
        """The activated Gaussians at the time of each camera, one for every row of `gaussians`.

        `object_index` and `world_from_object` follow `object_ids`; without objects both are None and the
        Gaussians are in world.

        Args:
            times_s: Times from the start of the log [s].
            sh_degree: Hand over harmonics up to this degree only; None hands over all of them.
            cameras: Who will look; rows that none of them can see need not be where they are at that time.
        """
        ...

    def resample(self, change: Resample) -> dict[str, Tensor]:
        """Applies a change to the Gaussians and to all that is kept for each of them.

        Returns:
            The parameters that have a row for each Gaussian, by name: new leaves.
        """
        ...


def node_on(node: Node, device: torch.device | str) -> Node:
    """A node with its tensors on a device: itself where they are there, else a copy; leaves stay leaves."""
    there = torch.device(device)
    if all(tensor.device == there for tensor in node.tensors().values()):
        return node
    tensors = {
        name: tensor.detach().to(there).requires_grad_(tensor.requires_grad)
        for name, tensor in node.tensors().items()
    }
    return type(node).restored(node.id, node.settings(), tensors)
