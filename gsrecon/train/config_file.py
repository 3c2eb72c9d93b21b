"""Settings of a run as JSON and back."""

import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Union, get_args, get_origin, get_type_hints

from gsrecon.errors import CheckpointError
from gsrecon.train.config import TrainConfig


def config_to_json(config: Any) -> dict[str, Any]:
    """A dataclass as JSON values; each carries the name of its type, which tells union members apart."""
    table: dict[str, Any] = {"type": type(config).__name__}
    for entry in fields(config):
        value = getattr(config, entry.name)
        table[entry.name] = config_to_json(value) if is_dataclass(value) else value
    return table


def config_from_json(stored: Mapping[str, Any]) -> TrainConfig:
    """The settings that `config_to_json` wrote.

    Raises:
        CheckpointError: They are those of another version of gsrecon.
    """
    try:
        return _restored(TrainConfig, stored)
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"config.json: the settings do not fit this gsrecon ({error}); use the gsrecon that wrote them"
        ) from error


def differences(ours: Mapping[str, Any], theirs: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Settings that differ between two stored configs, as `name: ours, theirs`."""
    found = []
    for name in sorted(set(ours) | set(theirs)):
        left, right = ours.get(name), theirs.get(name)
        if isinstance(left, Mapping) and isinstance(right, Mapping):
            found += differences(left, right, f"{prefix}{name}.")
        elif left != right:
            found.append(f"{prefix}{name}: {left}, {right}")
    return found


def _restored(kind: Any, stored: Any) -> Any:
    if get_origin(kind) in (Union, types.UnionType):
        named = stored.get("type") if isinstance(stored, Mapping) else None
        members = [member for member in get_args(kind) if member.__name__ == named]
        return _restored(members[0], stored) if members else stored
    if get_origin(kind) is tuple:
        return tuple(stored)
    if not is_dataclass(kind) or not isinstance(kind, type):
        return stored
    hints = get_type_hints(kind)
    values = {name: _restored(hints[name], value) for name, value in stored.items() if name != "type"}
    return kind(**values)
