"""Corrections of the recorded pictures, before anything is learned."""

import torch

from gsrecon.scene.appearance import Appearance
from gsrecon.scene.camera_refinement import CameraRefinement
from gsrecon.scene.node import Node
from gsrecon.train.config import TrainConfig
from gsrecon.train.split import Split


def first_corrections(split: Split, config: TrainConfig) -> list[Node]:
    """Appearance and camera refinement for all fitted pictures, as far as the settings ask for them."""
    log = split.log
    nodes: list[Node] = []
    times = {
        name: [log.time_s(frame.timestamp_us) for frame in split.fitted if frame.camera == name]
        for name in log.cameras
    }
    if config.appearance:
        # A camera whose pictures are all held out has one that is never fitted, and so no correction.
        nodes.append(Appearance({name: of_camera or [0.0] for name, of_camera in times.items()}))
    if config.camera_refinement:
        mountings = {name: torch.from_numpy(camera.ego_from_cam) for name, camera in log.cameras.items()}
        # The rig's frames: those of the camera with the most fitted pictures.
        nodes.append(CameraRefinement(mountings, max(times.values(), key=len)))
    return nodes
