"""The background: Gaussians that stand still in the world."""

from collections.abc import Mapping, Sequence
from typing import Any

from jaxtyping import Float
from torch import Tensor

from gsrecon.gaussians.gaussians import Gaussians
from gsrecon.gaussians.resample import Resample
from gsrecon.geometry.camera import Cameras
from gsrecon.ops.splats import Splats


class StaticGroup:
    """Gaussians in world coordinates; part of object 0, the background."""

    kind = "static"
    object_ids: Sequence[str] = ()

    def __init__(self, id: str, gaussians: Gaussians) -> None:
        self.id = id
        self.gaussians = gaussians
        self._activated: tuple[Gaussians, tuple[object, ...], Splats] | None = None

    def splats_at(
        self, times_s: Float[Tensor, " C"], sh_degree: int | None = None, cameras: Cameras | None = None
    ) -> Splats:
        """The same at all times; Gaussians that are not trained are activated once."""
        raw = list(self.gaussians.named().values())
        if any(tensor.requires_grad for tensor in raw):
            return self.gaussians.to_splats(sh_degree)
        state = (sh_degree, *(tensor._version for tensor in raw))
        kept = self._activated
        if kept is None or kept[0] is not self.gaussians or kept[1] != state:
            kept = self._activated = (self.gaussians, state, self.gaussians.to_splats(sh_degree))
        return kept[2]

    def resample(self, change: Resample) -> dict[str, Tensor]:
        """Applies a change to the Gaussians."""
        self.gaussians = self.gaussians.resampled(change)
        return self.gaussians.named()

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
