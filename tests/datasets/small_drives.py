"""Drives for the writers: a small toy street, and a few lines to change what lies on disk."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from gsrecon.data.log import DrivingLog
from gsrecon.data.nuscenes_tables import import_devkit
from gsrecon.data.toy import ToyConfig, make_toy


@cache
def toy_log() -> DrivingLog:
    """11 frames of six 64 x 36 cameras at 8 Hz with lidar, boxes and lanes, all in memory."""
    config = ToyConfig(
        length_m=10.0,
        cameras=6,
        width=64,
        height=36,
        samples_per_pixel=1,
        lidar_beams=16,
        lidar_azimuths=200,
        parked_cars=4,
        moving_cars=2,
        pedestrians=2,
        trees=False,
    )
    return make_toy(config, cache=None).log


def devkit(root: Path, version: str = "v1.0-mini") -> Any:
    """nuScenes' own client on a folder."""
    return import_devkit().NuScenes(version=version, dataroot=str(root), verbose=False)


def edit(
    root: Path, table: str, change: Callable[[list[dict[str, Any]]], Any], version: str = "v1.0-mini"
) -> None:
    """Changes the rows of a table on disk; what `change` returns, if anything, takes their place."""
    file = root / version / f"{table}.json"
    rows = json.loads(file.read_text())
    changed = change(rows)
    file.write_text(json.dumps(rows if changed is None else changed))


def rows(root: Path, table: str, version: str = "v1.0-mini") -> list[dict[str, Any]]:
    """The rows of a table on disk."""
    return json.loads((root / version / f"{table}.json").read_text())
