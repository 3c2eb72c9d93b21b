"""Writing lane lines of rendered drives as OpenLane's JSON, one file a picture.

Source: OpenLane (Chen et al., ECCV 2022), anno_criterion/Lane/README: `xyz` is in the camera with x forward,
y left, z up; `extrinsic` takes it to the vehicle; `uv` are pixels, here with their centres at integers.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from gsrecon.datasets.labeled import LabeledDrive, LabeledPicture
from gsrecon.datasets.rendered_files import picture_name, place_file
from gsrecon.labels.records import LaneRecord

CAM_FROM_FORWARD = np.array([[0.0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0], [0, 0, 0, 1]])
"""From OpenLane's camera axes (x forward, y left, z up) to OpenCV's."""

_CATEGORIES = {
    "double_dashed_yellow": 9,
    "double_solid_yellow": 10,
    "double_dashed": 3,
    "double_solid": 4,
    "dashed_yellow": 7,
    "solid_yellow": 8,
    "dashed": 1,
    "solid": 2,
}
"""Words in a line's kind, the more special first, by OpenLane's category; 0 is unknown."""
_LEFT_CURB, _RIGHT_CURB = 20, 21


def write_openlane(drive: LabeledDrive, folder: Path) -> dict[str, Any]:
    """Writes `images/` and `lane3d/` with one JSON a picture, empty lists where no line is seen."""
    (folder / "lane3d").mkdir()
    numbers: dict[str, int] = {}
    for picture in drive.pictures():
        name = picture_name(picture)
        place_file(picture.image, folder / "images" / f"{name}.png")
        content = {
            "file_path": f"images/{name}.png",
            "intrinsic": _intrinsic(picture),
            "extrinsic": (picture.camera.ego_from_cam @ CAM_FROM_FORWARD).tolist(),
            "lane_lines": [
                _line(lane, numbers.setdefault(lane.id, len(numbers) + 1)) for lane in picture.record.lanes
            ],
        }
        (folder / "lane3d" / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    return {}


def _intrinsic(picture: LabeledPicture) -> list[list[float]]:
    K = picture.camera.K.copy()
    K[:2, 2] -= 0.5
    return K.tolist()


def _line(lane: LaneRecord, number: int) -> dict[str, Any]:
    xyz = np.array(lane.points_in_cam) @ CAM_FROM_FORWARD[:3, :3]
    uv = np.array(lane.pixels) - 0.5
    kind = lane.kind.lower()
    return {
        "category": _category(kind, left=float(xyz[:, 1].mean()) > 0),
        "visibility": [float(seen) for seen in lane.visible],
        "uv": uv.T.tolist(),
        "xyz": xyz.T.tolist(),
        "attribute": 0,
        "track_id": number,
    }


def _category(kind: str, left: bool) -> int:
    if "curb" in kind or "kerb" in kind:
        return _LEFT_CURB if left else _RIGHT_CURB
    return next((value for word, value in _CATEGORIES.items() if word in kind), 0)
