"""Decoding lidar sweeps from the files that recordings keep them in."""

from pathlib import Path

import numpy as np
from jaxtyping import Float32

from gsrecon.data.ply_points import read_ply_points
from gsrecon.errors import DatasetError

_REMEDY = "copy the file again from its source or leave the sweep out"


def read_points(source: Path | np.ndarray) -> Float32[np.ndarray, "N 3"]:
    """Points in the lidar frame [m].

    Args:
        source: `.bin` (KITTI: float32 x, y, z, reflectance), `.pcd.bin` (nuScenes: a ring index more),
            `.npy` ([N, 3 or more]), `.ply` (vertices with x, y, z), or an array in memory.

    Raises:
        DatasetError: The file is missing, truncated, of an unknown kind or holds NaN or infinite points.
    """
    points = _decode(source)
    broken = int((~np.isfinite(points).all(axis=1)).sum())
    if broken:
        name = source if isinstance(source, Path) else "lidar sweep in memory"
        raise DatasetError(
            f"{name}: {broken} of {len(points)} lidar points are NaN or infinite; remove those rows or leave "
            "the sweep out"
        )
    return points


def _decode(source: Path | np.ndarray) -> Float32[np.ndarray, "N 3"]:
    if isinstance(source, np.ndarray):
        return _first_three_columns(source, "lidar sweep in memory")
    if not source.is_file():
        raise DatasetError(f"{source}: the lidar sweep is missing; {_REMEDY}")
    if source.name.endswith(".pcd.bin"):
        return _read_floats(source, columns=5)
    if source.suffix == ".bin":
        return _read_floats(source, columns=4)
    if source.suffix == ".npy":
        try:
            return _first_three_columns(np.load(source, allow_pickle=False), str(source))
        except (OSError, ValueError, EOFError) as error:
            raise DatasetError(f"{source}: the lidar sweep cannot be read ({error}); {_REMEDY}") from error
    if source.suffix == ".ply":
        return read_ply_points(source)
    raise DatasetError(
        f"{source}: unknown kind {source.suffix!r} of lidar sweep; save it as .npy, .ply or KITTI's .bin"
    )


def _read_floats(path: Path, columns: int) -> Float32[np.ndarray, "N 3"]:
    raw = path.read_bytes()
    if len(raw) % (4 * columns):
        raise DatasetError(
            f"{path}: the lidar sweep is truncated: {len(raw)} bytes are no multiple of {4 * columns} "
            f"({columns} float32 a point); {_REMEDY}"
        )
    return np.frombuffer(raw, dtype="<f4").reshape(-1, columns)[:, :3].astype(np.float32)


def _first_three_columns(array: np.ndarray, name: str) -> Float32[np.ndarray, "N 3"]:
    if array.ndim != 2 or array.shape[1] < 3 or array.dtype.kind not in "fiu":
        raise DatasetError(f"{name}: expected numbers [N, 3 or more], got {array.dtype} {list(array.shape)}")
    return np.ascontiguousarray(array[:, :3], dtype=np.float32)
