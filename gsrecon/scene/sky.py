"""The sky: a cube map at infinity, seen where the Gaussians leave light through."""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from gsrecon.geometry.camera import Cameras
from gsrecon.ops.cube_map import look_up, over_cube_map
from gsrecon.scene.rays import picture_directions


class Sky:
    """Six square faces of plain colours, looked up by direction; see `ops/cube_map.py` for their layout."""

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
        """Image + (1 - alpha) sky. Gradients flow to image, alpha and texels, not to the cameras."""
        shown = [
            over_cube_map(
                image[c],
                alpha[c],
                self.texels,
                picture_directions(cameras, c).to(self.texels),
                cameras.viewmats[c, :3, :3].detach().T.to(self.texels),
            )
            for c in range(len(cameras))
        ]
        return shown[0][None] if len(shown) == 1 else torch.stack(shown)

    def look(self, directions_in_world: Float[Tensor, "M 3"]) -> Float[Tensor, "M 3"]:
        """Colours in directions of any length but zero, differentiable in the texels."""
        return look_up(self.texels, directions_in_world.detach().to(self.texels))

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
