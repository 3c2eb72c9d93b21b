"""The compiled kernels around the rasterizer as torch operations: SSIM, a cube map behind a picture, Adam."""

import torch
from torch import Tensor

from gsrecon.ops import _native
from gsrecon.ops._native import arguments, pooled_like


@torch.library.custom_op("gsrecon::ssim", mutates_args=(), device_types=("cpu", "cuda"))
def _ssim(a: Tensor, b: Tensor, with_gradient: bool) -> tuple[Tensor, Tensor]:
    gradient = pooled_like(a if with_gradient else None, a)
    mean = a.new_empty(1)
    _native.kernels_for(a).ssim(*arguments(a, b), mean, gradient if with_gradient else None)
    return mean[0].clone(), gradient


def _ssim_setup(ctx, inputs, output) -> None:
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(output[1])
    ctx.save_for_backward(output[1])


def _ssim_backward(ctx, v_mean, _):
    (gradient,) = ctx.saved_tensors
    return None if v_mean is None else v_mean * gradient, None, None


_ssim.register_autograd(_ssim_backward, setup_context=_ssim_setup)


def ssim(image: Tensor, truth: Tensor) -> Tensor:
    """Mean structural similarity of pictures [B, H, W, C] float32; differentiable in `image` alone."""
    return _ssim(image, truth, torch.is_grad_enabled() and image.requires_grad)[0]


@torch.library.custom_op("gsrecon::cube_map", mutates_args=(), device_types=("cpu", "cuda"))
def _cube_map(
    image: Tensor,
    alpha: Tensor,
    texels: Tensor,
    directions: Tensor,
    world_from_cam: Tensor,
    least_light: float,
) -> Tensor:
    out = torch.empty_like(image, memory_format=torch.contiguous_format)
    _native.kernels_for(image).cube_map(
        *arguments(texels, directions, world_from_cam, alpha), least_light, *arguments(image), out
    )
    return out


@torch.library.custom_op("gsrecon::cube_map_vjp", mutates_args=(), device_types=("cpu", "cuda"))
def _cube_map_vjp(
    alpha: Tensor,
    texels: Tensor,
    directions: Tensor,
    world_from_cam: Tensor,
    least_light: float,
    v_out: Tensor,
) -> tuple[Tensor, Tensor]:
    v_alpha, v_texels = pooled_like(alpha), pooled_like(texels)
    _native.kernels_for(alpha).cube_map_vjp(
        *arguments(texels, directions, world_from_cam, alpha),
        least_light,
        *arguments(v_out),
        v_alpha,
        v_texels,
    )
    return v_alpha, v_texels


def _cube_map_setup(ctx, inputs, output) -> None:
    _, *tensors, ctx.least_light = inputs
    ctx.save_for_backward(*tensors)


def _cube_map_backward(ctx, v_out):
    v_alpha, v_texels = _cube_map_vjp(*ctx.saved_tensors, ctx.least_light, v_out)
    return v_out, v_alpha, v_texels, None, None, None


_cube_map.register_autograd(_cube_map_backward, setup_context=_cube_map_setup)


def cube_map(
    image: Tensor,
    alpha: Tensor,
    texels: Tensor,
    directions: Tensor,
    world_from_cam: Tensor,
    least_light: float,
) -> Tensor:
    """A picture [P, 3] with alpha [P] over a cube map [6, R, R, 3] seen along `directions` [P, 3].

    Differentiable in image, alpha and texels. See `ops/cube_map.py`.
    """
    return _cube_map(image, alpha, texels, directions, world_from_cam, least_light)


def adam_rows(
    gradients: Tensor,
    values: Tensor,
    first_moments: Tensor,
    second_moments: Tensor,
    *settings: float | Tensor | None,
) -> None:
    """One step of Adam in place, on [N, W] float32; `settings` as in `AdamSettings` of `cuda/ops.h`."""
    _native.kernels_for(values).adam_rows(
        *arguments(gradients), values, first_moments, second_moments, *settings
    )
