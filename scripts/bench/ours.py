"""The rasterizer under measurement, through its public function."""

import torch
from cases import Case
from street_scene import camera, grad_image, make_scene
from torch import Tensor

from gsrecon.geometry.camera import Cameras
from gsrecon.ops.rasterize import rasterize
from gsrecon.ops.settings import RasterizeSettings
from gsrecon.ops.splats import Splats

SETTINGS = RasterizeSettings(depth=False)


class Ours:
    """One case, ready to run; SH degree 3, colours only, as the rasterizers it is compared with."""

    def __init__(self, case: Case) -> None:
        scene = {name: torch.from_numpy(values) for name, values in make_scene(case.gaussians).items()}
        sh = scene["sh"]
        self.case = case
        self.leaves = {
            "means": scene["means"],
            "quats": scene["quats"],
            "scales": scene["scales"],
            "opacities": scene["opacities"],
            "sh0": sh[:, 0].contiguous(),
            "sh_rest": sh[:, 1:].contiguous(),
        }
        K = torch.from_numpy(camera(case.width, case.height))
        self.cameras = Cameras(scene["viewmat"][None], K[None], case.width, case.height)
        self.upstream = torch.from_numpy(grad_image(case.height, case.width))[None]

    @torch.no_grad()
    def forward(self) -> Tensor:
        """The picture, without a graph."""
        return rasterize(Splats(**self.leaves), self.cameras, SETTINGS, backend="cpu").image

    def forward_backward(self) -> Tensor:
        """Picture and gradients of all parameters; those of the call before are dropped."""
        for leaf in self.leaves.values():
            leaf.requires_grad_().grad = None
        image = rasterize(Splats(**self.leaves), self.cameras, SETTINGS, backend="cpu").image
        image.backward(self.upstream)
        return image.detach()
