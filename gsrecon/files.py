"""Files that are either whole or not there: written aside, flushed to disk, renamed.

The only module that imports tomli_w.
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def written_aside(path: Path | str) -> Iterator[Path]:
    """Yields a neighbouring path to write to; takes the place of `path` when the block ends well.

    When the block raises (a full disk, Ctrl-C), the unfinished file is removed and a file that was at
    `path` before stays as it was. Folders above `path` are made.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix stays last: picture and video writers choose their format by it.
    aside = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        yield aside
        with open(aside, "rb") as file:
            os.fsync(file.fileno())
        os.replace(aside, path)
    except OSError as error:
        if error.filename is None or Path(error.filename) == aside:  # a full disk is told without a name
            error.filename = str(path)
        raise
    finally:
        aside.unlink(missing_ok=True)


def write_text(path: Path | str, text: str) -> None:
    """Writes UTF-8 text as a whole file."""
    with written_aside(path) as aside:
        aside.write_text(text, encoding="utf-8")


def toml_text(table: Mapping[str, Any]) -> str:
    """A table as TOML."""
    import tomli_w

    return tomli_w.dumps(table)


def plain_name(wanted: str, otherwise: str) -> str:
    """A name that a file or folder can have, and never a way out of its folder."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", wanted).strip(".-") or otherwise


def new_name(wanted: str, taken: set[str], otherwise: str) -> str:
    """A plain name that is not taken, with a number where it has to be; it is taken from now on.

    Args:
        wanted: What it should be called.
        taken: Names in lower case, because some file systems know no other; gets the new one.
        otherwise: What to call it where nothing of the name can stay.
    """
    plain = plain_name(wanted, otherwise)
    name, number = plain, 2
    while name.lower() in taken:
        name, number = f"{plain}-{number}", number + 1
    taken.add(name.lower())
    return name
