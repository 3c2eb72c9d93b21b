"""gsrecon's side: drawing, and a whole training step."""

import torch
from torch import Tensor

from gsrecon.gaussians.density_classic import ClassicDensity, ClassicStrategy
from gsrecon.gaussians.gaussians import Gaussians
from gsrecon.ops.adam import AdamStep, adam_rows
from gsrecon.ops.picture_loss import picture_loss
from gsrecon.ops.rasterize import rasterize
from gsrecon.ops.settings import RasterizeSettings
from gsrecon.ops.splats import Splats
from scripts.bench_gpu.inputs import Inputs

SSIM_SHARE = 0.2
RATE = 1e-6
"""Learning rate of everything, so small that the last step of a run does the same work as the first."""

_DRAWING = RasterizeSettings(depth=True)
_TRAINING = RasterizeSettings(depth=False, absgrad=True)


class OurDrawing:
    """Colours from harmonics of degree 3, and the expected depth."""

    def __init__(self, inputs: Inputs) -> None:
        self._inputs = inputs
        self._leaves = {name: t.detach().requires_grad_() for name, t in inputs.gaussians.items()}

    @torch.no_grad()
    def forward(self) -> tuple[Tensor, Tensor]:
        """Picture [C, H, W, 3] and depth [C, H, W], without a graph."""
        return self._draw()

    def forward_backward(self) -> None:
        """Pictures, and the gradients of all parameters."""
        upstream = [self._inputs.v_image, self._inputs.v_depth]
        torch.autograd.backward(list(self._draw()), upstream)

    def forget(self) -> None:
        """Drops the gradients."""
        for leaf in self._leaves.values():
            leaf.grad = None

    def gradients(self) -> dict[str, Tensor]:
        """Those of the last backward pass."""
        return {name: leaf.grad for name, leaf in self._leaves.items() if leaf.grad is not None}

    def _draw(self) -> tuple[Tensor, Tensor]:
        drawn = rasterize(Splats(**self._leaves), self._inputs.cameras, _DRAWING)
        assert drawn.depth is not None
        return drawn.image, drawn.depth


class OurTraining:
    """One step as our training takes it: colours, losses, the classic strategy's statistics, Adam on rows."""

    def __init__(self, inputs: Inputs, truth: Tensor) -> None:
        self._cameras, self._truth = inputs.cameras, truth
        self._gaussians = raw_gaussians(inputs).trainable()
        device = truth.device
        self._strategy = ClassicStrategy(ClassicDensity(), len(self._gaussians), device)
        self._parameters = list(self._gaussians.named().values())
        self._moments = [[torch.zeros_like(t.detach()) for t in self._parameters] for _ in range(2)]
        self._number = 0

    def step(self) -> float:
        """One step; gives the loss, which training reads every time."""
        drawn = rasterize(self._gaussians.to_splats(), self._cameras, _TRAINING)
        loss, _ = picture_loss(drawn.image, self._truth, None, SSIM_SHARE)
        loss.backward()
        probe = drawn.info.absgrad_probe
        assert probe is not None
        assert probe.grad is not None
        self._strategy.observe(probe.grad, drawn.info.radii, self._cameras.width, self._cameras.height)
        self._number += 1
        steps = [AdamStep(self._number, RATE)] * len(self._parameters)
        gradients = [parameter.grad for parameter in self._parameters if parameter.grad is not None]
        adam_rows(steps, gradients, self._parameters, *self._moments)
        for parameter in self._parameters:
            parameter.grad = None
        return float(loss.detach())

    def forget(self) -> None:
        """A step leaves no gradients."""


def raw_gaussians(inputs: Inputs) -> Gaussians:
    """The raw parameters, which training fits."""
    g = inputs.gaussians
    return Gaussians(
        means=g["means"],
        quats=g["quats"],
        log_scales=g["scales"].log(),
        logit_opacities=g["opacities"].logit(),
        sh0=g["sh0"],
        sh_rest=g["sh_rest"],
    )


@torch.no_grad()
def make_truth(inputs: Inputs) -> Tensor:
    """Pictures [C, H, W, 3] that the scene is a little off: it drawn, with fixed noise, in [0, 1]."""
    image, _ = OurDrawing(inputs).forward()
    noise = 0.05 * inputs.v_image * (inputs.case.width * inputs.case.height)
    return (image + noise).clamp(0, 1)
