"""Cutting one scene out of nuScenes' tables, so that the devkit never holds all of them.

`v1.0-trainval` has 6.4 million rows in its three large tables, about 1.5 kB each in memory; row by row they
pass in some 20 seconds and 100 MB.
"""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Row = dict[str, Any]

_CHUNK = 2**24
_SEPARATORS = re.compile(r"[\s,\[]*")


def cut_scene(tables: Path, scene: str, root: Path, version: str) -> None:
    """Writes the rows of one scene as the tables of a data root of its own.

    Map pictures are stood in for by empty files: the devkit wants them there, and opens them only to draw.

    Args:
        tables: The folder of the whole tables.
        scene: Name of the scene.
        root: The new data root.
        version: Name of the folder of tables in it.

    Raises:
        KeyError: A row lacks a column.
        OSError: A table cannot be read, or the new ones cannot be written.
        ValueError: A table is no JSON list of rows, or there is no one scene of that name.
    """

    def rows(name: str, wanted: Callable[[Row], bool] = lambda row: True) -> list[Row]:
        return [row for row in stream_rows(tables / f"{name}.json") if wanted(row)]

    cut = {name: rows(name) for name in ("attribute", "category", "sensor", "visibility")}
    cut["scene"] = rows("scene", lambda row: row["name"] == scene)
    if len(cut["scene"]) != 1:
        raise ValueError(f"scene.json has {len(cut['scene'])} scenes named {scene}")
    scene_token, log_token = cut["scene"][0]["token"], cut["scene"][0]["log_token"]
    cut["log"] = rows("log", lambda row: row["token"] == log_token)
    maps = rows("map", lambda row: log_token in row["log_tokens"])
    cut["map"] = [
        {**row, "log_tokens": [log_token], "filename": f"{number}.png"} for number, row in enumerate(maps)
    ]
    cut["sample"] = rows("sample", lambda row: row["scene_token"] == scene_token)
    samples = _column(cut["sample"], "token")
    cut["sample_data"] = rows("sample_data", lambda row: row["sample_token"] in samples)
    poses = _column(cut["sample_data"], "ego_pose_token")
    cut["ego_pose"] = rows("ego_pose", lambda row: row["token"] in poses)
    sensors = _column(cut["sample_data"], "calibrated_sensor_token")
    cut["calibrated_sensor"] = rows("calibrated_sensor", lambda row: row["token"] in sensors)
    cut["sample_annotation"] = rows("sample_annotation", lambda row: row["sample_token"] in samples)
    instances = _column(cut["sample_annotation"], "instance_token")
    cut["instance"] = rows("instance", lambda row: row["token"] in instances)

    (root / version).mkdir(parents=True)
    for row in cut["map"]:
        (root / row["filename"]).touch()
    for name, kept in cut.items():
        (root / version / f"{name}.json").write_text(json.dumps(kept), encoding="utf-8")


def stream_rows(file: Path, chunk: int = _CHUNK) -> Iterator[Row]:
    """The rows of a table one after the other, with little more than `chunk` characters in memory.

    Raises:
        ValueError: The file is no JSON list of rows, or is cut off.
    """
    decoder = json.JSONDecoder()
    with open(file, encoding="utf-8") as stream:
        text, at = stream.read(chunk), 0
        if not text.lstrip().startswith("["):
            raise ValueError(f"{file.name} is no list of rows")
        while True:
            at = _after_separators(text, at)
            if text.startswith("]", at):
                return
            try:
                row, at = decoder.raw_decode(text, at)
            except json.JSONDecodeError as error:
                # The row may go on in the next chunk; one of more than two chunks is no row.
                more = stream.read(chunk)
                if not more or len(text) - at > 2 * chunk:
                    raise ValueError(f"{file.name} is cut off or damaged: {error.msg}") from error
                text, at = text[at:] + more, 0
                continue
            yield row


def _after_separators(text: str, at: int) -> int:
    found = _SEPARATORS.match(text, at)
    assert found is not None
    return found.end()


def _column(rows: list[Row], name: str) -> set[str]:
    return {row[name] for row in rows}
