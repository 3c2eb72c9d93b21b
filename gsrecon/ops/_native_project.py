"""Projection as a torch operation with its gradient, on the kernels of the tensors' device."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gsrecon.ops import _native
from gsrecon.ops._native import all_dense, fresh, pooled_like
from gsrecon.ops._once_differentiable import once_differentiable


class Projection(NamedTuple):
    """What `project` gives: see `RasterInfo`; `colors` [C, N, 3] is empty without harmonics."""

    means2d: Tensor
    radii: Tensor
    depths: Tensor
    conics: Tensor
    opacities: Tensor
    colors: Tensor


class Lens(NamedTuple):
    """Everything of a projection that is no tensor, in the order of the kernels' arguments."""

    width: int
    height: int
    model: str
    antialiased: bool
    near_plane: float
    far_plane: float
    radius_clip: float
    eps2d: float
    sh_degree: int
    """-1: no colours are made from harmonics."""


class _Project(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, lens: Lens, recording: bool, *inputs: Tensor | None) -> tuple[Tensor, ...]:
        tensors = all_dense(*inputs)
        out, seen = run_project(lens, tensors, recording and any(ctx.needs_input_grad))
        ctx.lens = lens
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(out.radii)
        ctx.save_for_backward(*tensors, seen)
        return tuple(out)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        *inputs, seen = ctx.saved_tensors
        v_means2d, _, *others = all_dense(*gradients)
        own = run_project_vjp(ctx.lens, inputs, seen, [v_means2d, *others], ctx.needs_input_grad[9])
        return None, None, *own[:6], None, own[6], None, None


def run_project(
    lens: Lens, inputs: Sequence[Tensor | None], with_gradients: bool
) -> tuple[Projection, Tensor | None]:
    """The kernel on dense inputs, in the order of `project`'s arguments.

    Returns:
        What it gives, and with gradients what they need to know of it, one byte [C, N] in place of radii and
        colours: see `kSeen` of `cuda/ops.h`.
    """
    means, poses = inputs[0], inputs[7]
    assert means is not None
    assert poses is not None
    cameras, gaussians = len(poses), len(means)
    harmonics = lens.sh_degree >= 0
    out = Projection(
        fresh(means, (cameras, gaussians, 2)),
        fresh(means, (cameras, gaussians, 2), torch.int32),
        fresh(means, (cameras, gaussians)),
        fresh(means, (cameras, gaussians, 3)),
        fresh(means, (cameras, gaussians)),
        fresh(means, (cameras if harmonics else 0, gaussians, 3)),
    )
    seen = fresh(means, (cameras, gaussians), torch.uint8) if with_gradients else None
    _native.kernels_for(means).project(*inputs, *lens, *out[:5], out.colors if harmonics else None, seen)
    return out, seen


def run_project_vjp(
    lens: Lens,
    inputs: Sequence[Tensor | None],
    seen: Tensor,
    gradients: Sequence[Tensor | None],
    with_poses: bool,
) -> list[Tensor | None]:
    """Its gradient: of the first six inputs and the poses, from those of all results but the radii."""
    harmonics = lens.sh_degree >= 0
    wanted = (*inputs[:4], *(inputs[4:6] if harmonics else (None, None)), inputs[7] if with_poses else None)
    own = [None if tensor is None else pooled_like(tensor) for tensor in wanted]
    v_colors = gradients[4] if harmonics else None
    _native.kernels_for(seen).project_vjp(*inputs, *lens, seen, *gradients[:4], v_colors, *own)
    return own


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

    Differentiable once in means, quats, scales, opacities, sh0, sh_rest and cam_from_object.
    """
    lens = Lens(
        width, height, model, antialiased, near_plane, far_plane, radius_clip, eps2d, sh_degree
    )  # fmt: skip
    tensors = (
        means, quats, scales, opacities, sh0, sh_rest, object_index, cam_from_object, Ks, distortion
    )  # fmt: skip
    return Projection(*_Project.apply(lens, torch.is_grad_enabled(), *tensors))
