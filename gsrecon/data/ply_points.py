"""The vertices of a PLY file; faces, colours and other elements are passed over."""

from pathlib import Path

import numpy as np
from jaxtyping import Float32

from gsrecon.errors import DatasetError

_TYPES = {
    "char": "i1",
    "int8": "i1",
    "uchar": "u1",
    "uint8": "u1",
    "short": "i2",
    "int16": "i2",
    "ushort": "u2",
    "uint16": "u2",
    "int": "i4",
    "int32": "i4",
    "uint": "u4",
    "uint32": "u4",
    "float": "f4",
    "float32": "f4",
    "double": "f8",
    "float64": "f8",
}
_BYTE_ORDERS = {"binary_little_endian": "<", "binary_big_endian": ">", "ascii": "="}
_REMEDY = "save it again as PLY whose first element is 'vertex' with x, y and z"


def read_ply_points(path: Path) -> Float32[np.ndarray, "N 3"]:
    """Positions of the vertices, ascii or binary.

    Raises:
        DatasetError: The file is truncated or no PLY with vertices in front.
    """
    header, end, body = path.read_bytes().partition(b"end_header")
    lines = [line.split() for line in header.decode("ascii", errors="replace").splitlines()]
    try:
        if not end or lines[0] != ["ply"]:
            raise ValueError("no PLY header")
        order = _BYTE_ORDERS[next(line[1] for line in lines if line[:1] == ["format"])]
        elements = [line for line in lines if line[:1] == ["element"]]
        if elements[0][1] != "vertex":
            raise ValueError(f"the first element is {elements[0][1]!r}")
        count = int(elements[0][2])
        properties = _properties_of_first_element(lines)
        names = [name for name, _ in properties]
        body = body[body.index(b"\n") + 1 :]
        if order == "=":
            table = np.array(body.split()[: count * len(names)], dtype=np.float64).reshape(count, len(names))
            return np.stack([table[:, names.index(axis)] for axis in "xyz"], axis=1).astype(np.float32)
        layout = np.dtype([(name, order + kind) for name, kind in properties])
        vertices = np.frombuffer(body, dtype=layout, count=count)
        return np.stack([vertices[axis].astype(np.float32) for axis in "xyz"], axis=1)
    except (ValueError, KeyError, IndexError, StopIteration) as error:
        raise DatasetError(f"{path}: the point file cannot be read ({error}); {_REMEDY}") from error


def _properties_of_first_element(lines: list[list[str]]) -> list[tuple[str, str]]:
    """Names and numpy types, in file order."""
    first = next(i for i, line in enumerate(lines) if line[:1] == ["element"])
    found = []
    for line in lines[first + 1 :]:
        if line[:1] == ["element"]:
            break
        if line[:1] == ["property"]:
            found.append((line[-1], _TYPES[line[1]]))
    return found
