"""The sky: a cube map at infinity, seen where the Gaussians leave light through."""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.autograd.function import FunctionCtx

from gsrecon.geometry.camera import Cameras
from gsrecon.scene.rays import directions_in_cam

OPAQUE = 0.998
"""Rows all of whose pixels have more alpha than this show less sky than half a step of 8-bit colour."""


class Sky:
    """Six square faces of plain colours, looked up by direction with bilinear filtering.

    Face 2a looks along the positive axis a (x, y, z), face 2a + 1 along the negative one; columns follow the
    next axis, rows the one after it. Filtering stops at a face's edge.
    """

    kind = "sky"

    def __init__(self, texels: Float[Tensor, "6 R R 3"], id: str = "sky") -> None:
        self.id = id
        self.texels = texels

    @staticmethod
    def plain(resolution: int, color: Float[Tensor, " 3"]) -> "Sky":
        """A sky of one colour; `resolution` is the edge of a face [texels]."""
        return Sky(color.float().expand(6, resolution, resolution, 3).clone())

    def composite(
        self, image: Float[Tensor, "C H W 3"], alpha: Float[Tensor, "C H W"], cameras: Cameras
    ) -> Float[Tensor, "C H W 3"]:
        """Image + (1 - alpha) sky, over the rows in which light comes through.

        Gradients flow to image, alpha and texels, not to the cameras.
        """
        shown = [self._behind(image[c], alpha[c], cameras, c) for c in range(len(cameras))]
        return shown[0][None] if len(shown) == 1 else torch.stack(shown)

    def look(self, directions_in_world: Float[Tensor, "M 3"]) -> Float[Tensor, "M 3"]:
        """Colours in directions of any length but zero, differentiable in the texels."""
        rows, weights = self._corners(directions_in_world.detach().to(self.texels.dtype))
        colors = _Blend.apply(self.texels.reshape(-1, 3), rows, weights)
        assert isinstance(colors, Tensor)
        return colors

    def _behind(
        self, image: Float[Tensor, "H W 3"], alpha: Float[Tensor, "H W"], cameras: Cameras, camera: int
    ) -> Float[Tensor, "H W 3"]:
        rows = (alpha.detach() < OPAQUE).any(dim=1).nonzero()[:, 0]
        if len(rows) == 0:
            return image
        top, bottom = int(rows[0]), int(rows[-1]) + 1
        sky = self._picture(cameras, camera, top, bottom)
        seen = image[top:bottom] + (1 - alpha[top:bottom])[:, :, None] * sky
        return torch.cat([image[:top], seen, image[bottom:]])

    def _picture(self, cameras: Cameras, camera: int, top: int, bottom: int) -> Float[Tensor, "R W 3"]:
        """The sky in some rows of a picture.

        Where texels are larger than pixels it is looked up at every few pixels and interpolated in between.
        """
        step = self._stride(cameras, camera)
        height, width = -(-(bottom - top - 1) // step) + 1, -(-(cameras.width - 1) // step) + 1
        y, x = torch.meshgrid(
            top + 0.5 + step * torch.arange(height), 0.5 + step * torch.arange(width), indexing="ij"
        )
        in_cam = directions_in_cam(cameras, camera, x, y).reshape(-1, 3)
        in_world = in_cam @ cameras.viewmats[camera, :3, :3].detach().to(in_cam.dtype)
        colors = self.look(in_world).reshape(height, width, 3)
        if step == 1:
            return colors
        fine = torch.nn.functional.interpolate(
            colors.permute(2, 0, 1)[None],
            size=((height - 1) * step + 1, (width - 1) * step + 1),
            mode="bilinear",
            align_corners=True,
        )
        return fine[0, :, : bottom - top, : cameras.width].permute(1, 2, 0)

    def _stride(self, cameras: Cameras, camera: int) -> int:
        """How many pixels fit safely into a texel, at least one."""
        texel = 0.5 * torch.pi / self.texels.shape[1]
        focal = float(cameras.Ks[camera, :2, :2].diagonal().min())
        return max(1, int(0.75 * texel * focal))

    def _corners(self, directions: Float[Tensor, "M 3"]) -> tuple[Int64[Tensor, "M 4"], Float[Tensor, "M 4"]]:
        """Flat indices and weights of the four texels around each direction."""
        size = self.texels.shape[1]
        lengths, axis = directions.abs().max(dim=1)
        along = directions.gather(1, axis[:, None])[:, 0]
        face = 2 * axis + (along < 0)
        others = torch.stack([(axis + 1) % 3, (axis + 2) % 3], dim=1)
        place = directions.gather(1, others) / lengths[:, None]
        place = ((place + 1) * (0.5 * size) - 0.5).clamp(0, size - 1)
        low = place.floor().clamp(max=max(size - 2, 0))
        share = place - low
        column, row = low.long().unbind(1)
        first = (face * size + row) * size + column
        step = 0 if size == 1 else 1
        rows = torch.stack([first, first + step, first + step * size, first + step * (size + 1)], dim=1)
        right, down = share.unbind(1)
        weights = torch.stack(
            [(1 - right) * (1 - down), right * (1 - down), (1 - right) * down, right * down], dim=1
        )
        return rows, weights

    def parameters(self) -> dict[str, Tensor]:
        """The texels."""
        return {"texels": self.texels}

    def tensors(self) -> dict[str, Tensor]:
        """The texels."""
        return {"texels": self.texels}

    def settings(self) -> dict[str, Any]:
        """None are needed."""
        return {}

    @classmethod
    def restored(cls, id: str, settings: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> "Sky":
        """From stored texels."""
        return cls(tensors["texels"], id)


class _Blend(torch.autograd.Function):
    """sum_k weights[m, k] texels[rows[m, k]]; torch's own embedding_bag has a slow backward on the CPU."""

    @staticmethod
    def forward(ctx: FunctionCtx, texels: Tensor, rows: Tensor, weights: Tensor) -> Tensor:
        ctx.save_for_backward(rows, weights)
        ctx.texels = len(texels)  # type: ignore[attr-defined]
        return torch.nn.functional.embedding_bag(rows, texels, per_sample_weights=weights, mode="sum")

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Tensor) -> tuple[Tensor, None, None]:
        rows, weights = ctx.saved_tensors  # type: ignore[attr-defined]
        (v_colors,) = gradients
        spread = (weights[:, :, None] * v_colors[:, None]).reshape(-1, 3)
        v_texels = v_colors.new_zeros(ctx.texels, 3)  # type: ignore[attr-defined]
        return v_texels.index_add_(0, rows.reshape(-1), spread), None, None
