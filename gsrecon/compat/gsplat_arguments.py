"""Which calls of gsplat's `rasterization` are taken, and what is said about the others."""

from enum import Enum
from typing import Any, get_args

import torch
from torch import Tensor

from gsrecon.geometry.camera import CameraModel
from gsrecon.geometry.spherical_harmonics import MAX_DEGREE

RENDER_MODES = ("RGB", "D", "ED", "RGB+D", "RGB+ED")
CAMERA_MODELS: tuple[CameraModel, ...] = get_args(CameraModel)
_GSPLAT_CAMERA_MODELS = ("pinhole", "ortho", "fisheye", "ftheta")


class RollingShutterType(Enum):
    """gsplat's names for the order in which a picture's lines are exposed; only GLOBAL is drawn."""

    ROLLING_TOP_TO_BOTTOM = 0
    ROLLING_LEFT_TO_RIGHT = 1
    ROLLING_BOTTOM_TO_TOP = 2
    ROLLING_RIGHT_TO_LEFT = 3
    GLOBAL = 4


def refuse_unsupported(*, rolling_shutter: Any, **options: Any) -> None:
    """Check that options we do not have are off: None or False, the shutter GLOBAL.

    Raises:
        NotImplementedError: naming the first that is not, and its value.
    """
    for name, value in options.items():
        if value is not None and value is not False:
            raise _unsupported(name, value, f"leave it at {False if value is True else None}")
    if getattr(rolling_shutter, "name", rolling_shutter) != RollingShutterType.GLOBAL.name:
        raise _unsupported("rolling_shutter", rolling_shutter, "leave it at GLOBAL")


def check_arguments(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    colors: Tensor,
    viewmats: Tensor,
    Ks: Tensor,
    backgrounds: Tensor | None,
    *,
    sh_degree: int | None,
    tile_size: int,
    render_mode: str,
    camera_model: str,
) -> CameraModel:
    """Check shapes, types and names of modes; give the camera model.

    Raises:
        NotImplementedError: for batch dimensions and for gsplat's lens models that we do not have.
        ValueError: for everything else that does not fit, naming it.
    """
    if render_mode not in RENDER_MODES:
        raise ValueError(f"render_mode: expected one of {', '.join(RENDER_MODES)}, got {render_mode!r}")
    if camera_model not in CAMERA_MODELS:
        if camera_model in _GSPLAT_CAMERA_MODELS:
            raise _unsupported("camera_model", camera_model, f"use one of {', '.join(CAMERA_MODELS)}")
        raise ValueError(f"camera_model: expected one of {', '.join(CAMERA_MODELS)}, got {camera_model!r}")
    if tile_size < 1:
        raise ValueError(f"tile_size: expected at least 1 [px], got {tile_size}")
    if means.ndim > 2:
        raise _unsupported("batch dimensions of means", means, "draw one scene at a time, means [N, 3]")

    count, cameras = means.shape[0], viewmats.shape[0]
    channels = _check_colors(colors, cameras, count, sh_degree)
    expected = {
        "means": (means, (count, 3)),
        "quats": (quats, (count, 4)),
        "scales": (scales, (count, 3)),
        "opacities": (opacities, (count,)),
        "viewmats": (viewmats, (cameras, 4, 4)),
        "Ks": (Ks, (cameras, 3, 3)),
    }
    if backgrounds is not None and render_mode.startswith("RGB"):
        expected["backgrounds"] = (backgrounds, (cameras, channels))
    for name, (tensor, shape) in expected.items():
        if tensor.shape != shape:
            raise ValueError(f"{name}: expected {list(shape)}, got {list(tensor.shape)}")
    for name, tensor in {
        "colors": colors,
        **{name: tensor for name, (tensor, _) in expected.items()},
    }.items():
        if name not in ("viewmats", "Ks") and tensor.dtype != means.dtype:
            raise ValueError(f"{name}: expected {means.dtype} like means, got {tensor.dtype}")
        if tensor.device != means.device:
            raise ValueError(f"{name}: expected on {means.device} like means, got {tensor.device}")
    if means.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"means: expected float32 or float64, got {means.dtype}; convert with .float()")
    return camera_model


def _check_colors(colors: Tensor, cameras: int, count: int, sh_degree: int | None) -> int:
    """The number of channels that are drawn."""
    if sh_degree is None:
        shapes, inner, bands = "[N, D] or [C, N, D]", colors.ndim - 1, None
    else:
        shapes, inner, bands = "[N, K, 3] or [C, N, K, 3]", colors.ndim - 2, (sh_degree + 1) ** 2
    per_gaussian, per_camera = (count,), (cameras, count)
    if inner not in (1, 2) or colors.shape[:inner] != (per_gaussian if inner == 1 else per_camera):
        raise ValueError(
            f"colors: expected {shapes} with C = {cameras}, N = {count} for sh_degree = {sh_degree}, "
            f"got {list(colors.shape)}"
        )
    if sh_degree is None or bands is None:
        return colors.shape[-1]
    if not 0 <= sh_degree <= MAX_DEGREE:
        raise ValueError(f"sh_degree: expected None or 0 to {MAX_DEGREE}, got {sh_degree}")
    if colors.shape[-1] != 3 or colors.shape[-2] < bands:
        raise ValueError(
            f"colors: expected {shapes} with K of at least {bands} for sh_degree = {sh_degree}, "
            f"got {list(colors.shape)}"
        )
    return 3


def _unsupported(name: str, value: Any, remedy: str) -> NotImplementedError:
    shown = f"a tensor of shape {list(value.shape)}" if isinstance(value, Tensor) else repr(value)
    return NotImplementedError(f"{name}: not supported by gsrecon.compat.gsplat, got {shown}; {remedy}")
