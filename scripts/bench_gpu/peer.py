"""The peer's side, for any library with gsplat's interface: drawing, and a whole training step."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from scripts.bench_gpu.inputs import Inputs
from scripts.bench_gpu.ours import RATE, SSIM_SHARE, raw_gaussians
from scripts.bench_gpu.plain_ssim import PlainSsim

_DEGREE = 3


@dataclass(frozen=True)
class Peer:
    """A library as it is called."""

    name: str
    rasterization: Callable[..., tuple[Tensor, Tensor, dict[str, Any]]]
    """`gsplat.rasterization`, or what takes its arguments."""
    strategy: Callable[..., Any]
    """`gsplat.DefaultStrategy`, or what takes its arguments."""
    packed: bool
    """The argument of that name: intermediate results of visible Gaussians alone."""


class PeerDrawing:
    """Colours from harmonics of degree 3 and expected depth: RGB+ED does the work of our `depth=True`."""

    def __init__(self, peer: Peer, inputs: Inputs) -> None:
        self._peer, self._inputs = peer, inputs
        g = inputs.gaussians
        harmonics = torch.cat([g["sh0"][:, None], g["sh_rest"]], dim=1)
        tensors = (g["means"], g["quats"], g["scales"], g["opacities"], harmonics)
        self._leaves = [t.detach().requires_grad_() for t in tensors]
        self._upstream = torch.cat([inputs.v_image, inputs.v_depth[..., None]], dim=-1)

    @torch.no_grad()
    def forward(self) -> tuple[Tensor, Tensor]:
        """Picture [C, H, W, 3] and depth [C, H, W], without a graph."""
        drawn = self._draw()
        return drawn[..., :3], drawn[..., 3]

    def forward_backward(self) -> None:
        """Pictures, and the gradients of all parameters."""
        self._draw().backward(self._upstream)

    def forget(self) -> None:
        """Drops the gradients."""
        for leaf in self._leaves:
            leaf.grad = None

    def gradients(self) -> dict[str, Tensor]:
        """Those of the last backward pass, under our names."""
        means, quats, scales, opacities, sh = (leaf.grad for leaf in self._leaves)
        assert sh is not None
        named = {"means": means, "quats": quats, "scales": scales, "opacities": opacities}
        named |= {"sh0": sh[:, 0], "sh_rest": sh[:, 1:]}
        return {name: gradient for name, gradient in named.items() if gradient is not None}

    def _draw(self) -> Tensor:
        cameras = self._inputs.cameras
        drawn, _, _ = self._peer.rasterization(
            *self._leaves, cameras.viewmats, cameras.Ks, cameras.width, cameras.height,
            sh_degree=_DEGREE, render_mode="RGB+ED", packed=self._peer.packed,
        )  # fmt: skip
        return drawn


class PeerTraining:
    """One step with gsplat and what torch has.

    Colours, L1 and a convolved SSIM, `DefaultStrategy` with absolute gradients as ours takes them, and one
    fused Adam of torch's a parameter. Trainers with a package for SSIM beside (fused-ssim) take less time
    for the loss. The steps of a measurement are too few for a round of densification.
    """

    def __init__(self, peer: Peer, inputs: Inputs, truth: Tensor) -> None:
        self._peer, self._cameras, self._truth = peer, inputs.cameras, truth
        self._ssim = PlainSsim(truth.device)
        raw = raw_gaussians(inputs)
        tensors = {
            "means": raw.means,
            "quats": raw.quats,
            "scales": raw.log_scales,
            "opacities": raw.logit_opacities,
            "sh0": raw.sh0[:, None],
            "shN": raw.sh_rest,
        }
        self._parameters = {name: torch.nn.Parameter(t.detach().clone()) for name, t in tensors.items()}
        self._optimizers = {
            name: torch.optim.Adam([parameter], lr=RATE, eps=1e-15, fused=True)
            for name, parameter in self._parameters.items()
        }
        self._strategy = peer.strategy(absgrad=True)
        self._strategy.check_sanity(self._parameters, self._optimizers)
        self._state = self._strategy.initialize_state()
        self._number = 0

    def step(self) -> float:
        """One step; gives the loss, which training reads every time."""
        self._number += 1
        drawn, info = self._draw()
        told = (self._parameters, self._optimizers, self._state, self._number, info)
        self._strategy.step_pre_backward(*told)
        absolute = (drawn - self._truth).abs().mean()
        loss = (1 - SSIM_SHARE) * absolute + SSIM_SHARE * (1 - self._ssim(drawn, self._truth))
        loss.backward()
        self._strategy.step_post_backward(*told, packed=self._peer.packed)
        for optimizer in self._optimizers.values():
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        return float(loss.detach())

    def forget(self) -> None:
        """A step leaves no gradients."""

    def _draw(self) -> tuple[Tensor, dict[str, Any]]:
        p, cameras = self._parameters, self._cameras
        drawn, _, info = self._peer.rasterization(
            p["means"], p["quats"], p["scales"].exp(), p["opacities"].sigmoid(),
            torch.cat([p["sh0"], p["shN"]], dim=1),
            cameras.viewmats, cameras.Ks, cameras.width, cameras.height,
            sh_degree=_DEGREE, packed=self._peer.packed, absgrad=True,
        )  # fmt: skip
        return drawn, info
