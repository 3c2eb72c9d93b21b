"""Corrections of recorded camera poses: a motion of the rig over time and a constant for each camera."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from gsrecon.geometry.rigid import se3_exp
from gsrecon.ops.mean_squares import Penalty
from gsrecon.ops.rig_camera import RigCamera, RigCorrections, corrected_pose, corrected_viewmats
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
        self._numbers = {name: number for number, name in enumerate(self._ego_from_cam)}
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
        number, knots = self._number(camera), self._knots.locate(time_s)
        return corrected_pose(self._corrections(), number, knots, self._ego_from_cam[camera], world_from_cam)

    def viewmats(
        self, world_from_cam: Float64[np.ndarray, "4 4"], camera: str, time_s: float
    ) -> Float[Tensor, "1 4 4"]:
        """`cam_from_world` of the corrected pose, as training needs it in every step: float32, few launches.

        It is the inverse of `refine`, to the last digits of float32.

        Raises:
            ValueError: The camera was not fitted.
        """
        number, knots = self._number(camera), self._knots.locate(time_s)
        recorded = RigCamera(number, knots, self._ego_from_cam[camera].numpy(), world_from_cam)
        return corrected_viewmats(self._corrections(), recorded)

    def ego_correction(self, time_s: float) -> Float64[Tensor, "4 4"]:
        """The rig's part alone: world_from_ego' = world_from_ego @ this."""
        return se3_exp(self._corrections().of_rig(self._knots.locate(time_s)).double())

    def _number(self, camera: str) -> int:
        if camera not in self._numbers:
            raise ValueError(f"camera: expected one of {sorted(self._numbers)}, got {camera!r}")
        return self._numbers[camera]

    def _corrections(self) -> RigCorrections:
        return RigCorrections(**self.parameters())

    def penalties(self, weight: float) -> list[Penalty]:
        """Mean squares of all corrections, in decimetres and in units of 0.01 rad."""
        translations, rotations = 1e2 * weight, 1e4 * weight
        return [
            (translations, self.rig_translations),
            (rotations, self.rig_rotations),
            (translations, self.camera_translations),
            (rotations, self.camera_rotations),
        ]

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
            "rig_times_s": list(self._knots.times_s),
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


def refined_pose(
    refinement: CameraRefinement | None,
    world_from_cam: Float64[np.ndarray, "4 4"],
    camera: str,
    time_s: float,
) -> Float64[np.ndarray, "4 4"]:
    """Where a scene has a recorded camera: its pose as corrected, or as recorded where that was not fitted.

    Raises:
        ValueError: The camera was not fitted.
    """
    if refinement is None:
        return world_from_cam
    return refinement.refine(torch.from_numpy(world_from_cam), camera, time_s).detach().cpu().numpy()
