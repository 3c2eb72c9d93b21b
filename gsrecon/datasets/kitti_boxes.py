"""KITTI's objects: a box upright in the camera, in both directions.

Source: KITTI object development kit, readme.txt: dimensions h w l, place of the bottom's centre in the
rectified camera, turn about its y axis; the angle is 0 where the object faces the camera's x.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

_TYPES = {
    "bicycle_rack": "Misc",
    "car": "Car",
    "van": "Van",
    "truck": "Truck",
    "bus": "Truck",
    "tram": "Tram",
    "trailer": "Misc",
    "cyclist": "Cyclist",
    "bicycle": "Cyclist",
    "motorcycle": "Cyclist",
    "sitting": "Person_sitting",
    "pedestrian": "Pedestrian",
    "person": "Pedestrian",
}
"""Words in other data sets' categories, the more special first, by KITTI's type."""


@dataclass(frozen=True)
class KittiBox:
    """A box as KITTI holds it."""

    size_hwl: Float64[np.ndarray, " 3"]
    """[m]"""
    bottom_in_cam: Float64[np.ndarray, " 3"]
    """Centre of its bottom [m]."""
    rotation_y: float
    """About the camera's y axis [rad]."""

    @staticmethod
    def of(size_lwh: Float64[np.ndarray, " 3"], cam_from_actor: Float64[np.ndarray, "4 4"]) -> "KittiBox":
        """The upright box with the same centre, size and heading; roll and pitch in the camera are lost."""
        length, width, height = (float(value) for value in size_lwh)
        heading = cam_from_actor[:3, 0]
        bottom = cam_from_actor[:3, 3] + [0.0, 0.5 * height, 0.0]
        return KittiBox(np.array([height, width, length]), bottom, float(np.arctan2(-heading[2], heading[0])))

    @property
    def size_lwh(self) -> Float64[np.ndarray, " 3"]:
        """Length, width, height [m]."""
        return self.size_hwl[::-1].copy()

    @property
    def cam_from_actor(self) -> Float64[np.ndarray, "4 4"]:
        """Pose of the centre in the camera, x along the length, z up."""
        c, s = np.cos(self.rotation_y), np.sin(self.rotation_y)
        pose = np.eye(4)
        pose[:3, 0] = [c, 0, -s]
        pose[:3, 1] = [s, 0, c]
        pose[:3, 2] = [0, -1, 0]
        pose[:3, 3] = self.bottom_in_cam - [0.0, 0.5 * self.size_hwl[0], 0.0]
        return pose

    @property
    def alpha(self) -> float:
        """The angle it is seen at: its turn less that of the line of sight [rad], -pi .. pi."""
        away = self.rotation_y - np.arctan2(self.bottom_in_cam[0], self.bottom_in_cam[2])
        return float((away + np.pi) % (2 * np.pi) - np.pi)


def tilt_deg(cam_from_actor: Float64[np.ndarray, "4 4"]) -> float:
    """Between a box's up and the camera's: what a KITTI box cannot hold [deg]."""
    return float(np.degrees(np.arccos(np.clip(-cam_from_actor[1, 2], -1, 1))))


def kitti_type(category: str) -> str:
    """KITTI's word for another data set's category; `Misc` for what it has no word for."""
    words = category.lower()
    return next((name for word, name in _TYPES.items() if word in words), "Misc")


def occlusion(visible_fraction: float) -> int:
    """KITTI's level: 0 fully visible, 1 partly, 2 largely occluded."""
    return 0 if visible_fraction >= 0.8 else 1 if visible_fraction >= 0.4 else 2
