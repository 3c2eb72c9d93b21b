"""Scenes with edit lists applied, whole or in groups."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from gsrecon.scene.edit_groups import EditedGroups
from gsrecon.scene.edits import Edit, Surroundings, apply_edits, fresh_copy, named_objects
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
        SpecError: An edit names what is not there.
        CheckpointError: The scene is missing or damaged.
    """
    scene = open_scene(folder, device)
    return with_edits(scene, edits, Surroundings(scene, lanes))


def with_edits(scene: Scene, edits: Sequence[Edit], surroundings: Surroundings | None = None) -> Scene:
    """A scene with an edit list applied; the given one stays as it is, and what does not change is shared.

    Args:
        scene: As it was trained.
        edits: What to do.
        surroundings: Ground and road, found out once where lists are applied often; None: without lanes.

    Raises:
        SpecError: An edit names what is not there; see `gsrecon.scene.edits.apply_edits`.
        CheckpointError: A group of the scene is missing or damaged.
    """
    if not edits:
        return scene
    if not isinstance(scene, SceneGraph):
        return EditedGroups(scene, edits, surroundings)
    edited = fresh_copy(scene)
    apply_edits(edited, edits, surroundings)
    return edited


def objects_of(scene: Scene, edits: Sequence[Edit] = ()) -> SceneGraph:
    """A graph with all objects of a scene, to try a list on or to ask where they are.

    A scene of one piece is this graph itself; of one in groups, only objects that the list names have
    Gaussians in it.

    Raises:
        CheckpointError: A group of the scene is missing or damaged.
    """
    return scene if isinstance(scene, SceneGraph) else scene.objects(named_objects(edits))
