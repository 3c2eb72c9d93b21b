"""What a group draws of its neighbours: in full near by, merged from afar."""

import torch
from jaxtyping import Float
from torch import Tensor

from gsrecon.gaussians.gaussians import Gaussians
from gsrecon.gaussians.merge import merged_by_voxels
from gsrecon.geometry.camera import Cameras
from gsrecon.ops.splats import Splats
from gsrecon.scene.static import StaticGroup

AFAR_M = 40.0
"""Cameras that are farther than this from all of a halo draw it merged [m]."""
_EDGE_PX = 2.5
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
        self._low = gaussians.means.amin(dim=0)
        self._high = gaussians.means.amax(dim=0)
        merged = merged_by_voxels(gaussians, _EDGE_PX * AFAR_M / focal_px)
        self._merged = StaticGroup(id, merged)

    def splats_at(
        self, times_s: Float[Tensor, " C"], sh_degree: int | None = None, cameras: Cameras | None = None
    ) -> Splats:
        """All of them, or those merged where every camera is far away."""
        if cameras is not None and self._distance(cameras) > AFAR_M:
            return self._merged.splats_at(times_s, sh_degree, cameras)
        return super().splats_at(times_s, sh_degree, cameras)

    def _distance(self, cameras: Cameras) -> float:
        """From the nearest camera to the box around them [m]."""
        rotations = cameras.viewmats[:, :3, :3]
        centres = -(rotations.transpose(1, 2) @ cameras.viewmats[:, :3, 3:])[..., 0].detach()
        outside = torch.maximum(self._low - centres, centres - self._high).clamp_min(0)
        return float(outside.norm(dim=1).min())
