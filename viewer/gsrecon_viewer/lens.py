"""The browser's camera, and poses as viser takes them."""

from dataclasses import dataclass, replace
from math import tan

import numpy as np
import torch
from jaxtyping import Float64

from gsrecon.geometry.camera import Cameras
from gsrecon.geometry.rigid import inverse, quat_to_rotmat, rotmat_to_quat


@dataclass(frozen=True)
class Eye:
    """A pinhole camera at a pose: what a browser shows."""

    world_from_cam: Float64[np.ndarray, "4 4"]
    fov_y: float
    """Vertical field of view [rad]."""
    width: int
    height: int

    def scaled(self, scale: float) -> "Eye":
        """The same view with fewer pixels."""
        width, height = max(16, round(self.width * scale)), max(16, round(self.height * scale))
        return replace(self, width=width, height=height)

    def cameras(self) -> Cameras:
        """As the rasterizer takes it, C = 1."""
        f = 0.5 * self.height / tan(0.5 * self.fov_y)
        K = torch.tensor([[f, 0.0, 0.5 * self.width], [0.0, f, 0.5 * self.height], [0.0, 0.0, 1.0]])
        viewmat = inverse(torch.from_numpy(self.world_from_cam).double()).float()
        return Cameras(viewmat[None], K[None], self.width, self.height)


def pose_of(wxyz: np.ndarray, position: np.ndarray) -> Float64[np.ndarray, "4 4"]:
    """A pose from a quaternion and a place."""
    pose = np.eye(4)
    pose[:3, :3] = quat_to_rotmat(torch.from_numpy(np.array(wxyz, dtype=np.float64))).numpy()
    pose[:3, 3] = position
    return pose


def wxyz_of(pose: Float64[np.ndarray, "4 4"]) -> tuple[float, float, float, float]:
    """The quaternion of a pose."""
    w, x, y, z = rotmat_to_quat(torch.from_numpy(np.array(pose[:3, :3], dtype=np.float64))).tolist()
    return w, x, y, z
