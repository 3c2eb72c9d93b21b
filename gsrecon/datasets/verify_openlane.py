"""OpenLane read back: every 3D point projected against its pixel."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from gsrecon.data.projection import project
from gsrecon.datasets.openlane import CAM_FROM_FORWARD
from gsrecon.datasets.verify_findings import Drawn, Findings
from gsrecon.datasets.verify_views import lens_of


def check_openlane(folder: Path, views: list[dict[str, Any]], findings: Findings) -> None:
    """Checks every picture and every line's points."""
    for view in views:
        name = view["file"]
        path = folder / "images" / f"{name}.png"
        findings.picture(path, view["width"], view["height"])
        try:
            content = json.loads((folder / "lane3d" / f"{name}.json").read_text(encoding="utf-8"))
            K = np.array(content["intrinsic"], dtype=np.float64)
            lines = content["lane_lines"]
        except (OSError, ValueError, KeyError) as error:
            findings.problem(f"{name}.json: missing or damaged ({error})")
            continue
        K[:2, 2] += 0.5
        lens, drawn = lens_of(view), []
        for line in lines:
            where = f"{name}, line {line.get('track_id')}"
            try:
                xyz = np.array(line["xyz"], dtype=np.float64).reshape(3, -1)
                uv = np.array(line["uv"], dtype=np.float64).reshape(2, -1)
            except (KeyError, ValueError, TypeError) as error:
                findings.problem(f"{where}: the line is damaged ({error!r})")
                continue
            if xyz.shape[1] != uv.shape[1] or len(line["visibility"]) != uv.shape[1]:
                findings.problem(f"{where}: its points, pixels and visibilities differ in number")
                continue
            in_cam = (CAM_FROM_FORWARD[:3, :3] @ xyz).T
            findings.error("lane points", uv.T + 0.5, project(in_cam, K, lens.model, lens.distortion), where)
            seen = np.array(line["visibility"]) > 0.5
            drawn.append((uv.T[seen], f"line {line.get('track_id')}"))
        findings.drawn.append(Drawn(path, (), tuple(drawn)))
