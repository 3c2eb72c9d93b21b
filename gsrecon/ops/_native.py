"""The compiled rasterizer as torch operations: project, composite, inspect. Only this imports `gsrecon._C`.

Each operation allocates its results and hands pointers down. `project` and `composite` have gradients; they
are two operations so that `means2d` between them is a node of the graph.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from gsrecon.errors import BackendUnavailableError


def kernels():
    """The compiled module.

    Raises:
        BackendUnavailableError: when the extension is not built or does not load on this machine.
    """
    try:
        from gsrecon import _C  # pyright: ignore[reportAttributeAccessIssue] - compiled
    except ImportError as error:
        raise BackendUnavailableError(
            f"the compiled kernels do not load ({error}); install the package with `pip install .`"
        ) from error
    return _C


def cpu_isa() -> str:
    """The instruction set the CPU kernels run on: avx512, avx2 or baseline.

    Raises:
        BackendUnavailableError: when the extension does not load, or `GSRECON_CPU_ISA` names a set this
            processor lacks.
    """
    try:
        return kernels().cpu_isa()
    except RuntimeError as error:
        raise BackendUnavailableError(f"{error}; unset or change the variable") from error


_POOLED_FROM = 1 << 20
"""Floats from which a result's memory is pooled: 4 MiB."""


class Projection(NamedTuple):
    """What `project` gives: see `RasterInfo`; `colors` [C, N, 3] is empty without harmonics."""

    means2d: Tensor
    radii: Tensor
    depths: Tensor
    conics: Tensor
    opacities: Tensor
    colors: Tensor


class Composition(NamedTuple):
    """What `composite` gives: channels [C, H, W, D], alpha [C, H, W], and the tile lists behind them."""

    image: Tensor
    alpha: Tensor
    records: Tensor
    camera_records: Tensor
    tile_entries: Tensor
    entries: Tensor
    slot_entries: Tensor


@torch.library.custom_op("gsrecon::project", mutates_args=(), device_types="cpu")
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
        torch.empty(cameras, gaussians, 2, dtype=torch.int32),
        means.new_empty(cameras, gaussians),
        means.new_empty(cameras, gaussians, 3),
        means.new_empty(cameras, gaussians),
        means.new_empty(cameras if sh_degree >= 0 else 0, gaussians, 3),
    )
    kernels().project(
        *arguments(
            means, quats, scales, opacities, sh0, sh_rest, object_index, cam_from_object, Ks, distortion
        ),
        width, height, model, antialiased, near_plane, far_plane, radius_clip, eps2d, sh_degree,
        *out[:5], out.colors if sh_degree >= 0 else None,
    )  # fmt: skip
    return out.means2d, out.radii, out.depths, out.conics, out.opacities, out.colors


@torch.library.custom_op("gsrecon::project_vjp", mutates_args=(), device_types="cpu")
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
    kernels().project_vjp(
        *arguments(
            means, quats, scales, opacities, sh0, sh_rest, object_index, cam_from_object, Ks, distortion
        ),
        width, height, model, antialiased, near_plane, far_plane, radius_clip, eps2d, sh_degree,
        radii, colors if harmonics else None,
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


@torch.library.custom_op("gsrecon::composite", mutates_args=(), device_types="cpu")
def _composite(
    means2d: Tensor,
    radii: Tensor,
    depths: Tensor,
    conics: Tensor,
    opacities: Tensor,
    colors: Tensor,
    absgrad_probe: Tensor | None,
    width: int,
    height: int,
    with_depth: bool,
    with_gradients: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    module = kernels()
    cameras, gaussians = depths.shape
    tiles = -(-width // module.tile_size) * -(-height // module.tile_size)
    projected = arguments(means2d, radii, depths, conics, opacities, colors)
    records = means2d.new_empty(cameras * gaussians, module.record_floats)
    camera_records = torch.empty(cameras + 1, dtype=torch.int64)
    tiler = module.Tiler()
    count = tiler.count(*projected, width, height, with_depth, records, camera_records)
    tile_entries = torch.empty(cameras * tiles + 1, dtype=torch.int64)
    entries = torch.empty(count, dtype=torch.int32)
    slot_entries = torch.empty(count if with_gradients else 0, dtype=torch.int32)
    tiler.fill(tile_entries, entries, slot_entries if with_gradients else None)
    image = means2d.new_empty(cameras, height, width, colors.shape[-1] + with_depth)
    alpha = means2d.new_empty(cameras, height, width)
    module.composite(
        *projected, width, height, with_depth, records, camera_records, tile_entries, entries, image, alpha
    )
    return image, alpha, records, camera_records, tile_entries, entries, slot_entries


@torch.library.custom_op("gsrecon::composite_vjp", mutates_args=(), device_types="cpu")
def _composite_vjp(
    means2d: Tensor,
    radii: Tensor,
    depths: Tensor,
    conics: Tensor,
    opacities: Tensor,
    colors: Tensor,
    image: Tensor,
    alpha: Tensor,
    records: Tensor,
    camera_records: Tensor,
    tile_entries: Tensor,
    entries: Tensor,
    slot_entries: Tensor,
    v_image: Tensor | None,
    v_alpha: Tensor | None,
    width: int,
    height: int,
    with_depth: bool,
    absgrad: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    v_means2d, v_conics, v_opacities, v_colors = (
        pooled_like(t) for t in (means2d, conics, opacities, colors)
    )
    v_depths = pooled_like(depths if with_depth else None, means2d)
    v_absolute = pooled_like(means2d if absgrad else None, means2d)
    kernels().composite_vjp(
        *arguments(means2d, radii, depths, conics, opacities, colors), width, height, with_depth,
        records, camera_records, tile_entries, entries, slot_entries, image, alpha,
        _contiguous(v_image), _contiguous(v_alpha), v_means2d, v_conics, v_opacities, v_colors,
        v_depths if with_depth else None, v_absolute if absgrad else None,
    )  # fmt: skip
    return v_means2d, v_conics, v_opacities, v_colors, v_depths, v_absolute


def _composite_setup(ctx, inputs, output) -> None:
    *tensors, probe, ctx.width, ctx.height, ctx.with_depth, _ = inputs
    ctx.absgrad = probe is not None
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(*output[2:])
    ctx.save_for_backward(*tensors, *output)


def _composite_backward(ctx, v_image, v_alpha, *_):
    v_means2d, v_conics, v_opacities, v_colors, v_depths, v_absolute = _composite_vjp(
        *ctx.saved_tensors, v_image, v_alpha, ctx.width, ctx.height, ctx.with_depth, ctx.absgrad
    )
    return (
        v_means2d, None, v_depths if ctx.with_depth else None, v_conics, v_opacities, v_colors,
        v_absolute if ctx.absgrad else None, None, None, None, None,
    )  # fmt: skip


_composite.register_autograd(_composite_backward, setup_context=_composite_setup)


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


def composite(
    projection: Projection,
    colors: Tensor,
    absgrad_probe: Tensor | None,
    *,
    width: int,
    height: int,
    with_depth: bool,
) -> Composition:
    """Blend projected Gaussians; colors [C or 1, N, D]; `with_depth` appends sum(w z) as channel D + 1.

    Differentiable in means2d, depths, conics, opacities and colors; the gradient of `absgrad_probe` [C, N, 2]
    is the sum over pixels of |dL/dmeans2d|.
    """
    inputs = (*projection[:5], colors, absgrad_probe)
    with_gradients = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in inputs)
    return Composition(*_composite(*inputs, width, height, with_depth, with_gradients))


@torch.no_grad()
def inspect(
    projection: Projection,
    colors: Tensor,
    composition: Composition,
    object_index: Tensor | None,
    *,
    width: int,
    height: int,
    with_depth: bool,
    ids: bool,
    median_depth: bool,
) -> tuple[Tensor | None, Tensor | None]:
    """The object with the most blend weight and the median depth of every pixel, [C, H, W] each, or None."""
    shape = composition.alpha.shape
    id_picture = torch.empty(shape, dtype=torch.int32) if ids else None
    depth_picture = composition.alpha.new_empty(shape) if median_depth else None
    kernels().inspect(
        *arguments(*projection[:5], colors), width, height, with_depth,
        *(t.detach() for t in composition[2:6]), object_index, id_picture, depth_picture,
    )  # fmt: skip
    return id_picture, depth_picture


def pooled_like(tensor: Tensor | None, other: Tensor | None = None) -> Tensor:
    """Memory for the gradient of a tensor; of None, an empty tensor like `other`.

    Large arrays come from a pool: the system would clear the pages of fresh memory, which takes longer than
    the work done in them.
    """
    if tensor is None:
        assert other is not None
        return other.new_empty(0)
    if tensor.numel() >= _POOLED_FROM:
        return torch.from_numpy(kernels().pooled(tensor.numel())).view(tensor.shape)
    return torch.empty_like(tensor, memory_format=torch.contiguous_format)


def _contiguous(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.detach().contiguous()


def arguments(*tensors: Tensor | None) -> list[Tensor | None]:
    """Tensors as the extension takes them: dense, without gradients."""
    return [_contiguous(tensor) for tensor in tensors]
