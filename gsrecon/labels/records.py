"""What is known about one rendered picture without its pixels, as JSON: the form labels are kept in."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64

from gsrecon.labels.rig_paths import PlannedView
from gsrecon.labels.trust import ObjectTrust, Trust, ViewTrust
from gsrecon.labels.views import LabeledView

Box = tuple[float, float, float, float]
"""Pixel edges x0, y0, x1, y1."""


@dataclass(frozen=True)
class ObjectRecord:
    """One object in one picture."""

    id: str
    number: int
    category: str
    size_lwh: tuple[float, float, float]
    world_from_actor: Float64[np.ndarray, "4 4"]
    whole_box: Box
    """Around its 3D box, in the picture or not [px]."""
    amodal_box: Box
    """The part of that in the picture [px]."""
    truncation: float
    modal_box: Box | None
    """Around its visible pixels [px]; None where it is hidden."""
    visible_px: int
    amodal_px: int
    trust: ObjectTrust
    lidar_points: int | None = None
    """Points of the moment's rendered sweep that lie on it; None without a sweep."""

    @property
    def visible_fraction(self) -> float:
        """Visible over amodal pixels."""
        return self.visible_px / self.amodal_px


@dataclass(frozen=True)
class LaneRecord:
    """One line in one picture."""

    id: str
    kind: str
    pixels: tuple[tuple[float, float], ...]
    points_in_cam: tuple[tuple[float, float, float], ...]
    visible: tuple[bool, ...]


@dataclass(frozen=True)
class ViewRecord:
    """One picture."""

    take: int
    moment: int
    camera: str
    timestamp_us: int
    world_from_cam: Float64[np.ndarray, "4 4"]
    objects: tuple[ObjectRecord, ...]
    unmeasured: tuple[str, ...]
    lanes: tuple[LaneRecord, ...]
    trust: ViewTrust
    adapted: bool = True
    """Annotations could be carried into the scene at its time."""

    @staticmethod
    def of(
        planned: PlannedView, view: LabeledView, trust: Trust, view_trust: ViewTrust, adapted: bool = True
    ) -> "ViewRecord":
        """From a view that was drawn."""
        objects = []
        for thing in view.objects:
            modal = thing.measured.modal_box
            objects.append(
                ObjectRecord(
                    id=thing.subject.id,
                    number=thing.subject.number,
                    category=thing.subject.category,
                    size_lwh=_floats(thing.subject.size_lwh),
                    world_from_actor=thing.world_from_actor,
                    whole_box=_floats(thing.box.whole),
                    amodal_box=_floats(thing.box.inside),
                    truncation=thing.box.truncation,
                    modal_box=None if modal is None else _floats(modal),
                    visible_px=thing.measured.visible_px,
                    amodal_px=thing.measured.amodal_px,
                    trust=trust.object(
                        thing.subject, thing.world_from_actor, view.world_from_cam, thing.measured.alpha
                    ),
                )
            )
        lanes = tuple(
            LaneRecord(
                lane.id,
                lane.kind,
                tuple(map(_floats, lane.pixels)),
                tuple(map(_floats, lane.points_in_cam)),
                tuple(lane.visible.tolist()),
            )
            for lane in view.lanes
        )
        return ViewRecord(
            take=planned.take,
            moment=planned.moment,
            camera=planned.camera,
            timestamp_us=planned.timestamp_us,
            world_from_cam=planned.world_from_cam,
            objects=tuple(objects),
            unmeasured=view.unmeasured,
            lanes=lanes,
            trust=view_trust,
            adapted=adapted,
        )

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        objects = [
            {
                **{name: value for name, value in vars(thing).items() if name != "trust"},
                "world_from_actor": thing.world_from_actor.tolist(),
                "trust": asdict(thing.trust),
            }
            for thing in self.objects
        ]
        return {
            "take": self.take,
            "moment": self.moment,
            "camera": self.camera,
            "timestamp_us": self.timestamp_us,
            "world_from_cam": self.world_from_cam.tolist(),
            "trust": asdict(self.trust),
            "adapted": self.adapted,
            "objects": objects,
            "unmeasured": list(self.unmeasured),
            "lanes": [vars(lane) for lane in self.lanes],
        }

    @staticmethod
    def from_json(stored: dict[str, Any]) -> "ViewRecord":
        """From what `to_json` gave."""
        objects = tuple(
            ObjectRecord(
                **{
                    **thing,
                    "size_lwh": tuple(thing["size_lwh"]),
                    "world_from_actor": np.array(thing["world_from_actor"], dtype=np.float64),
                    "whole_box": tuple(thing["whole_box"]),
                    "amodal_box": tuple(thing["amodal_box"]),
                    "modal_box": None if thing["modal_box"] is None else tuple(thing["modal_box"]),
                    "trust": ObjectTrust(**thing["trust"]),
                }
            )
            for thing in stored["objects"]
        )
        lanes = tuple(
            LaneRecord(
                lane["id"],
                lane["kind"],
                tuple(tuple(point) for point in lane["pixels"]),
                tuple(tuple(point) for point in lane["points_in_cam"]),
                tuple(lane["visible"]),
            )
            for lane in stored["lanes"]
        )
        return ViewRecord(
            take=stored["take"],
            moment=stored["moment"],
            camera=stored["camera"],
            timestamp_us=stored["timestamp_us"],
            world_from_cam=np.array(stored["world_from_cam"], dtype=np.float64),
            objects=objects,
            unmeasured=tuple(stored["unmeasured"]),
            lanes=lanes,
            trust=ViewTrust(**stored["trust"]),
            adapted=stored["adapted"],
        )


def _floats(values: np.ndarray) -> Any:
    return tuple(float(value) for value in values)
