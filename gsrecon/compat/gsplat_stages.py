"""The stages behind gsplat's interface: project, pack, colour, blend.

float32 runs on the compiled kernels, everything else on the reference.
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int32, Int64
from torch import Tensor

from gsrecon.geometry.camera import CameraModel
from gsrecon.geometry.spherical_harmonics import eval_sh
from gsrecon.ops import _native_composite, _native_project, reference
from gsrecon.ops._native_composite import Channels
from gsrecon.ops._native_project import Projection
from gsrecon.ops.masking import where
from gsrecon.ops.settings import RasterizeSettings


@dataclass(frozen=True)
class Packing:
    """Which pairs of camera and Gaussian are visible: by camera, then by Gaussian."""

    camera_ids: Int64[Tensor, " nnz"]
    gaussian_ids: Int64[Tensor, " nnz"]
    counts: list[int]
    """How many there are in each camera."""

    def rows(self, values: Tensor) -> Tensor:
        """The visible rows [nnz, ...] of [C, N, ...], or of [1, N, ...], the same in every camera."""
        index = self.gaussian_ids
        if len(values) > 1:
            index = index + self.camera_ids * values.shape[1]
        return values.flatten(0, 1).index_select(0, index)

    def per_camera(self, rows: Tensor | None) -> list[Any]:
        """Rows [nnz, ...] of each camera as [1, n, ...]; None for each where there are none."""
        if rows is None:
            return [None] * len(self.counts)
        return [part[None] for part in rows.split(self.counts)]

    def rows_of(self, seen: Projection) -> Projection:
        """The visible rows of everything."""
        return Projection(*(self.rows(part) if len(part) else part for part in seen))


def pack(radii: Int32[Tensor, "C N 2"]) -> Packing:
    """The pairs whose radii are not zero."""
    visible = _visible(radii)
    camera_ids, gaussian_ids = visible.nonzero(as_tuple=True)
    return Packing(camera_ids, gaussian_ids, visible.sum(dim=1).tolist())


def project(
    means: Float[Tensor, "N 3"],
    quats: Float[Tensor, "N 4"],
    scales: Float[Tensor, "N 3"],
    opacities: Float[Tensor, " N"],
    harmonics: Float[Tensor, "N K 3"] | Float[Tensor, "C N K 3"] | None,
    viewmats: Float[Tensor, "C 4 4"],
    Ks: Float[Tensor, "C 3 3"],
    width: int,
    height: int,
    model: CameraModel,
    settings: RasterizeSettings,
) -> Projection:
    """What each camera sees of each Gaussian; `colors` [C, N, 3] where there are harmonics, else empty.

    Raises:
        BackendUnavailableError: when no backend draws tensors of this type on this device.
    """
    poses = reference.compose_poses(viewmats, None)
    degree = -1 if harmonics is None or settings.sh_degree is None else settings.sh_degree
    if not _is_native(means):
        seen = reference.project(
            means, quats, scales, opacities, poses, None, Ks, width, height, settings, model
        )  # fmt: skip
        colors = means.new_empty(0, len(means), 3)
        if harmonics is not None:
            colors = _harmonic_colors(harmonics, seen.directions, degree)
        return Projection(seen.means2d, seen.radii, seen.depths, seen.conics, seen.opacities, colors)

    shared = harmonics if harmonics is not None and harmonics.ndim == 3 else None
    seen = _native_project.project(
        means,
        quats,
        scales,
        opacities,
        None if shared is None else shared[:, 0],
        None if shared is None else shared[:, 1 : (degree + 1) ** 2],
        None,
        poses.float(),
        Ks.float(),
        None,
        width=width,
        height=height,
        model=model,
        antialiased=settings.mode == "antialiased",
        near_plane=settings.near_plane,
        far_plane=settings.far_plane,
        radius_clip=settings.radius_clip,
        eps2d=settings.eps2d,
        sh_degree=-1 if shared is None else degree,
    )
    if harmonics is not None and shared is None:
        rotations, translations = poses[:, 0, :3, :3], poses[:, 0, :3, 3]
        centres = -(rotations.transpose(1, 2) @ translations[..., None])[..., 0].to(means.dtype)
        directions = where(_visible(seen.radii), means - centres[:, None], 0.0)
        seen = seen._replace(colors=_harmonic_colors(harmonics, directions, degree))
    return seen


def colors_seen(
    seen: Projection, colors: Tensor | None, packing: Packing | None, wanted: bool
) -> Float[Tensor, "#C N D"] | Float[Tensor, "nnz D"]:
    """The channels to blend: those of the harmonics, or plain `colors` in the layout of `seen`.

    Args:
        seen: What `project` gave, packed or not.
        colors: Plain values [N, D] or [C, N, D]; None where there are harmonics.
        packing: Which rows are packed; None: none, the layout is [C or 1, N, D].
        wanted: False gives D = 0.
    """
    if not wanted:
        return seen.means2d.new_empty(*(seen.means2d.shape[:-1] if packing else (1, seen.depths.shape[1])), 0)
    if colors is None:
        return seen.colors
    colors = colors if colors.ndim == 3 else colors[None]
    return colors if packing is None else packing.rows(colors)


def composite(
    seen: Projection,
    colors: Float[Tensor, "#C N D"] | Float[Tensor, "nnz D"],
    probe: Tensor | None,
    packing: Packing | None,
    width: int,
    height: int,
    with_depth: bool,
) -> tuple[Float[Tensor, "C H W X"], Float[Tensor, "C H W 1"]]:
    """Blend front to back: channels, sum(w z) behind them with `with_depth`, and alpha.

    Args:
        seen: What `project` gave, packed or not.
        colors: Channels in the same layout.
        probe: Zeros like `means2d`; its gradient becomes the sum over pixels of |dL/dmeans2d|.
        packing: Which rows are packed: each camera blends its own, so that they lie on the way of the
            gradient; None: [C, N, ...].
        width: Picture width [px].
        height: Picture height [px].
        with_depth: Append the channel of depths.
    """
    if packing is None:
        parts = [(seen, colors, probe)]
    else:
        columns = [packing.per_camera(rows) for rows in (*seen[:5], colors, probe)]
        nothing = seen.means2d.new_empty(0)
        parts = [
            (Projection._make((*row, nothing)), row_colors, row_probe)
            for *row, row_colors, row_probe in zip(*columns, strict=True)
        ]
    blend = _composite_native if _is_native(seen.means2d) else _composite_reference
    pictures = [blend(*part, width, height, with_depth) for part in parts]
    if len(pictures) == 1:
        image, alpha = pictures[0]
    else:
        image, alpha = (torch.cat(part) for part in zip(*pictures, strict=True))
    return image, alpha[..., None]


def _composite_native(
    seen: Projection, colors: Tensor, probe: Tensor | None, width: int, height: int, with_depth: bool
) -> tuple[Tensor, Tensor]:
    channels = Channels(colors.shape[-1] + with_depth, with_depth, appended=with_depth)
    blended = _native_composite.composite(seen, colors, probe, channels, width=width, height=height)
    return blended.image, blended.alpha


def _composite_reference(
    seen: Projection, colors: Tensor, probe: Tensor | None, width: int, height: int, with_depth: bool
) -> tuple[Tensor, Tensor]:
    """Channels go through the reference as features, which it takes per Gaussian: camera by camera."""
    cameras, gaussians = seen.depths.shape
    colors = colors.expand(cameras, -1, -1)
    if with_depth:
        colors = torch.cat([colors, seen.depths[..., None]], dim=-1)
    nothing = colors.new_zeros(1, gaussians, 3)
    images, alphas = [], []
    for c in range(cameras):
        here = slice(c, c + 1)
        blended = reference.composite(
            reference.Projected(
                seen.means2d[here],
                seen.radii[here],
                seen.depths[here],
                seen.conics[here],
                seen.opacities[here],
                directions=nothing,
            ),
            nothing,
            width,
            height,
            RasterizeSettings(depth=False),
            features=colors[c],
            absgrad_probe=None if probe is None else probe[here],
        )
        images.append(blended.features)
        alphas.append(blended.alpha)
    return torch.cat(images), torch.cat(alphas)


def _harmonic_colors(
    harmonics: Float[Tensor, "*any K 3"], directions: Float[Tensor, "C N 3"], degree: int
) -> Float[Tensor, "C N 3"]:
    values = eval_sh(harmonics[..., 0, :], harmonics[..., 1:, :], directions, degree)
    return (values + 0.5).clamp_min(0).expand_as(directions)


def _visible(radii: Int32[Tensor, "C N 2"]) -> Bool[Tensor, "C N"]:
    return (radii > 0).all(dim=-1)


def _is_native(tensor: Tensor) -> bool:
    """Whether the compiled kernels take a tensor; if not, the reference does."""
    return tensor.dtype == torch.float32
