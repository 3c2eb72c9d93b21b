"""A drive's lines as a map expansion of version 1.3, the one that nuScenes' map client reads."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from gsrecon.data.log import Lane
from gsrecon.datasets.nuscenes_vocabulary import token

_EMPTY_LAYERS = (
    "polygon",
    "drivable_area",
    "road_segment",
    "road_block",
    "lane",
    "lane_connector",
    "ped_crossing",
    "walkway",
    "stop_line",
    "carpark_area",
    "traffic_light",
)


def write_lanes(lanes: Sequence[Lane], target: Path, export_from_world: Float64[np.ndarray, "4 4"]) -> None:
    """Writes the lines as dividers; nothing where there is none. The layout is flat: heights are lost.

    A line of kind `road_divider` goes to that layer; any other is a lane divider, painted as its kind says.
    """
    if not lanes:
        return
    content: dict[str, Any] = {"version": "1.3", **{layer: [] for layer in _EMPTY_LAYERS}}
    content |= {"node": [], "line": [], "road_divider": [], "lane_divider": []}
    content |= {"arcline_path_3": {}, "connectivity": {}}
    for number, lane in enumerate(lanes):
        points = lane.points_in_world @ export_from_world[:3, :3].T + export_from_world[:3, 3]
        nodes = [token(target.stem, number, k) for k in range(len(points))]
        content["node"] += [
            {"token": key, "x": float(x), "y": float(y)} for key, (x, y, _) in zip(nodes, points, strict=True)
        ]
        line = token(target.stem, "line", number)
        content["line"].append({"token": line, "node_tokens": nodes})
        if lane.kind == "road_divider":
            content["road_divider"].append({"token": lane.id, "line_token": line, "road_segment_token": None})
        else:
            paint = "NIL" if lane.kind == "lane_divider" else lane.kind.upper()
            segments = [{"node_token": key, "segment_type": paint} for key in nodes]
            content["lane_divider"].append(
                {"token": lane.id, "line_token": line, "lane_divider_segments": segments}
            )
    xy = np.array([[node["x"], node["y"]] for node in content["node"]])
    content["canvas_edge"] = xy.max(axis=0).tolist()
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(content, allow_nan=False), encoding="utf-8")
