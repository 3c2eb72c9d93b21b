"""Opens what other programs wrote: splat PLY, compressed PLY, SPZ, and coloured points."""

from pathlib import Path

import numpy as np
import torch

from gsrecon.errors import DatasetError
from gsrecon.gaussians.gaussians import Gaussians
from gsrecon.gaussians.packed import read_packed
from gsrecon.gaussians.ply import columns, gaussians_of, vertices_of
from gsrecon.geometry.spherical_harmonics import rgb_to_sh0
from gsrecon.ops.knn import mean_neighbour_distance

SUFFIXES = (".ply", ".spz")
"""Of the files that `read_splats` opens."""
_POINT_OPACITY = 0.95
_POINT_SCALE = 0.5
"""Standard deviation of a point's ball over the mean distance to its three nearest neighbours."""
_COLORS = (("red", "green", "blue"), ("r", "g", "b"), ("diffuse_red", "diffuse_green", "diffuse_blue"))


def read_splats(path: Path | str) -> Gaussians:
    """Reads Gaussians from a file of any of the known kinds.

    Points without Gaussians become small opaque balls of their colours, grey where they have none.

    Raises:
        DatasetError: The file is missing, damaged or of no known kind.
        BackendUnavailableError: A compressed file, and the extra that reads it is not installed.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise DatasetError(f"{path}: expected a file {' or '.join(SUFFIXES)}, got {suffix or 'no suffix'}")
    if suffix == ".spz":
        return read_packed(path)
    vertices = vertices_of(path)
    present = vertices.dtype.names or ()
    if "packed_position" in present:
        return read_packed(path)
    if {"x", "y", "z"} <= set(present) and not {"f_dc_0", "opacity", "scale_0"} & set(present):
        return _balls(vertices, path)
    return gaussians_of(vertices, path)


def _balls(vertices: np.ndarray, path: Path) -> Gaussians:
    points = torch.from_numpy(columns(vertices, ("x", "y", "z"), path))
    colors = torch.full_like(points, 0.5)
    for names in _COLORS:
        if all(name in (vertices.dtype.names or ()) for name in names):
            colors = torch.from_numpy(columns(vertices, names, path))
            kind = vertices.dtype[names[0]]
            colors = colors / (np.iinfo(kind).max if kind.kind in "iu" else 1.0)
            break
    finite = points.isfinite().all(dim=1) & colors.isfinite().all(dim=1)
    points, colors = points[finite], colors[finite]
    count = len(points)
    if count == 0:
        raise DatasetError(f"{path}: there is not one point in the file; name another")
    distance = mean_neighbour_distance(points) if count > 1 else torch.full((1,), 0.1)
    return Gaussians(
        means=points,
        quats=torch.tensor([1.0, 0.0, 0.0, 0.0]).repeat(count, 1),
        log_scales=(_POINT_SCALE * distance).clamp(1e-4, 1.0).log()[:, None].repeat(1, 3),
        logit_opacities=torch.full((count,), _POINT_OPACITY).logit(),
        sh0=rgb_to_sh0(colors.clamp(0, 1)),
        sh_rest=torch.zeros(count, 0, 3),
    )
