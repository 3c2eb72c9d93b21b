"""Camera path files: key poses in TOML or JSON, read strictly.

The format is described in docs/camera-paths.md.
"""

import json
import math
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gsrecon.errors import SpecError
from gsrecon.geometry.paths import CameraPath, look_at, resample

_TOP = ("version", "pictures_per_second", "keyframes")
_KEYFRAME = ("time_s", "shown_s", "position", "look_at", "world_from_cam")


def read_path_file(path: Path | str) -> CameraPath:
    """Reads a camera path file and flies it at its own picture rate.

    Raises:
        SpecError: The file is missing, is neither TOML nor JSON, has an unknown key, or a keyframe is
            incomplete, out of order or not a rigid pose.
    """
    content = _load(Path(path))
    _only(content, _TOP, f"{path}")
    if content.get("version") != 1:
        raise SpecError(f"{path}: version: expected 1, got {content.get('version')!r}")
    rate = _number(content.get("pictures_per_second", 25), f"{path}: pictures_per_second")
    if not rate > 0:
        raise SpecError(f"{path}: pictures_per_second: expected more than 0, got {rate}")
    keyframes = content.get("keyframes")
    if not isinstance(keyframes, list) or not keyframes:
        raise SpecError(f"{path}: keyframes: expected a list of at least one keyframe, got none")

    poses, times_s, shown_s = [], [], []
    timed = any(isinstance(k, Mapping) and "shown_s" in k for k in keyframes)
    for number, keyframe in enumerate(keyframes):
        place = f"{path}: keyframe {number}"
        if not isinstance(keyframe, Mapping):
            raise SpecError(f"{place}: expected a table of keys, got {keyframe!r}")
        _only(keyframe, _KEYFRAME, place)
        times_s.append(_number(keyframe.get("time_s"), f"{place}: time_s"))
        if timed:
            default = 0.0 if number == 0 else None
            shown_s.append(_number(keyframe.get("shown_s", default), f"{place}: shown_s"))
        else:
            shown_s.append(times_s[-1] - times_s[0])
        if number and not shown_s[-1] > shown_s[-2]:
            raise SpecError(
                f"{place}: expected a later time than keyframe {number - 1}; sort the keyframes, or give "
                "each a `shown_s` where the drive stands still or plays backwards"
            )
        poses.append(_pose(keyframe, place))
    path_through = CameraPath(
        torch.stack(poses),
        torch.tensor(times_s, dtype=torch.float64),
        torch.tensor(shown_s, dtype=torch.float64),
    )
    return resample(path_through, rate)


def _load(path: Path) -> Mapping[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{path}: the camera path file cannot be read: {error}") from error
    try:
        content = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
    except ValueError as error:
        kind = "JSON" if path.suffix.lower() == ".json" else "TOML"
        raise SpecError(f"{path}: not valid {kind}: {error}") from error
    if not isinstance(content, Mapping):
        raise SpecError(f"{path}: expected keys {', '.join(_TOP)} at the top, got {type(content).__name__}")
    return content


def _only(table: Mapping[str, Any], allowed: tuple[str, ...], place: str) -> None:
    for key in table:
        if key not in allowed:
            raise SpecError(f"{place}: unknown key '{key}'; known keys are {', '.join(allowed)}")


def _number(value: object, place: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise SpecError(f"{place}: expected a number, got {'nothing' if value is None else repr(value)}")
    return float(value)


def _vector(value: object, length: int, place: str) -> Tensor:
    if not isinstance(value, list) or len(value) != length:
        raise SpecError(f"{place}: expected {length} numbers in a list, got {value!r}")
    return torch.tensor([_number(v, place) for v in value], dtype=torch.float64)


def _pose(keyframe: Mapping[str, Any], place: str) -> Tensor:
    given = {"world_from_cam", "position", "look_at"} & set(keyframe)
    if given == {"position", "look_at"}:
        position = _vector(keyframe["position"], 3, f"{place}: position")
        target = _vector(keyframe["look_at"], 3, f"{place}: look_at")
        if torch.equal(position, target):
            raise SpecError(f"{place}: look_at: expected a point away from position, got the same point")
        return look_at(position, target)
    if given != {"world_from_cam"}:
        raise SpecError(
            f"{place}: expected either world_from_cam, or position and look_at; "
            f"got {' and '.join(sorted(given)) or 'none of them'}"
        )
    rows = keyframe["world_from_cam"]
    if not isinstance(rows, list) or len(rows) != 4:
        raise SpecError(f"{place}: world_from_cam: expected 4 rows of 4 numbers, got {rows!r}")
    pose = torch.stack([_vector(row, 4, f"{place}: world_from_cam") for row in rows])
    R = pose[:3, :3]
    rigid = torch.allclose(R @ R.T, torch.eye(3, dtype=R.dtype), atol=1e-4) and torch.linalg.det(R) > 0
    if not rigid or not torch.equal(pose[3], pose.new_tensor([0, 0, 0, 1])):
        raise SpecError(
            f"{place}: world_from_cam: expected a rotation beside a translation and the last row 0 0 0 1"
        )
    return pose
