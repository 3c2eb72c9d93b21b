"""A cube map behind a picture as a torch operation."""

from typing import Any

import torch
from torch import Tensor

from gsrecon.ops import _native
from gsrecon.ops._native import all_dense, dense, fresh, pooled_like
from gsrecon.ops._once_differentiable import once_differentiable


class _CubeMap(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        image: Tensor,
        alpha: Tensor,
        texels: Tensor,
        directions: Tensor,
        world_from_cam: Tensor,
        least_light: float,
    ) -> Tensor:
        inputs = all_dense(texels, directions, world_from_cam, alpha)
        out = fresh(image, image.shape)
        _native.kernels_for(image).cube_map(*inputs, least_light, dense(image), out)
        ctx.least_light = least_light
        ctx.save_for_backward(*inputs)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        inputs = ctx.saved_tensors
        v_texels, v_alpha = pooled_like(inputs[0]), pooled_like(inputs[3])
        _native.kernels_for(v_alpha).cube_map_vjp(
            *inputs, ctx.least_light, dense(gradients[0]), v_alpha, v_texels
        )
        return gradients[0], v_alpha, v_texels, None, None, None


def cube_map(
    image: Tensor,
    alpha: Tensor,
    texels: Tensor,
    directions: Tensor,
    world_from_cam: Tensor,
    least_light: float,
) -> Tensor:
    """A picture [P, 3] with alpha [P] over a cube map [6, R, R, 3] seen along `directions` [P, 3].

    Differentiable once in image, alpha and texels. See `ops/cube_map.py`.
    """
    tensors = (image, alpha, texels, directions, world_from_cam)
    return _CubeMap.apply(*tensors, least_light)  # pyright: ignore[reportReturnType] - one tensor
