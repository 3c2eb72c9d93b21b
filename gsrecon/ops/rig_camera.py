"""Cameras on a rig whose recorded poses are corrected: by a motion of the rig, and one of each camera."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from gsrecon.geometry.rigid import inverse, se3_exp
from gsrecon.ops import _native_corrections
from gsrecon.ops._native import is_compiled
from gsrecon.ops.between import Between, between


@dataclass(frozen=True)
class RigCorrections:
    """Tangent vectors of a rig at its knots in time, and of each of its cameras."""

    rig_translations: Float[Tensor, "T 3"]
    """Of the rig in ego axes [m]."""
    rig_rotations: Float[Tensor, "T 3"]
    """Rotation vectors of the rig in ego axes [rad]."""
    camera_translations: Float[Tensor, "K 3"]
    """Of each camera in its own axes [m]."""
    camera_rotations: Float[Tensor, "K 3"]
    """Rotation vectors of each camera in its own axes [rad]."""

    def tensors(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """All of them, in this order."""
        return self.rig_translations, self.rig_rotations, self.camera_translations, self.camera_rotations

    def of_rig(self, knots: Between) -> Float[Tensor, " 6"]:
        """The rig's tangent vector at a time."""
        return between(torch.cat([self.rig_translations, self.rig_rotations], dim=1), knots)

    def of_camera(self, number: int) -> Float[Tensor, " 6"]:
        """A camera's own tangent vector."""
        return torch.cat([self.camera_translations[number], self.camera_rotations[number]])


@dataclass(frozen=True)
class RigCamera:
    """A camera of the rig when it took a picture, as recorded."""

    number: int
    """Its row in the corrections."""
    knots: Between
    """Of the rig, around the picture's time."""
    ego_from_cam: Float64[np.ndarray, "4 4"]
    world_from_cam: Float64[np.ndarray, "4 4"]


def corrected_pose(
    corrections: RigCorrections,
    number: int,
    knots: Between,
    ego_from_cam: Float64[Tensor, "4 4"],
    world_from_cam: Float64[Tensor, "4 4"],
) -> Float64[Tensor, "4 4"]:
    """World_from_cam' = world_from_cam cam_from_ego exp(rig) ego_from_cam exp(own), in plain torch.

    Differentiable in everything, and where the corrections are; arguments as in `RigCamera`.
    """
    tangents = torch.stack([corrections.of_rig(knots), corrections.of_camera(number)])
    of_rig, of_camera = se3_exp(tangents.double())
    mounting = ego_from_cam.to(of_rig, non_blocking=True)
    return world_from_cam.to(of_rig) @ (inverse(mounting) @ of_rig @ mounting) @ of_camera


def corrected_viewmats(corrections: RigCorrections, camera: RigCamera) -> Float[Tensor, "1 4 4"]:
    """`cam_from_world` of the corrected camera, as a rasterizer takes it; differentiable in the corrections.

    Made in double precision. float32 corrections go through one compiled pass for values and one for
    gradients, everything else through plain torch, the reference.
    """
    if is_compiled(*corrections.tensors()):
        return _native_corrections.rig_camera(
            *corrections.tensors(),
            camera.number,
            camera.knots,
            camera.ego_from_cam.ravel().tolist(),
            camera.world_from_cam.ravel().tolist(),
        )
    return corrected_viewmats_reference(corrections, camera)


def corrected_viewmats_reference(corrections: RigCorrections, camera: RigCamera) -> Float[Tensor, "1 4 4"]:
    """The same in plain torch, any float precision and device."""
    pose = corrected_pose(
        corrections,
        camera.number,
        camera.knots,
        torch.from_numpy(camera.ego_from_cam),
        torch.from_numpy(camera.world_from_cam),
    )
    return inverse(pose).to(corrections.rig_translations.dtype)[None]
