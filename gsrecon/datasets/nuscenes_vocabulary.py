"""nuScenes' fixed vocabulary: categories, attributes, visibility levels, and how others' words map to it.

Source: nuscenes-devkit, docs/instructions_nuscenes.md and docs/schema_nuscenes.md.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

CATEGORIES = (
    "human.pedestrian.adult",
    "human.pedestrian.child",
    "human.pedestrian.wheelchair",
    "human.pedestrian.stroller",
    "human.pedestrian.personal_mobility",
    "human.pedestrian.police_officer",
    "human.pedestrian.construction_worker",
    "animal",
    "vehicle.car",
    "vehicle.motorcycle",
    "vehicle.bicycle",
    "vehicle.bus.bendy",
    "vehicle.bus.rigid",
    "vehicle.truck",
    "vehicle.construction",
    "vehicle.emergency.ambulance",
    "vehicle.emergency.police",
    "vehicle.trailer",
    "movable_object.barrier",
    "movable_object.trafficcone",
    "movable_object.pushable_pullable",
    "movable_object.debris",
    "static_object.bicycle_rack",
)
"""Every category of nuScenes."""

OTHERS_CATEGORIES = {
    "car": "vehicle.car",
    "van": "vehicle.car",
    "truck": "vehicle.truck",
    "bus": "vehicle.bus.rigid",
    "tram": "vehicle.bus.rigid",
    "trailer": "vehicle.trailer",
    "bicycle": "vehicle.bicycle",
    "cyclist": "vehicle.bicycle",
    "motorcycle": "vehicle.motorcycle",
    "pedestrian": "human.pedestrian.adult",
    "person": "human.pedestrian.adult",
    "person (sitting)": "human.pedestrian.adult",
    "person_sitting": "human.pedestrian.adult",
}
"""Other data sets' words, in small letters, by what nuScenes calls them; every other word stays as it is."""

ATTRIBUTES = (
    "vehicle.moving",
    "vehicle.stopped",
    "vehicle.parked",
    "cycle.with_rider",
    "cycle.without_rider",
    "pedestrian.sitting_lying_down",
    "pedestrian.standing",
    "pedestrian.moving",
)
"""Every attribute of nuScenes."""

VISIBILITIES = {"1": (0, 40), "2": (40, 60), "3": (60, 80), "4": (80, 100)}
"""Token of a visibility level -> share of the object that is visible [%]."""

_MOVING_MPS = 0.5
_FOUR_WHEELS = ("vehicle.car", "vehicle.bus", "vehicle.truck", "vehicle.construction", "vehicle.trailer")


def token(*parts: object) -> str:
    """A token of nuScenes' form, 32 hexadecimal digits; equal parts give equal tokens."""
    return hashlib.md5("/".join(map(str, parts)).encode(), usedforsecurity=False).hexdigest()


def attribute(category: str, speed_mps: float | None, ever_moved: bool) -> str | None:
    """The attribute that follows from an object's motion, or None where none does.

    A vehicle at rest is stopped if it moves at another time of its track, else parked; a cycle that ever
    moves has a rider. An object with one key has no known motion, so no attribute.

    Args:
        category: nuScenes' category.
        speed_mps: Speed at the annotated moment; None where it is not known.
        ever_moved: Whether the object moves anywhere on its track.
    """
    if speed_mps is None:
        return None
    moving = speed_mps > _MOVING_MPS
    if category in ("vehicle.bicycle", "vehicle.motorcycle"):
        return "cycle.with_rider" if ever_moved else "cycle.without_rider"
    if category.startswith(_FOUR_WHEELS):
        return "vehicle.moving" if moving else "vehicle.stopped" if ever_moved else "vehicle.parked"
    if category.startswith("human.pedestrian"):
        return "pedestrian.moving" if moving else "pedestrian.standing"
    return None


def fixed_tables(categories: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """The tables `category`, `attribute` and `visibility`, with further categories that a drive uses."""
    names = [*CATEGORIES, *sorted(set(categories) - set(CATEGORIES))]
    return {
        "category": [{"token": token("category", n), "name": n, "description": ""} for n in names],
        "attribute": [{"token": token("attribute", n), "name": n, "description": ""} for n in ATTRIBUTES],
        "visibility": [
            {
                "description": f"visibility of whole object is between {low} and {high}%",
                "token": key,
                "level": f"v{low}-{high}",
            }
            for key, (low, high) in VISIBILITIES.items()
        ],
    }
