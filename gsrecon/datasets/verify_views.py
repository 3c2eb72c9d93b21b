"""The views of an export as it lists them itself: cameras, boxes and poses in the scene."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float64

from gsrecon.labels.project import ProjectedBox, project_box
from gsrecon.scene.recording import RecordedCamera


def lens_of(view: Mapping[str, Any]) -> RecordedCamera:
    """The camera of a view."""
    distortion = view["distortion"]
    return RecordedCamera(
        view["camera"],
        np.array(view["K"], dtype=np.float64),
        view["width"],
        view["height"],
        np.eye(4),
        view["model"],
        None if distortion is None else tuple(distortion),
    )


def objects_of(view: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The objects that are labelled in a view, by id."""
    kept = set(view["kept"])
    return {thing["id"]: thing for thing in view["objects"] if thing["id"] in kept}


def projected(view: Mapping[str, Any], thing: Mapping[str, Any]) -> ProjectedBox | None:
    """An object's 3D box in the view's picture, projected again."""
    return box_at(view, thing, np.array(thing["world_from_actor"], dtype=np.float64))


def box_at(
    view: Mapping[str, Any], thing: Mapping[str, Any], world_from_actor: Float64[np.ndarray, "4 4"]
) -> ProjectedBox | None:
    """An object's 3D box at another pose in the view's picture."""
    pose = np.array(view["world_from_cam"], dtype=np.float64)
    return project_box(lens_of(view), pose, np.array(thing["size_lwh"], dtype=np.float64), world_from_actor)
