"""Writing drives in nuScenes' layout, version 1.0: the devkit and our own reader read them back.

Source: nuscenes-devkit, docs/schema_nuscenes.md.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from gsrecon.data.log import DrivingLog
from gsrecon.data.nuscenes_tables import TABLES
from gsrecon.datasets.new_folder import new_folder
from gsrecon.datasets.nuscenes_boxes import BoxRules
from gsrecon.datasets.nuscenes_files import write_blank_map
from gsrecon.datasets.nuscenes_lanes import write_lanes
from gsrecon.datasets.nuscenes_scene import SceneWriter, slug
from gsrecon.datasets.nuscenes_vocabulary import fixed_tables, token


@dataclass(frozen=True)
class NuscenesSettings:
    """How a drive is put into nuScenes' layout."""

    pictures: Literal["jpeg", "png"] = "jpeg"
    """How pictures are encoded that are no JPEG files already; png keeps every pixel."""
    key_interval_s: float = 0.5
    """Time between samples, where the drive names no annotated moments of its own [s]."""
    channels: Mapping[str, str] = field(default_factory=dict)
    """Sensor channel by camera name; without one, `CAM_` and the name in capitals."""
    scene: str = ""
    """Name of the scene; without one, the drive's own if it is like scene-0061, else scene-0001 and so on."""
    boxes: BoxRules = field(default_factory=BoxRules)
    """How tracks become boxes."""


def write_nuscenes(
    log: DrivingLog | Sequence[DrivingLog],
    folder: Path | str,
    version: str = "v1.0-mini",
    settings: NuscenesSettings | None = None,
) -> Path:
    """Writes one drive, or several as the scenes of one data set.

    Poses, intrinsics, times and boxes read back to rounding (1e-9); pictures bit for bit where they are JPEG
    files or PNG is asked for. Coordinates are the source's; where those lie beyond 20 km, which the devkit's
    float32 cannot resolve, world's, and the scene's description names the offset. Boxes are written at the
    samples. A track keeps its id if it has the form of a token. What the layout has no place for is left out:
    `ignore`, `sky`, `moving` and id masks, and boxes between samples.

    The folder is written aside and renamed when it is complete.

    Args:
        log: What to write.
        folder: Where; it must not exist, or be empty.
        version: Name of the folder of tables.
        settings: How; None takes the defaults.

    Returns:
        The folder: the data root.

    Raises:
        DatasetError: The folder holds something, the disk is full, a file of the drive is broken, or it has
            what nuScenes cannot express (a fisheye camera).
        ValueError: Two cameras would share a channel, or several drives one scene's name.
    """
    settings = settings or NuscenesSettings()
    logs = [log] if isinstance(log, DrivingLog) else list(log)
    folder = Path(folder)
    with new_folder(folder) as aside:
        tables = _write_scenes(logs, aside, settings)
        (aside / version).mkdir()
        for name in TABLES:
            text = json.dumps(tables[name], allow_nan=False, indent=0)
            (aside / version / f"{name}.json").write_text(text, encoding="utf-8")
    return folder


def channel_names(log: DrivingLog, named: Mapping[str, str]) -> dict[str, str]:
    """Sensor channel by camera: the one named, else `CAM_` and the camera's name in capitals.

    Raises:
        ValueError: Two cameras would share a channel.
    """
    channels: dict[str, str] = {}
    for camera in log.cameras:
        channel = named.get(camera, channel_name(camera))
        if channel in channels.values():
            raise ValueError(
                f"channels: expected another channel for every camera, got {channel} for {camera} too; name "
                "them in the settings"
            )
        channels[camera] = channel
    return channels


def channel_name(camera: str) -> str:
    """`CAM_` and a camera's name in capitals."""
    own = re.sub(r"[^A-Z0-9]+", "_", camera.upper()).strip("_") or "0"
    return own if own.startswith("CAM_") else f"CAM_{own}"


def _write_scenes(
    logs: Sequence[DrivingLog], folder: Path, settings: NuscenesSettings
) -> dict[str, list[dict[str, Any]]]:
    if not logs:
        raise ValueError("log: expected at least one drive, got none")
    tables: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES}
    categories = [settings.boxes.category(track) for log in logs for track in log.tracks]
    tables |= fixed_tables(categories)
    for log, name in zip(logs, _scene_names(logs, settings), strict=True):
        channels = channel_names(log, settings.channels)
        writer = SceneWriter(tables, folder, log, name, channels)
        writer.write(settings.key_interval_s, settings.pictures, settings.boxes)
        write_lanes(log.lanes, folder / "maps" / "expansion" / f"{name}.json", writer.export_from_world)
    key = token("map")
    write_blank_map(folder / "maps" / f"{key}.png")
    tables["map"].append(
        {
            "category": "semantic_prior",
            "token": key,
            "filename": f"maps/{key}.png",
            "log_tokens": [row["token"] for row in tables["log"]],
        }
    )
    return tables


def _scene_names(logs: Sequence[DrivingLog], settings: NuscenesSettings) -> list[str]:
    if settings.scene:
        if len(logs) > 1:
            raise ValueError(f"scene: expected no name for {len(logs)} drives, got {settings.scene!r}")
        return [slug(settings.scene)]
    own = [log.name if re.fullmatch(r"scene-\d{4}", log.name) else "" for log in logs]
    names: list[str] = []
    free = (f"scene-{number:04d}" for number in range(1, 10_000))
    for name in own:
        taken = {*names, *own}
        names.append(name if name and name not in names else next(n for n in free if n not in taken))
    return names
