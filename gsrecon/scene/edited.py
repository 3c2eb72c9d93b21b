"""Stored scenes with edit lists applied."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from gsrecon.errors import SpecError
from gsrecon.scene.edits import Edit, Surroundings, apply_edits
from gsrecon.scene.graph import SceneGraph
from gsrecon.scene.groups_scene import Scene, open_scene


def edited_scene(
    folder: Path,
    edits: Sequence[Edit],
    device: torch.device | str = "cpu",
    lanes: Sequence[Float[np.ndarray, "_ 3"]] = (),
) -> Scene:
    """A stored scene with an edit list applied, on a device.

    Args:
        folder: Run, checkpoint or scene folder.
        edits: What to do.
        device: Where its tensors go.
        lanes: Lane lines of the drive, which tell where the road is, in the scene's world [m].

    Raises:
        SpecError: An edit names what is not there, or the scene is cut into groups.
        CheckpointError: The scene is missing or damaged.
    """
    scene = open_scene(folder, device)
    if edits and not isinstance(scene, SceneGraph):
        raise SpecError("edit lists work on scenes of one piece; this one is cut into groups")
    if isinstance(scene, SceneGraph):
        apply_edits(scene, edits, Surroundings(scene, lanes))
    return scene
