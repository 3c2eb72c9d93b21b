"""Gaussians in files that are made small by rounding: compressed PLY (PlayCanvas) and SPZ (Niantic).

The only module that imports gsply (the extra `splats`); the rounding is that of the formats themselves.

compressed PLY   256 Gaussians share one box: centres and log-scales 11-10-11 bits of it, colours and opacity
                 8 bits each, quaternions 10 bits an entry, harmonics 8 bits over [-4, 4].
SPZ, version 3   centres 24-bit fixed point, opacity 8 bits, log-scales 1/16 over [-10, 5.94], quaternions
                 10 bits an entry, harmonics 8 bits over [-1, 1]; gzip over all.

SPZ defines its axes as right, up, back, where splat PLYs are right, down, front by custom. Both are written
from the same Gaussians turned by half a turn about x, as the format's own converter does it.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gsrecon.errors import BackendUnavailableError, DatasetError
from gsrecon.files import written_aside
from gsrecon.gaussians.flatten import rotate_sh
from gsrecon.gaussians.gaussians import Gaussians
from gsrecon.gaussians.order import morton_order
from gsrecon.gaussians.resample import Resample
from gsrecon.geometry.rigid import quat_multiply

_MOST_COEFFICIENTS = 15
_SPZ_BITS = 12
"""Of 24, behind the binary point: 0.24 mm, as the format's own writer has it."""
_SPZ_SUFFIX = ".spz"


def write_compressed_ply(path: Path | str, gaussians: Gaussians) -> None:
    """Writes a compressed PLY, whole or not at all; Gaussians are put in order along a Morton curve.

    Args:
        path: File to write.
        gaussians: Raw parameters, all in one frame; harmonics above degree 3 are left out.

    Raises:
        BackendUnavailableError: The extra is not installed.
        DatasetError: There are none, which this format cannot say.
    """
    gsply = _gsply()
    if len(gaussians) == 0:
        raise DatasetError(f"{path}: there are no Gaussians to write in a compressed PLY; write a PLY")
    content = gsply.compress_to_bytes(_data(gsply, _prepared(gaussians)))
    with written_aside(Path(path)) as aside:
        aside.write_bytes(content)


def write_spz(path: Path | str, gaussians: Gaussians) -> None:
    """Writes an SPZ of version 3, whole or not at all; Gaussians are put in order along a Morton curve.

    Args:
        path: File to write.
        gaussians: Raw parameters, all in one frame; harmonics above degree 3 are left out.

    Raises:
        BackendUnavailableError: The extra is not installed.
    """
    gsply = _gsply()
    turned = _half_turn(_prepared(gaussians))
    bits = fractional_bits(turned.means)
    with written_aside(Path(path)) as aside:
        gsply.write_spz(aside, _data(gsply, turned), version=3, fractional_bits=bits)
        with open(aside, "r+b") as file:  # gzip's time of writing: the same scene gives the same file
            file.seek(4)
            file.write(bytes(4))


def fractional_bits(means: Float[Tensor, "N 3"]) -> int:
    """Bits behind the binary point with which the farthest centre still fits into SPZ's 24."""
    farthest = float(means.abs().max()) if len(means) else 0.0
    bits = _SPZ_BITS
    while bits > 1 and farthest >= 2 ** (23 - bits) - 1:
        bits -= 1
    return bits


def read_packed(path: Path | str) -> Gaussians:
    """Reads a compressed PLY or an SPZ (versions 2 to 4), by the file's suffix.

    Raises:
        BackendUnavailableError: The extra is not installed.
        DatasetError: The file is missing, truncated or of another kind.
    """
    path = Path(path)
    gsply = _gsply()
    is_spz = path.suffix.lower() == _SPZ_SUFFIX
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DatasetError(f"{path}: the file cannot be read: {error.strerror or error}") from error
    try:
        data = gsply.read_spz(path) if is_spz else gsply.decompress_from_bytes(content)
        gaussians = Gaussians(
            means=_tensor(data.means),
            quats=_tensor(data.quats),
            log_scales=_tensor(data.scales),
            logit_opacities=_tensor(data.opacities).reshape(-1),
            sh0=_tensor(data.sh0),
            sh_rest=_tensor(_rest(data)),
        )
    except Exception as error:  # the library tells a damaged file in many ways
        kind = "SPZ" if is_spz else "compressed PLY"
        raise DatasetError(
            f"{path}: damaged or not a file of the kind {kind} ({error}); copy or export it again"
        ) from error
    if not all(bool(tensor.isfinite().all()) for tensor in gaussians.named().values()):
        raise DatasetError(f"{path}: damaged: some values are not finite; copy or export it again")
    return _half_turn(gaussians) if is_spz else gaussians


def _gsply() -> Any:
    try:
        import gsply
    except ImportError as error:
        raise BackendUnavailableError(
            f"compressed PLY and SPZ need the package gsply ({error}): pip install 'gsrecon[splats]'"
        ) from error
    return gsply


def _data(gsply: Any, gaussians: Gaussians) -> Any:
    """The library's own form; that scales are logarithms and opacities log-odds is told: it guesses else."""
    names = ("means", "log_scales", "quats", "logit_opacities", "sh0", "sh_rest")
    arrays = [np.ascontiguousarray(getattr(gaussians, name).float().cpu().numpy()) for name in names]
    return gsply.GSData(*arrays, _format=gsply.create_ply_format(sh_degree=gaussians.sh_degree))


def _rest(data: Any) -> np.ndarray:
    """Harmonics of degrees 1.. as [N, K, 3]; the library has None where there are none."""
    if data.shN is None or np.size(data.shN) == 0:
        return np.zeros((len(data.means), 0, 3), np.float32)
    return np.asarray(data.shN, np.float32)


def _prepared(gaussians: Gaussians) -> Gaussians:
    """In an order in which neighbours are alike, with unit quaternions and harmonics up to degree 3."""
    ordered = gaussians.detached().resampled(Resample.keep(morton_order(gaussians.means)))
    return Gaussians(
        **{
            **ordered.named(),
            "quats": torch.nn.functional.normalize(ordered.quats, dim=-1),
            "sh_rest": ordered.sh_rest[:, :_MOST_COEFFICIENTS],
        }
    )


def _half_turn(gaussians: Gaussians) -> Gaussians:
    """Turned by 180 degrees about x; its own inverse."""
    turn = torch.diag(torch.tensor([1.0, -1.0, -1.0])).to(gaussians.means)
    about_x = torch.tensor([0.0, 1.0, 0.0, 0.0]).to(gaussians.means)
    return Gaussians(
        means=gaussians.means @ turn.T,
        quats=quat_multiply(about_x.expand(len(gaussians), 4), gaussians.quats),
        log_scales=gaussians.log_scales,
        logit_opacities=gaussians.logit_opacities,
        sh0=gaussians.sh0,
        sh_rest=rotate_sh(gaussians.sh_rest, turn),
    )


def _tensor(array: Any) -> Tensor:
    return torch.from_numpy(np.array(array, dtype=np.float32, order="C"))
