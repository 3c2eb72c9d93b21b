"""Edit lists as TOML files: read strictly, written whole, with what was undone kept for a redo."""

import json
import math
import os
import tomllib
import types
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

from gsrecon.errors import SpecError
from gsrecon.files import write_text
from gsrecon.scene.edit_actions import Edit

ACTIONS: dict[str, type[Edit]] = {kind.do: kind for kind in get_args(Edit)}
"""Actions by the word a list calls them."""
_KEYS = {"name": "as", "class_name": "class", "with_object": "with"}
"""Keys of a list that are no names of fields."""
_DONE, _UNDONE = "edit", "undone"


def read_edits(path: Path | str) -> tuple[Edit, ...]:
    """Reads an edit list; what was undone is left out.

    Raises:
        SpecError: The file is missing or no TOML, or an entry has an unknown key, action or value.
    """
    return _read(Path(path))[0]


def write_edits(path: Path | str, edits: Sequence[Edit], undone: Sequence[Edit] = ()) -> None:
    """Writes an edit list; a file that was there is replaced when the new one is whole.

    Paths below the list's folder are written relative to it, so that both can be moved together.
    """
    path = Path(path)
    blocks = []
    for name, entries in ((_DONE, edits), (_UNDONE, undone)):
        for edit in entries:
            lines = [f"{key} = {_toml(value)}" for key, value in to_table(edit, path.parent).items()]
            blocks.append("\n".join([f"[[{name}]]", *lines, ""]))
    write_text(path, "\n".join(blocks))


class EditHistory:
    """An edit list with undo and redo; both outlive the program, as the file keeps what was undone."""

    def __init__(
        self, edits: Sequence[Edit] = (), undone: Sequence[Edit] = (), path: Path | None = None
    ) -> None:
        self._done, self._undone = list(edits), list(undone)
        self.path = path
        """Where `save` writes it."""

    @staticmethod
    def open(path: Path | str) -> "EditHistory":
        """The history of a file; an empty one where there is no file yet.

        Raises:
            SpecError: The file is no edit list.
        """
        path = Path(path)
        if not path.exists():
            return EditHistory(path=path)
        return EditHistory(*_read(path), path)

    @property
    def edits(self) -> tuple[Edit, ...]:
        """What is done, in order."""
        return tuple(self._done)

    @property
    def undone(self) -> tuple[Edit, ...]:
        """What can be done again, the next one last."""
        return tuple(self._undone)

    def add(self, edit: Edit) -> None:
        """Does something new; what was undone is forgotten."""
        self._done.append(edit)
        self._undone.clear()

    def undo(self) -> Edit | None:
        """Takes the latest entry back and returns it; None where there is none."""
        return self._turn(self._done, self._undone)

    def redo(self) -> Edit | None:
        """Does again what was undone last and returns it; None where there is nothing."""
        return self._turn(self._undone, self._done)

    def save(self, path: Path | str | None = None) -> None:
        """Writes the list, at another place from now on where one is named.

        Raises:
            ValueError: No place was ever named.
        """
        self.path = self.path if path is None else Path(path)
        if self.path is None:
            raise ValueError("path: expected a place to write the list to, got none")
        write_edits(self.path, self._done, self._undone)

    @staticmethod
    def _turn(source: list[Edit], target: list[Edit]) -> Edit | None:
        if not source:
            return None
        target.append(source.pop())
        return target[-1]


def to_table(edit: Edit, folder: Path | None = None) -> dict[str, Any]:
    """An edit as it stands in a list; what is left at its default is left out.

    Args:
        edit: The edit.
        folder: Where the list is: paths below it are given from there.
    """
    told: dict[str, Any] = {"do": edit.do}
    for field in fields(edit):
        value = getattr(edit, field.name)
        if field.default is MISSING or value != field.default:
            told[_KEYS.get(field.name, field.name)] = _plain(value, folder)
    return told


def to_json(edit: Edit) -> dict[str, Any]:
    """An edit as JSON values."""
    return to_table(edit)


def told_in_one_line(edit: Edit) -> str:
    """An edit as a line of text: action, object, then the rest."""
    table = to_table(edit)
    words = [table.pop("do"), *(str(table.pop(key)) for key in ("object", "as") if key in table)]
    return " ".join([*words, *(f"{key} {value}" for key, value in table.items())])


def edit_from_table(entry: Any, place: str, folder: Path | None = None) -> Edit:
    """An edit of an entry's keys and values.

    Args:
        entry: The entry.
        place: How mistakes are located.
        folder: Where relative paths start; None leaves them alone.

    Raises:
        SpecError: An unknown key, action or value.
    """
    if not isinstance(entry, Mapping):
        raise SpecError(f"{place}: expected a table of keys, got {entry!r}")
    do = str(entry.get("do"))
    if do not in ACTIONS:
        raise SpecError(f"{place}: do: expected one of {', '.join(ACTIONS)}, got {do!r}")
    kind = ACTIONS[do]
    hints = get_type_hints(kind)
    by_key = {_KEYS.get(field.name, field.name): field for field in fields(kind)}
    unknown = set(entry) - set(by_key) - {"do"}
    if unknown:
        raise SpecError(f"{place}: unknown key {sorted(unknown)[0]!r}; {do} has {', '.join(by_key)}")
    values = {}
    for key, field in by_key.items():
        if key in entry:
            values[field.name] = _value(entry[key], hints[field.name], f"{place}: {key}", folder)
        elif field.default is MISSING:
            raise SpecError(f"{place}: {key}: expected {_told(hints[field.name])}, got nothing")
    try:
        return kind(**values)
    except ValueError as error:
        raise SpecError(f"{place}: {error}") from error


def _read(path: Path) -> tuple[tuple[Edit, ...], tuple[Edit, ...]]:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SpecError(f"{path}: the edit list cannot be read: {error}") from error
    lists = [content.pop(name, []) for name in (_DONE, _UNDONE)]
    if content or not all(isinstance(entries, list) for entries in lists):
        raise SpecError(f"{path}: expected entries [[edit]] only, got {', '.join(content) or 'no list'}")
    done, undone = (
        tuple(
            edit_from_table(entry, f"{path}: {name} {number + 1}", path.parent)
            for number, entry in enumerate(entries)
        )
        for name, entries in zip((_DONE, _UNDONE), lists, strict=True)
    )
    return done, undone


def _toml(value: Any) -> str:
    """A value on one line, so that a list reads as it is written by hand; floats keep every bit."""
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _plain(value: Any, folder: Path | None) -> Any:
    if isinstance(value, tuple):
        return [_plain(each, folder) for each in value]
    if isinstance(value, Path):
        whole = Path(os.path.abspath(value))
        if folder is not None and whole.is_relative_to(os.path.abspath(folder)):
            return whole.relative_to(os.path.abspath(folder)).as_posix()
        return str(value) if folder is None else str(whole)
    return value


def _value(value: Any, kind: Any, place: str, folder: Path | None) -> Any:
    """A TOML value as the type of its field."""
    if get_origin(kind) in (types.UnionType, Union):
        kind = next(each for each in get_args(kind) if each is not type(None))
    if get_origin(kind) is tuple and isinstance(value, list):
        each, *rest = get_args(kind)
        count = len(value) if rest == [...] else 1 + len(rest)
        with suppress(SpecError):  # the whole of it is told
            if len(value) == count:
                return tuple(_value(part, each, place, folder) for part in value)
    elif kind is bool and isinstance(value, bool):
        return value
    elif kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        if math.isfinite(value):
            return float(value)
    elif kind is str and isinstance(value, str) and value:
        return value
    elif kind is Path and isinstance(value, str) and value:
        return Path(value) if folder is None else folder / value
    raise SpecError(f"{place}: expected {_told(kind)}, got {value!r}")


def _told(kind: Any) -> str:
    """A type in words."""
    if get_origin(kind) is tuple:
        each, *rest = get_args(kind)
        if rest == [...]:
            return f"a list of {_told(each)}"
        return f"{('', '', 'two', 'three')[1 + len(rest)]} numbers"
    return {str: "a word", float: "a number", bool: "true or false"}.get(kind, "a path")
