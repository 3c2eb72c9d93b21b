"""What a group draws of its neighbours: in full near by, merged from afar, nothing of what lies behind."""

import torch
from jaxtyping import Float
from torch import Tensor

from gsrecon.gaussians.gaussians import Gaussians
from gsrecon.gaussians.merge import merged_by_voxels
from gsrecon.gaussians.resample import Resample
from gsrecon.geometry.camera import Cameras
from gsrecon.ops.settings import SUPPORT_SIGMAS
from gsrecon.ops.splats import Splats
from gsrecon.scene.static import StaticGroup

AFAR_M = 30.0
"""Cameras that are farther than this from all of a halo draw it merged [m]."""
_EDGE_PX = 3.5
"""Edge of the voxels that are merged, as seen from there [px]."""


class Halo(StaticGroup):
    """Another group's Gaussians, frozen: thousands of them in a few pixels from the far end of a group."""

    def __init__(self, id: str, gaussians: Gaussians, focal_px: float) -> None:
        """Merges them once.

        Args:
            id: Address in the graph.
            gaussians: In world.
            focal_px: Focal length of the recording's longest lens [px].
        """
        super().__init__(id, gaussians)
        reach = SUPPORT_SIGMAS * gaussians.scales.amax(dim=1, keepdim=True)
        self._low = (gaussians.means - reach).amin(dim=0)
        self._high = (gaussians.means + reach).amax(dim=0)
        merged = merged_by_voxels(gaussians, _EDGE_PX * AFAR_M / focal_px)
        self._merged = StaticGroup(id, merged)
        nothing = torch.zeros(0, dtype=torch.int64, device=gaussians.means.device)
        self._nothing = StaticGroup(id, gaussians.resampled(Resample.keep(nothing)))

    def splats_at(
        self, times_s: Float[Tensor, " C"], sh_degree: int | None = None, cameras: Cameras | None = None
    ) -> Splats:
        """All of them, those merged where every camera is far away, none where they lie behind."""
        if cameras is None:
            return super().splats_at(times_s, sh_degree)
        if self._behind(cameras):
            return self._nothing.splats_at(times_s, sh_degree)
        if self._distance(cameras) > AFAR_M:
            return self._merged.splats_at(times_s, sh_degree)
        return super().splats_at(times_s, sh_degree)

    def _behind(self, cameras: Cameras) -> bool:
        """Whether all of the box around them lies behind every camera that sees straight ahead only."""
        if cameras.model != "pinhole":
            return False
        forward = cameras.viewmats[:, 2, :3].detach()
        farthest = torch.where(forward > 0, self._high, self._low)
        return bool(((forward * farthest).sum(dim=1) + cameras.viewmats[:, 2, 3] < 0).all())

    def _distance(self, cameras: Cameras) -> float:
        """From the nearest camera to the box around them [m]."""
        rotations = cameras.viewmats[:, :3, :3]
        centres = -(rotations.transpose(1, 2) @ cameras.viewmats[:, :3, 3:])[..., 0].detach()
        outside = torch.maximum(self._low - centres, centres - self._high).clamp_min(0)
        return float(outside.norm(dim=1).min())
