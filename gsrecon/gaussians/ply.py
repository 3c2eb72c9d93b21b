"""Gaussians as PLY files in the layout of 3D Gaussian Splatting, which every splat viewer reads.

One vertex per Gaussian, float32: x y z, nx ny nz (zeros), f_dc_0..2, f_rest_* (channel-major: all
coefficients of red, then green, then blue), opacity (logit), scale_0..2 (log), rot_0..3 (wxyz).
Source: Kerbl et al., 3D Gaussian Splatting, 2023, `GaussianModel.save_ply`.

The only module that imports plyfile (GPL-3.0).
"""

import io
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gsrecon.errors import DatasetError
from gsrecon.files import written_aside
from gsrecon.gaussians.gaussians import Gaussians

_IN_WORLD = "frame: world, metric [m], z up"
_ORIGIN = "source_from_world "
_UNIT = 1e-6
"""Quaternions whose length differs from 1 by at most this are written as they are: a file that is read and
written again stays the same to the bit."""
_MOST_LOG_ODDS = 20.0
"""Opacities of 0 and 1 are infinite log-odds in the files of some programs."""
_DISC_THICKNESS = 0.01
"""Of a disc over its smaller radius."""
_REST_COUNTS = {0: 0, 9: 3, 24: 8, 45: 15, 72: 24}


def write_ply(
    path: Path | str,
    gaussians: Gaussians,
    source_from_world: Float[Tensor, "4 4"] | None = None,
    comments: Sequence[str] = (_IN_WORLD,),
) -> None:
    """Writes Gaussians in one frame as a splat PLY (binary, little endian), whole or not at all.

    Args:
        path: File to write.
        gaussians: Raw parameters, all in one frame.
        source_from_world: Kept as a comment of the file, in full precision, so that the recording's own
            coordinates can be restored.
        comments: One line each; say in which frame the Gaussians are.
    """
    with written_aside(Path(path)) as aside:
        aside.write_bytes(ply_bytes(gaussians, source_from_world, comments))


def ply_bytes(
    gaussians: Gaussians,
    source_from_world: Float[Tensor, "4 4"] | None = None,
    comments: Sequence[str] = (_IN_WORLD,),
) -> bytes:
    """What `write_ply` writes."""
    from plyfile import PlyData, PlyElement

    with torch.no_grad():
        rest = gaussians.sh_rest.transpose(1, 2).flatten(1)
        columns = [
            gaussians.means,
            torch.zeros_like(gaussians.means),
            gaussians.sh0,
            rest,
            gaussians.logit_opacities[:, None],
            gaussians.log_scales,
            _unit(gaussians.quats),
        ]
        table = torch.cat(columns, dim=1).float().cpu().contiguous().numpy()
    names = _property_names(rest.shape[1])
    vertices = table.view([(name, "<f4") for name in names])[:, 0]
    told = [*comments, f"written by gsrecon, {len(vertices)} Gaussians"]
    if source_from_world is not None:
        told.append(_ORIGIN + " ".join(repr(v) for v in source_from_world.double().flatten().tolist()))
    content = PlyData([PlyElement.describe(vertices, "vertex")], byte_order="<", comments=told)
    buffer = io.BytesIO()
    content.write(buffer)
    return buffer.getvalue()


def read_ply(path: Path | str) -> Gaussians:
    """Reads a splat PLY of any spherical-harmonics degree, 0 to 4; without f_rest_* the degree is 0.

    ASCII or binary of either byte order, any number type, further properties and elements are left out. Discs
    (scale_0 and scale_1 only) get a thickness of a hundredth of their smaller radius.

    Raises:
        DatasetError: The file is missing, truncated, not a PLY, or not one of Gaussians.
    """
    return gaussians_of(vertices_of(path), path)


def gaussians_of(vertices: np.ndarray, path: Path | str) -> Gaussians:
    """Gaussians from the vertices of a splat PLY.

    Raises:
        DatasetError: The vertices are not Gaussians, or have values that are not finite.
    """
    present = vertices.dtype.names or ()
    rest_count = sum(name.startswith("f_rest_") for name in present)
    if "packed_position" in present:
        raise DatasetError(
            f"{path}: a compressed PLY; open it with gsrecon.gaussians.splat_files.read_splats"
        )
    if rest_count not in _REST_COUNTS:
        raise DatasetError(
            f"{path}: expected 0, 9, 24, 45 or 72 properties f_rest_*, got {rest_count}; not a splat PLY"
        )
    flat = "scale_1" in present and "scale_2" not in present
    needed = [name for name in _property_names(rest_count) if name not in ("nx", "ny", "nz")]
    if flat:
        needed.remove("scale_2")
    missing = [name for name in needed if name not in present]
    if missing:
        raise DatasetError(
            f"{path}: property '{missing[0]}' is missing ({len(missing)} of {len(needed)}); "
            "a point cloud is not a splat PLY: use a file written by `gsrecon export` or a splat trainer"
        )
    table = torch.from_numpy(columns(vertices, needed, path))
    opacity = needed.index("opacity")
    table[:, opacity] = table[:, opacity].clamp(-_MOST_LOG_ODDS, _MOST_LOG_ODDS)
    if not bool(torch.isfinite(table).all()):
        bad = int((~torch.isfinite(table)).any(dim=1).sum())
        raise DatasetError(f"{path}: {bad} Gaussians have values that are not finite; write the file again")
    sizes = [3, 3, rest_count, 1, 2 if flat else 3, 4]
    means, sh0, rest, logit_opacities, log_scales, quats = (
        part.contiguous() for part in table.split(sizes, dim=1)
    )
    if flat:
        thickness = log_scales.amin(dim=1, keepdim=True) + math.log(_DISC_THICKNESS)
        log_scales = torch.cat([log_scales, thickness], dim=1)
    unturned = (quats == 0).all(dim=1)
    quats[unturned, 0] = 1.0
    return Gaussians(
        means=means,
        quats=quats,
        log_scales=log_scales,
        logit_opacities=logit_opacities[:, 0],
        sh0=sh0,
        sh_rest=rest.reshape(len(rest), 3, _REST_COUNTS[rest_count]).transpose(1, 2).contiguous(),
    )


def columns(vertices: np.ndarray, names: Sequence[str], path: Path | str) -> np.ndarray:
    """Some properties of vertices as float32 [N, P].

    Raises:
        DatasetError: One of them is a list.
    """
    for name in names:
        if vertices.dtype[name].kind not in "fiu":
            raise DatasetError(f"{path}: property '{name}' is no number; not a splat PLY")
    with np.errstate(over="ignore"):  # what float32 cannot hold is infinite, and told as such
        return np.stack([np.asarray(vertices[name]).astype(np.float32) for name in names], axis=1)


def comments_of(path: Path | str) -> list[str]:
    """The comments in the head of a PLY.

    Raises:
        DatasetError: The file is missing, truncated or not a PLY.
    """
    return list(_ply(Path(path)).comments)


def read_source_from_world(path: Path | str) -> Float[Tensor, "4 4"] | None:
    """The recording's coordinates as kept in a PLY that gsrecon wrote (float64); None if absent."""
    for comment in _ply(Path(path)).comments:
        if comment.startswith(_ORIGIN):
            values = [float(v) for v in comment.removeprefix(_ORIGIN).split()]
            return torch.tensor(values, dtype=torch.float64).reshape(4, 4)
    return None


def _unit(quats: Float[Tensor, "N 4"]) -> Float[Tensor, "N 4"]:
    """Of length 1, as viewers want them."""
    lengths = quats.norm(dim=-1, keepdim=True)
    return torch.where((lengths - 1).abs() <= _UNIT, quats, quats / lengths.clamp_min(1e-12))


def _property_names(rest_count: int) -> list[str]:
    return [
        *("x", "y", "z", "nx", "ny", "nz"),
        *(f"f_dc_{k}" for k in range(3)),
        *(f"f_rest_{k}" for k in range(rest_count)),
        "opacity",
        *(f"scale_{k}" for k in range(3)),
        *(f"rot_{k}" for k in range(4)),
    ]


def vertices_of(path: Path | str) -> np.ndarray:
    """The element `vertex` of a PLY, a field for each property.

    Raises:
        DatasetError: The file is missing, truncated, not a PLY, or has no vertices.
    """
    content = _ply(Path(path))
    if "vertex" not in content:
        raise DatasetError(f"{path}: no element 'vertex'; not a splat PLY")
    return content["vertex"].data


def _ply(path: Path):
    from plyfile import PlyData, PlyParseError

    try:
        return PlyData.read(str(path))
    except OSError as error:
        raise DatasetError(f"{path}: the PLY file cannot be read: {error.strerror or error}") from error
    except (PlyParseError, ValueError, TypeError, KeyError, OverflowError, MemoryError) as error:
        raise DatasetError(f"{path}: damaged or not a PLY file ({error}); copy or export it again") from error
