"""Projection as a torch operation with its gradient, on the kernels of the tensors' device."""

from typing import NamedTuple

import torch
from torch import Tensor

from gsrecon.ops import _native
from gsrecon.ops._native import arguments, contiguous, pooled_like


class Projection(NamedTuple):
    """What `project` gives: see `RasterInfo`; `colors` [C, N, 3] is empty without harmonics."""

    means2d: Tensor
    radii: Tensor
    depths: Tensor
    conics: Tensor
    opacities: Tensor
    colors: Tensor


@torch.library.custom_op("gsrecon::project", mutates_args=(), device_types=("cpu", "cuda"))
def _project(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    sh0: Tensor | None,
    sh_rest: Tensor | None,
    object_index: Tensor | None,
    cam_from_object: Tensor,
    Ks: Tensor,
    distortion: Tensor | None,
    width: int,
    height: int,
    model: str,
    antialiased: bool,
    near_plane: float,
    far_plane: float,
    radius_clip: float,
    eps2d: float,
    sh_degree: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    cameras, gaussians = len(cam_from_object), len(means)
    out = Projection(
        means.new_empty(cameras, gaussians, 2),
        means.new_empty(cameras, gaussians, 2, dtype=torch.int32),
        means.new_empty(cameras, gaussians),
        means.new_empty(cameras, gaussians, 3),
        means.new_empty(cameras, gaussians),
        means.new_empty(cameras if sh_degree >= 0 else 0, gaussians, 3),
    )
    _native.kernels_for(means).project(
        *arguments(
            means, quats, scales, opacities, sh0, sh_rest, object_index, cam_from_object, Ks, distortion
        ),
        width, height, model, antialiased, near_plane, far_plane, radius_clip, eps2d, sh_degree,
        *out[:5], out.colors if sh_degree >= 0 else None,
    )  # fmt: skip
    return out.means2d, out.radii, out.depths, out.conics, out.opacities, out.colors


@torch.library.custom_op("gsrecon::project_vjp", mutates_args=(), device_types=("cpu", "cuda"))
def _project_vjp(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    sh0: Tensor | None,
    sh_rest: Tensor | None,
    object_index: Tensor | None,
    cam_from_object: Tensor,
    Ks: Tensor,
    distortion: Tensor | None,
    width: int,
    height: int,
    model: str,
    antialiased: bool,
    near_plane: float,
    far_plane: float,
    radius_clip: float,
    eps2d: float,
    sh_degree: int,
    radii: Tensor,
    colors: Tensor,
    v_means2d: Tensor | None,
    v_depths: Tensor | None,
    v_conics: Tensor | None,
    v_out_opacities: Tensor | None,
    v_colors: Tensor | None,
    pose_gradient: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    harmonics = sh_degree >= 0
    v_means, v_quats, v_scales, v_opacities = (pooled_like(t) for t in (means, quats, scales, opacities))
    v_sh0, v_sh_rest = (pooled_like(t if harmonics else None, means) for t in (sh0, sh_rest))
    v_pose = pooled_like(cam_from_object if pose_gradient else None, means)
    _native.kernels_for(means).project_vjp(
        *arguments(
            means, quats, scales, opacities, sh0, sh_rest, object_index, cam_from_object, Ks, distortion
        ),
        width, height, model, antialiased, near_plane, far_plane, radius_clip, eps2d, sh_degree,
        radii, contiguous(colors) if harmonics else None,
        *arguments(v_means2d, v_depths, v_conics, v_out_opacities, v_colors if harmonics else None),
        v_means, v_quats, v_scales, v_opacities,
        *((v_sh0, v_sh_rest) if harmonics else (None, None)),
        v_pose if pose_gradient else None,
    )  # fmt: skip
    return v_means, v_quats, v_scales, v_opacities, v_sh0, v_sh_rest, v_pose


def _project_setup(ctx, inputs, output) -> None:
    tensors, ctx.options = inputs[:10], inputs[10:]
    radii, colors = output[1], output[5]
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(radii)
    ctx.save_for_backward(*tensors, radii, colors)


def _project_backward(ctx, v_means2d, _, v_depths, v_conics, v_opacities, v_colors):
    *tensors, radii, colors = ctx.saved_tensors
    *grads, v_sh0, v_sh_rest, v_pose = _project_vjp(
        *tensors, *ctx.options, radii, colors, v_means2d, v_depths, v_conics, v_opacities, v_colors,
        ctx.needs_input_grad[7],
    )  # fmt: skip
    harmonics = ctx.options[-1] >= 0
    return (
        *grads,
        v_sh0 if harmonics else None,
        v_sh_rest if harmonics else None,
        None,
        v_pose if ctx.needs_input_grad[7] else None,
        *(None,) * (2 + len(ctx.options)),
    )


_project.register_autograd(_project_backward, setup_context=_project_setup)


def project(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    sh0: Tensor | None,
    sh_rest: Tensor | None,
    object_index: Tensor | None,
    cam_from_object: Tensor,
    Ks: Tensor,
    distortion: Tensor | None,
    *,
    width: int,
    height: int,
    model: str,
    antialiased: bool,
    near_plane: float,
    far_plane: float,
    radius_clip: float,
    eps2d: float,
    sh_degree: int,
) -> Projection:
    """Project N Gaussians into C cameras; shapes as in `Splats`, `cam_from_object` [C, K, 4, 4] float32.

    Differentiable in means, quats, scales, opacities, sh0, sh_rest and cam_from_object.
    """
    return Projection(
        *_project(
            means, quats, scales, opacities, sh0, sh_rest, object_index, cam_from_object, Ks, distortion,
            width, height, model, antialiased, near_plane, far_plane, radius_clip, eps2d, sh_degree,
        )
    )  # fmt: skip
