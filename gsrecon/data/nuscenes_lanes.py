"""The lines of nuScenes' map expansion near the way the ego car drove.

Source: the devkit's docs on the map expansion, version 1.3: `line`s are lists of `node`s (x, y in the map's
frame); `road_divider` and `lane_divider` name their line, and a lane divider the paint of each piece of it.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from gsrecon.data.log import Lane
from gsrecon.errors import DatasetError

NEAR_M = 60.0
"""Lines further from every ego position than this are left out [m]."""


def read_lanes(
    root: Path,
    location: str,
    world_from_ego: Float64[np.ndarray, "T 4 4"],
    source_from_world: Float64[np.ndarray, "4 4"],
) -> tuple[Lane, ...]:
    """Lane and road dividers of `maps/expansion/LOCATION.json`; none where the file is not there.

    The map is flat: a point's height is that of the nearest ego position. The kind is the paint where the map
    names it (`double_dashed_white`), else the layer (`road_divider`, `lane_divider`).

    Args:
        root: The data root.
        location: The map's name, `singapore-onenorth` and the like.
        world_from_ego: The ego poses.
        source_from_world: From world back to the map's frame, a translation.

    Raises:
        DatasetError: The file is damaged or of a version before 1.3, which has no lane geometry.
    """
    file = root / "maps" / "expansion" / f"{location}.json"
    if not file.is_file():
        return ()
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if str(content.get("version", "1.0")) < "1.3":
            raise DatasetError(
                f"{file}: the map expansion is older than version 1.3; download the latest one"
            )
        return _lanes(content, world_from_ego[:, :3, 3], source_from_world[:3, 3])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DatasetError(
            f"{file}: the map expansion cannot be read ({type(error).__name__}: {error}); unpack it again"
        ) from error


def _lanes(
    content: dict[str, Any], ego_in_world: Float64[np.ndarray, "T 3"], origin: Float64[np.ndarray, " 3"]
) -> tuple[Lane, ...]:
    nodes = {node["token"]: (node["x"], node["y"]) for node in content["node"]}
    lines = {line["token"]: line["node_tokens"] for line in content["line"]}
    lanes = []
    for layer in ("road_divider", "lane_divider"):
        for row in content[layer]:
            tokens = lines[row["line_token"]]
            flat = np.array([nodes[token] for token in tokens], dtype=np.float64).reshape(-1, 2) - origin[:2]
            if len(flat) < 2 or not _is_near(flat, ego_in_world[:, :2]):
                continue
            kinds = _paint(row, tokens, layer)
            points = np.concatenate([flat, _height(flat, ego_in_world)[:, None]], axis=1)
            lanes += _pieces(row["token"], kinds, points)
    return tuple(lanes)


def _paint(row: dict[str, Any], tokens: list[str], layer: str) -> list[str]:
    """The kind of the piece that starts at each node but the last."""
    named = {part["node_token"]: part["segment_type"] for part in row.get("lane_divider_segments", ())}
    kinds = [named.get(token, "NIL") for token in tokens[:-1]]
    return [layer if kind == "NIL" else kind.lower() for kind in kinds]


def _pieces(token: str, kinds: list[str], points: Float64[np.ndarray, "P 3"]) -> list[Lane]:
    """The line cut where its paint changes; the pieces share the point between them."""
    cuts = [0, *(i for i in range(1, len(kinds)) if kinds[i] != kinds[i - 1]), len(kinds)]
    names = [token] if len(cuts) == 2 else [f"{token}-{n}" for n in range(len(cuts) - 1)]
    return [
        Lane(name, kinds[start], points[start : stop + 1])
        for name, start, stop in zip(names, cuts[:-1], cuts[1:], strict=True)
    ]


def _is_near(flat: Float64[np.ndarray, "P 2"], ego: Float64[np.ndarray, "T 2"]) -> bool:
    """True where a line passes near, also between two of its points, which may lie far apart."""
    start, way = flat[:-1, None], flat[1:, None] - flat[:-1, None]
    length = np.maximum((way * way).sum(-1), 1e-12)
    share = np.clip(((ego[None] - start) * way).sum(-1) / length, 0.0, 1.0)
    return bool(np.linalg.norm(start + share[..., None] * way - ego[None], axis=-1).min() <= NEAR_M)


def _height(flat: Float64[np.ndarray, "P 2"], ego: Float64[np.ndarray, "T 3"]) -> Float64[np.ndarray, " P"]:
    nearest = np.linalg.norm(flat[:, None] - ego[None, :, :2], axis=-1).argmin(axis=1)
    return ego[nearest, 2]
