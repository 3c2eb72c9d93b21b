"""The sky: a cube map at infinity, seen where the Gaussians leave light through."""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from gsrecon.geometry.camera import Cameras
from gsrecon.scene.rays import directions_in_world

OPAQUE = 0.9999
"""Pixels with more alpha than this do not show the sky; the rasterizer stops at this transmittance too."""


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
        """Image + (1 - alpha) sky, worked out only where light comes through.

        Gradients flow to image, alpha and texels, not to the cameras.
        """
        through = (alpha.detach().reshape(-1) < OPAQUE).nonzero()[:, 0]
        if len(through) == 0:
            return image
        colors = self.look(directions_in_world(cameras, through))
        added = (1 - alpha.reshape(-1)[through])[:, None] * colors
        return image.reshape(-1, 3).index_add(0, through, added).reshape(image.shape)

    def look(self, directions_in_world: Float[Tensor, "M 3"]) -> Float[Tensor, "M 3"]:
        """Colours in directions of any length but zero, differentiable in the texels."""
        rows, weights = self._corners(directions_in_world.detach())
        return torch.nn.functional.embedding_bag(
            rows, self.texels.reshape(-1, 3), per_sample_weights=weights, mode="sum"
        )

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
