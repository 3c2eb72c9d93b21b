"""Corrections of recorded camera poses: a motion of the rig over time and a constant for each camera."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from gsrecon.geometry.rigid import inverse, se3_exp
from gsrecon.scene.knots import Knots


class CameraRefinement:
    """world_from_cam' = world_from_ego exp(rig(t)) ego_from_cam exp(own), with `world_from_ego` as recorded.

    The rig's tangent vector is piecewise linear between the times of the fitted frames, so that frames in
    between (held-out ones, cameras that fire at other times) take the correction interpolated from their
    neighbours in time. Its axes are the ego's, those of a camera's own part the camera's.
    """

    kind = "camera_refinement"

    def __init__(
        self,
        ego_from_cam: Mapping[str, Float64[Tensor, "4 4"]],
        rig_times_s: Sequence[float],
        id: str = "camera_refinement",
    ) -> None:
        """Starts without any correction.

        Args:
            ego_from_cam: Mounting of each camera.
            rig_times_s: Times of the fitted frames of the rig [s].
            id: Address in the graph.
        """
        self.id = id
        self._ego_from_cam = {name: mounting.double() for name, mounting in ego_from_cam.items()}
        self._cam_from_ego = {name: inverse(mounting) for name, mounting in self._ego_from_cam.items()}
        self._knots = Knots(rig_times_s)
        self.rig_translations: Float[Tensor, "T 3"] = torch.zeros(len(self._knots), 3)
        """Of the rig in ego axes [m]."""
        self.rig_rotations: Float[Tensor, "T 3"] = torch.zeros(len(self._knots), 3)
        """Rotation vectors of the rig in ego axes [rad]."""
        self.camera_translations: Float[Tensor, "K 3"] = torch.zeros(len(self._ego_from_cam), 3)
        """Of each camera in its own axes [m]."""
        self.camera_rotations: Float[Tensor, "K 3"] = torch.zeros(len(self._ego_from_cam), 3)
        """Rotation vectors of each camera in its own axes [rad]."""

    def refine(
        self, world_from_cam: Float64[Tensor, "4 4"], camera: str, time_s: float
    ) -> Float64[Tensor, "4 4"]:
        """The corrected pose, on the device of the corrections and differentiable in them.

        Raises:
            ValueError: The camera was not fitted.
        """
        if camera not in self._ego_from_cam:
            raise ValueError(f"camera: expected one of {sorted(self._ego_from_cam)}, got {camera!r}")
        number = list(self._ego_from_cam).index(camera)
        rig = self._rig(time_s)
        own = torch.cat([self.camera_translations[number], self.camera_rotations[number]])
        of_rig, of_camera = se3_exp(torch.stack([rig, own]).double())
        cam_from_ego, ego_from_cam = (
            motions[camera].to(of_rig.device, non_blocking=True)
            for motions in (self._cam_from_ego, self._ego_from_cam)
        )
        mounted = cam_from_ego @ of_rig @ ego_from_cam
        return world_from_cam.to(mounted) @ mounted @ of_camera

    def ego_correction(self, time_s: float) -> Float64[Tensor, "4 4"]:
        """The rig's part alone: world_from_ego' = world_from_ego @ this."""
        return se3_exp(self._rig(time_s).double())

    def _rig(self, time_s: float) -> Float[Tensor, " 6"]:
        return self._knots.interpolate(torch.cat([self.rig_translations, self.rig_rotations], dim=1), time_s)

    def penalty(self) -> Float[Tensor, ""]:
        """Mean square of all corrections, in decimetres and in units of 0.01 rad."""
        translations = self.rig_translations.square().mean() + self.camera_translations.square().mean()
        rotations = self.rig_rotations.square().mean() + self.camera_rotations.square().mean()
        return 1e2 * translations + 1e4 * rotations

    def parameters(self) -> dict[str, Tensor]:
        """The corrections."""
        return {
            "rig_translations": self.rig_translations,
            "rig_rotations": self.rig_rotations,
            "camera_translations": self.camera_translations,
            "camera_rotations": self.camera_rotations,
        }

    def tensors(self) -> dict[str, Tensor]:
        """The corrections."""
        return self.parameters()

    def settings(self) -> dict[str, Any]:
        """Mountings and fitted times."""
        return {
            "ego_from_cam": {name: mounting.tolist() for name, mounting in self._ego_from_cam.items()},
            "rig_times_s": self._knots.times_s.tolist(),
        }

    @classmethod
    def restored(
        cls, id: str, settings: Mapping[str, Any], tensors: Mapping[str, Tensor]
    ) -> "CameraRefinement":
        """From stored corrections."""
        mountings = {
            name: torch.tensor(mounting, dtype=torch.float64)
            for name, mounting in settings["ego_from_cam"].items()
        }
        node = cls(mountings, settings["rig_times_s"], id)
        for name in node.parameters():
            setattr(node, name, tensors[name])
        return node
