"""The compiled kernels of a recording's corrections as torch operations: cameras, exposure, penalties."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from gsrecon.ops import _native
from gsrecon.ops._native import all_dense, dense, fresh, pooled_like
from gsrecon.ops._once_differentiable import once_differentiable
from gsrecon.ops.between import Between


class _RigCamera(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, camera: Sequence[Any], *corrections: Tensor) -> Tensor:
        tables = all_dense(*corrections)
        viewmats = fresh(tables[0], (1, 4, 4))
        _native.kernels_for(viewmats).rig_camera(*tables, *camera, viewmats)
        ctx.camera = camera
        ctx.save_for_backward(*tables)
        return viewmats

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        tables = ctx.saved_tensors
        own = [fresh(table, table.shape) for table in tables]
        _native.kernels_for(own[0]).rig_camera_vjp(*tables, *ctx.camera, dense(gradients[0]), *own)
        return None, *own


def rig_camera(
    rig_translations: Tensor,
    rig_rotations: Tensor,
    camera_translations: Tensor,
    camera_rotations: Tensor,
    number: int,
    knots: Between,
    ego_from_cam: list[float],
    world_from_cam: list[float],
) -> Tensor:
    """`cam_from_world` [1, 4, 4] of a corrected camera, from matrices row by row. See `ops/rig_camera.py`.

    Differentiable once in the four tables, float32.
    """
    camera = (number, knots, ego_from_cam, world_from_cam)
    tables = (rig_translations, rig_rotations, camera_translations, camera_rotations)
    return _RigCamera.apply(camera, *tables)  # pyright: ignore[reportReturnType] - one tensor


class _Se3Exps(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tangents: Tensor) -> Tensor:
        tangents = tangents.contiguous()
        motions = fresh(tangents, (len(tangents), 4, 4))
        _native.kernels_for(motions).se3_exps(tangents, motions)
        ctx.save_for_backward(tangents)
        return motions

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor]:
        (tangents,) = ctx.saved_tensors
        own = fresh(tangents, tangents.shape)
        _native.kernels_for(own).se3_exps_vjp(tangents, dense(gradients[0]), own)
        return (own,)


def se3_exps(tangents: Tensor) -> Tensor:
    """Rigid motions [N, 4, 4] of tangent vectors [N, 6], float64; differentiable once."""
    return _Se3Exps.apply(tangents)  # pyright: ignore[reportReturnType] - one tensor


class _Exposure(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        image: Tensor,
        camera_values: Tensor,
        picture_values: Tensor,
        camera: int,
        pictures: Between | None,
    ) -> Tensor:
        inputs = all_dense(image, camera_values, picture_values)
        out = fresh(inputs[0], inputs[0].shape)
        _native.kernels_for(out).exposure(*inputs, camera, pictures, out)
        ctx.rows = (camera, pictures)
        ctx.save_for_backward(*inputs)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        inputs = ctx.saved_tensors
        v_image = pooled_like(inputs[0]) if ctx.needs_input_grad[0] else None
        v_tables = [fresh(table, table.shape) for table in inputs[1:]]
        _native.kernels_for(v_tables[0]).exposure_vjp(
            *inputs, *ctx.rows, dense(gradients[0]), v_image, *v_tables
        )
        return v_image, *v_tables, None, None


def exposure(
    image: Tensor, camera_values: Tensor, picture_values: Tensor, camera: int, pictures: Between | None
) -> Tensor:
    """A picture [P, 3] with the exposure of a camera, float32. See `ops/exposure.py`.

    Differentiable once in image and tables.
    """
    tensors = (image, camera_values, picture_values)
    return _Exposure.apply(*tensors, camera, pictures)  # pyright: ignore[reportReturnType] - one tensor


class _MeanSquares(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weights: Sequence[float], *tables: Tensor) -> Tensor:
        inputs = all_dense(*tables)
        total = fresh(inputs[0], (1,))
        _native.kernels_for(total).mean_squares(inputs, weights, total)
        ctx.weights = weights
        ctx.save_for_backward(*inputs)
        return total[0]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        tables = list(ctx.saved_tensors)
        own = [fresh(table, table.shape) for table in tables]
        _native.kernels_for(own[0]).mean_squares_vjp(tables, ctx.weights, gradients[0].reshape(1), own)
        return None, *own


def mean_squares(tables: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """The sum of weight * mean(table^2) over up to eight tables, float32; differentiable once in them."""
    return _MeanSquares.apply(weights, *tables)  # pyright: ignore[reportReturnType] - one tensor
