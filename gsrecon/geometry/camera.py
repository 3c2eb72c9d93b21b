"""Cameras as the rasterizer takes them: a batch with one picture size and one lens model."""

from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

CameraModel = Literal["pinhole", "fisheye"]


@dataclass(frozen=True)
class Cameras:
    """A batch of C cameras in OpenCV axes (x right, y down, z forward), pixel centres at +0.5."""

    viewmats: Float[Tensor, "C 4 4"]
    """`cam_from_world`: rigid, translation in metres."""
    Ks: Float[Tensor, "C 3 3"]
    """Intrinsics in pixels. Resizing a picture multiplies them; nothing is shifted."""
    width: int
    """Picture width [px]."""
    height: int
    """Picture height [px]."""
    model: CameraModel = "pinhole"
    """`fisheye` is Kannala-Brandt: r = theta (1 + k1 theta^2 + ... + k4 theta^8)."""
    distortion: Float[Tensor, "C 4"] | None = None
    """Kannala-Brandt coefficients k1..k4 of a fisheye camera; None is the equidistant lens."""

    def __post_init__(self) -> None:
        if self.viewmats.ndim != 3 or self.viewmats.shape[1:] != (4, 4):
            raise ValueError(f"viewmats: expected [C, 4, 4], got {list(self.viewmats.shape)}")
        if self.Ks.shape != (len(self.viewmats), 3, 3):
            raise ValueError(f"Ks: expected [{len(self.viewmats)}, 3, 3], got {list(self.Ks.shape)}")
        if self.width < 1 or self.height < 1:
            raise ValueError(f"picture size: expected at least 1 x 1, got {self.width} x {self.height}")
        if self.model not in ("pinhole", "fisheye"):
            raise ValueError(f"model: expected 'pinhole' or 'fisheye', got {self.model!r}")
        if self.distortion is not None:
            if self.model == "pinhole":
                raise ValueError("distortion: only a fisheye camera has it; undistort the picture first")
            if self.distortion.shape != (len(self.viewmats), 4):
                raise ValueError(
                    f"distortion: expected [{len(self.viewmats)}, 4], got {list(self.distortion.shape)}"
                )

    def __len__(self) -> int:
        return len(self.viewmats)

    def to(self, device: torch.device | str) -> "Cameras":
        """The same cameras on another device; a GPU is not waited for."""
        to_gpu = torch.device(device).type != "cpu"
        tensors = {"viewmats": self.viewmats, "Ks": self.Ks, "distortion": self.distortion}
        moved = {name: t.to(device, non_blocking=to_gpu) for name, t in tensors.items() if t is not None}
        return replace(self, **moved)
