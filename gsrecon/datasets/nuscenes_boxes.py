"""A drive's tracks as nuScenes' boxes: instances and their annotations at the samples."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64

from gsrecon.data.log import DrivingLog, Track
from gsrecon.datasets.nuscenes_samples import Samples
from gsrecon.datasets.nuscenes_vocabulary import OTHERS_CATEGORIES, VISIBILITIES, attribute, token
from gsrecon.errors import DatasetError

Visibility = Callable[[Track, int], int | None]
"""Level 1 to 4 of a track at a sample's time [us], measured over all of the sample's cameras; None: it is
hidden there, and not annotated."""

_SPEED_STEP_US = 250_000


@dataclass(frozen=True)
class BoxRules:
    """How tracks become boxes."""

    categories: Mapping[str, str] | None = None
    """nuScenes' category by the drive's; None: the known words of other data sets, every other as it is."""
    visibility: Visibility | None = None
    """Measured levels; None writes 4 everywhere, which says nothing."""

    def category(self, track: Track) -> str:
        """The category that is written for a track."""
        if self.categories is not None:
            return self.categories.get(track.category, track.category)
        return OTHERS_CATEGORIES.get(track.category.lower(), track.category)

    def visibility_token(self, track: Track, timestamp_us: int) -> str | None:
        """The row of the visibility table; None where the track is not to be annotated."""
        if self.visibility is None:
            return "4"
        found = self.visibility(track, timestamp_us)
        if found is None:
            return None
        level = str(found)
        if level not in VISIBILITIES:
            raise ValueError(f"visibility: expected 1, 2, 3 or 4, got {level} for track {track.id}")
        return level


def write_boxes(
    tables: dict[str, list[dict[str, Any]]],
    log: DrivingLog,
    samples: Samples,
    sample_tokens: list[str],
    instance_tokens: Mapping[str, str],
    rules: BoxRules,
    export_from_world: Float64[np.ndarray, "4 4"],
    rotation: Callable[[np.ndarray], list[float]],
) -> None:
    """Adds the rows of `instance` and `sample_annotation`; a track that meets no sample has none.

    Args:
        tables: The rows by table.
        log: The drive.
        samples: Its samples.
        sample_tokens: Their tokens.
        instance_tokens: Token by track id.
        rules: How tracks become boxes.
        export_from_world: From world to the frame of the tables.
        rotation: Quaternion wxyz of a rotation matrix.
    """
    clouds = [_points_in_world(log, samples, number) for number in range(len(samples))]
    for track in log.tracks:
        rows = []
        for number, sample in enumerate(samples.samples):
            pose = track.world_from_actor_at(sample.timestamp_us)
            visibility = rules.visibility_token(track, sample.timestamp_us)
            if pose is None or visibility is None:
                continue
            in_export = export_from_world @ pose
            length, width, height = track.size_lwh.tolist()
            rows.append(
                {
                    "token": token(sample_tokens[number], instance_tokens[track.id]),
                    "sample_token": sample_tokens[number],
                    "instance_token": instance_tokens[track.id],
                    "visibility_token": visibility,
                    "attribute_tokens": _attributes(track, rules.category(track), sample.timestamp_us),
                    "translation": in_export[:3, 3].tolist(),
                    "size": [width, length, height],
                    "rotation": rotation(in_export[:3, :3]),
                    "prev": "",
                    "next": "",
                    "num_lidar_pts": _count_inside(clouds[number], track.size_lwh, pose),
                    "num_radar_pts": 0,
                }
            )
        if rows:
            chain(rows)
            tables["sample_annotation"] += rows
            tables["instance"].append(
                {
                    "token": instance_tokens[track.id],
                    "category_token": token("category", rules.category(track)),
                    "nbr_annotations": len(rows),
                    "first_annotation_token": rows[0]["token"],
                    "last_annotation_token": rows[-1]["token"],
                }
            )


def require_whole_tracks(log: DrivingLog) -> None:
    """Refuses what the tables cannot hold.

    Raises:
        DatasetError: Two tracks have one id, or a box is not finite or has no size.
    """
    seen = set()
    for track in log.tracks:
        if track.id in seen:
            raise DatasetError(f"{log.name}: two tracks have the id {track.id!r}; rename one")
        seen.add(track.id)
        if not (np.isfinite(track.world_from_actor).all() and (track.size_lwh > 0).all()):
            raise DatasetError(
                f"{log.name}: the boxes of track {track.id!r} are not finite or have no size; correct or "
                "remove it"
            )


def chain(rows: list[dict[str, Any]]) -> None:
    """Links rows to their neighbours by `prev` and `next`."""
    for row, following in pairwise(rows):
        row["next"], following["prev"] = following["token"], row["token"]


def _attributes(track: Track, category: str, timestamp_us: int) -> list[str]:
    speed = _speed_mps(track, timestamp_us)
    name = attribute(category, speed, track.moves)
    return [] if name is None else [token("attribute", name)]


def _speed_mps(track: Track, timestamp_us: int) -> float | None:
    """Speed over half a second around a time, over what the track has of it."""
    first, last = int(track.timestamps_us[0]), int(track.timestamps_us[-1])
    start, stop = max(first, timestamp_us - _SPEED_STEP_US), min(last, timestamp_us + _SPEED_STEP_US)
    if stop <= start:
        return None
    before, after = track.world_from_actor_at(start), track.world_from_actor_at(stop)
    assert before is not None
    assert after is not None
    return float(np.linalg.norm((after - before)[:3, 3]) / (1e-6 * (stop - start)))


def _points_in_world(log: DrivingLog, samples: Samples, number: int) -> Float32[np.ndarray, "N 3"]:
    sweep = samples.samples[number].sweep
    if sweep is None:
        return np.zeros((0, 3), np.float32)
    moved = log.points(sweep) @ sweep.world_from_lidar[:3, :3].T + sweep.world_from_lidar[:3, 3]
    return moved.astype(np.float32)


def _count_inside(
    points_in_world: Float32[np.ndarray, "N 3"],
    size_lwh: Float64[np.ndarray, " 3"],
    world_from_actor: Float64[np.ndarray, "4 4"],
) -> int:
    away = points_in_world - world_from_actor[:3, 3]
    near = away[(away * away).sum(axis=1) <= 0.25 * (size_lwh * size_lwh).sum() + 1e-6]
    return int((np.abs(near @ world_from_actor[:3, :3]) <= 0.5 * size_lwh).all(axis=1).sum())
