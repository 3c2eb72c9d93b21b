"""The cameras on the car and when they fire."""

import numpy as np
from jaxtyping import Float64

from gsrecon.data.log import Camera
from gsrecon.data.toy.config import ToyConfig

_MOUNTS = {
    "front": (0.0, (1.65, 0.0, 1.55), 0),
    "front_left": (52.0, (1.50, 0.45, 1.52), 8_000),
    "front_right": (-52.0, (1.50, -0.45, 1.52), 16_000),
    "back_left": (112.0, (0.90, 0.45, 1.52), 24_000),
    "back_right": (-112.0, (0.90, -0.45, 1.52), 32_000),
    "back": (180.0, (-0.10, 0.0, 1.55), 40_000),
}
"""Direction [deg to the left], place in ego [m], and delay after the frame's own time [us]."""

_EGO_FROM_FORWARD_CAM = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])


def make_rig(config: ToyConfig) -> dict[str, Camera]:
    """The first `config.cameras` cameras of the car."""
    f = config.focal_px
    K = np.array([[f, 0, 0.5 * config.width], [0, f, 0.5 * config.height], [0, 0, 1]])
    rig = {}
    for name in list(_MOUNTS)[: config.cameras]:
        yaw, place, _ = _MOUNTS[name]
        rig[name] = Camera(name, K.copy(), config.width, config.height, _ego_from_cam(np.radians(yaw), place))
    return rig


def delay_us(camera: str, config: ToyConfig) -> int:
    """How long after the frame's own time a camera fires [us]; never as long as a frame."""
    return min(_MOUNTS[camera][2], config.frame_interval_us // 2)


def _ego_from_cam(yaw: float, place: tuple[float, float, float]) -> Float64[np.ndarray, "4 4"]:
    turn = np.array([[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
    pose = np.eye(4)
    pose[:3, :3] = turn @ _EGO_FROM_FORWARD_CAM
    pose[:3, 3] = place
    return pose
