"""Lanes from nuScenes' map expansion, on a small made-up map."""

import json

import numpy as np
import pytest

from gsrecon.data.nuscenes_lanes import read_lanes
from gsrecon.errors import DatasetError
from tests.data.conftest import shifted


def expansion(tmp_path, version="1.3"):
    """A map with a far divider, a near road divider and a lane divider whose paint changes."""
    nodes = {"a": (100, 50), "b": (110, 50), "c": (200, 50), "d": (100, 58), "e": (120, 58), "f": (900, 900)}
    lines = {"road": "abc", "lane": "dea", "far": "ff"}
    content = {
        "version": version,
        "node": [{"token": key, "x": x, "y": y} for key, (x, y) in nodes.items()],
        "line": [{"token": key, "node_tokens": list(tokens)} for key, tokens in lines.items()],
        "road_divider": [{"token": "r", "line_token": "road"}, {"token": "f", "line_token": "far"}],
        "lane_divider": [
            {
                "token": "l",
                "line_token": "lane",
                "lane_divider_segments": [
                    {"node_token": "d", "segment_type": "DOUBLE_DASHED_WHITE"},
                    {"node_token": "e", "segment_type": "NIL"},
                ],
            }
        ],
    }
    file = tmp_path / "maps" / "expansion" / "town.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(content))
    return file


def test_map_lines_near_the_way_are_lanes_cut_where_their_paint_changes(tmp_path):
    expansion(tmp_path)
    ego = np.stack([shifted(0, 0, 1.0), shifted(100, 0, 3.0)])
    lanes = read_lanes(tmp_path, "town", ego, shifted(100, 50, 7))
    assert [(lane.id, lane.kind) for lane in lanes] == [
        ("r", "road_divider"),
        ("l-0", "double_dashed_white"),
        ("l-1", "lane_divider"),
    ]
    # The map is flat: heights are those of the nearest ego position.
    assert lanes[0].points_in_world.tolist() == [[0, 0, 1], [10, 0, 1], [100, 0, 3]]
    assert lanes[1].points_in_world.tolist() == [[0, 8, 1], [20, 8, 1]]
    assert lanes[2].points_in_world.tolist() == [[20, 8, 1], [0, 0, 1]]
    assert read_lanes(tmp_path, "elsewhere", ego, shifted(0)) == ()


def test_an_old_or_damaged_map_is_named(tmp_path):
    file = expansion(tmp_path, version="1.0")
    with pytest.raises(DatasetError, match=r"town\.json: the map expansion is older than version 1.3"):
        read_lanes(tmp_path, "town", np.eye(4)[None], np.eye(4))
    file.write_text('{"version": "1.3", "node": []}')
    with pytest.raises(
        DatasetError, match=r"town\.json: the map expansion cannot be read \(KeyError: 'line'\)"
    ):
        read_lanes(tmp_path, "town", np.eye(4)[None], np.eye(4))
