"""The background with things in it that move: Gaussians in world under one deformation."""

from collections.abc import Mapping, Sequence
from typing import Any

from jaxtyping import Bool, Float, Int64
from torch import Tensor

from gsrecon.gaussians.gaussians import Gaussians
from gsrecon.gaussians.resample import Resample
from gsrecon.geometry.camera import Cameras
from gsrecon.ops.splats import Splats
from gsrecon.scene.deformation import Deformation
from gsrecon.scene.sight import may_be_seen


class DeformableField:
    """EGSRAL's scene: no boxes are needed, what moves is found out. Part of object 0, the background."""

    kind = "deformable"
    object_ids: Sequence[str] = ()

    def __init__(self, id: str, gaussians: Gaussians, deformation: Deformation) -> None:
        if len(deformation.state) != len(gaussians):
            raise ValueError(
                f"deformation: expected a state for each of {len(gaussians)} Gaussians, got "
                f"{len(deformation.state)}"
            )
        self.id = id
        self.gaussians = gaussians
        self.deformation = deformation

    def splats_at(
        self, times_s: Float[Tensor, " C"], sh_degree: int | None = None, cameras: Cameras | None = None
    ) -> Splats:
        """The Gaussians as they are at one time.

        Raises:
            ValueError: The cameras have different times; draw them one after the other.
        """
        still = self.gaussians.to_splats(sh_degree)

        def seen(rows: Int64[Tensor, " M"]) -> Bool[Tensor, " M"]:
            assert cameras is not None
            return may_be_seen(still.means[rows], self.deformation.reach(still.scales[rows]), cameras)

        return self.deformation.apply(
            self.gaussians, still, one_time(times_s), None if cameras is None else seen
        )

    def resample(self, change: Resample) -> dict[str, Tensor]:
        """Applies a change to the Gaussians and their states."""
        self.gaussians = self.gaussians.resampled(change)
        self.deformation.resample(change)
        return {**self.gaussians.named(), "state": self.deformation.state}

    def parameters(self) -> dict[str, Tensor]:
        """Raw parameters of the Gaussians, states and networks."""
        return {**self.gaussians.named(), **self.deformation.named()}

    def tensors(self) -> dict[str, Tensor]:
        """The same, and what guides the deformation."""
        return {**self.parameters(), **self.deformation.kept()}

    def settings(self) -> dict[str, Any]:
        """The deformation's."""
        return self.deformation.settings()

    @classmethod
    def restored(
        cls, id: str, settings: Mapping[str, Any], tensors: Mapping[str, Tensor]
    ) -> "DeformableField":
        """From stored parameters."""
        return cls(id, Gaussians.from_named(tensors), Deformation.restored(settings, tensors))


def one_time(times_s: Float[Tensor, " C"]) -> float:
    """The time of all cameras.

    Raises:
        ValueError: There is more than one.
    """
    first = float(times_s[0])
    if not bool((times_s == times_s[0]).all()):
        raise ValueError(
            f"times_s: expected one time for all cameras where Gaussians deform, got {times_s.tolist()}; "
            "draw the cameras one after the other"
        )
    return first
