"""The street scene on a device, as both sides take it."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from gsrecon.geometry.camera import Cameras
from scripts.bench.street_scene import camera, grad_image, make_scene
from scripts.bench_gpu.cases import Case

RIG_YAWS_DEG = (0, 55, -55, 110, -110, 180)
"""Where the cameras of a rig look, to the right of the first one: front, its neighbours, sides and back."""
_DEPTH_SHARE = 0.01
"""Of the depth in the upstream gradient; metres are larger numbers than colours."""


@dataclass(frozen=True)
class Inputs:
    """One case, ready to be drawn."""

    case: Case
    gaussians: dict[str, Tensor]
    """Activated: means, quats, scales, opacities, sh0 [N, 3] and sh_rest [N, 15, 3]."""
    cameras: Cameras
    v_image: Tensor
    """Upstream gradient of the picture [C, H, W, 3]."""
    v_depth: Tensor
    """Upstream gradient of the expected depth [C, H, W]."""

    @property
    def gradient_bytes(self) -> int:
        """What the gradients of all Gaussians take."""
        return sum(t.numel() * t.element_size() for t in self.gaussians.values())


def make_inputs(case: Case, device: torch.device) -> Inputs:
    """The scene, its cameras and the fixed upstream gradients; the same bits everywhere."""
    scene = {name: torch.from_numpy(values).to(device) for name, values in _scene(case.gaussians).items()}
    sh = scene["sh"]
    gaussians = {name: scene[name] for name in ("means", "quats", "scales", "opacities")}
    gaussians |= {"sh0": sh[:, 0].contiguous(), "sh_rest": sh[:, 1:].contiguous()}
    K = torch.from_numpy(camera(case.width, case.height)).to(device)
    viewmats = _rig(scene["viewmat"], case.cameras)
    upstream = np.stack([grad_image(case.height, case.width, seed=7 + c) for c in range(case.cameras)])
    v_image = torch.from_numpy(upstream).to(device)
    return Inputs(
        case,
        gaussians,
        Cameras(viewmats, K.expand(case.cameras, 3, 3).contiguous(), case.width, case.height),
        v_image,
        _DEPTH_SHARE * v_image[..., 0].flip(1),
    )


@cache
def _scene(gaussians: int) -> dict[str, np.ndarray]:
    return make_scene(gaussians)


def _rig(viewmat: Tensor, cameras: int) -> Tensor:
    """`cam_from_world` [C, 4, 4] of cameras at one place, turned about the first one's vertical axis."""
    if not 1 <= cameras <= len(RIG_YAWS_DEG):
        raise ValueError(f"cameras: expected 1 to {len(RIG_YAWS_DEG)}, got {cameras}")
    yaws = torch.tensor(RIG_YAWS_DEG[:cameras], dtype=torch.float64).deg2rad()
    turned_from_first = torch.eye(4, dtype=torch.float64).repeat(cameras, 1, 1)
    turned_from_first[:, 0, 0] = turned_from_first[:, 2, 2] = yaws.cos()
    turned_from_first[:, 0, 2] = -yaws.sin()
    turned_from_first[:, 2, 0] = yaws.sin()
    return (turned_from_first @ viewmat.cpu().double()).float().to(viewmat.device)
