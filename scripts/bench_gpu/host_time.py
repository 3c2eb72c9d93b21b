"""How long a call keeps the processor, whatever the kernels do (`host_time.py [cuda]`).

One Gaussian in a picture of one tile: its kernels take a microsecond or two, the rest is Python, torch's
autograd and allocations. A GPU that is faster than this waits for the processor. Without a GPU the CPU's
kernels stand in: the way to them is the same, but that a GPU's sizes are read back.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[2]))

from gsrecon.geometry.camera import Cameras
from gsrecon.ops.rasterize import rasterize
from gsrecon.ops.settings import RasterizeSettings
from gsrecon.ops.splats import Splats

_SIZE = 16
_ROUNDS, _CALLS = 20, 100


def main() -> None:
    """Prints the least time of a round, per call."""
    torch.set_num_threads(1)
    device = torch.device(sys.argv[1] if len(sys.argv) > 1 else "cpu")
    leaves = {
        "means": torch.tensor([[0.0, 0.0, 5.0]]),
        "quats": torch.tensor([[1.0, 0.0, 0.0, 0.0]]),
        "scales": torch.full((1, 3), 0.1),
        "opacities": torch.tensor([0.5]),
        "sh0": torch.zeros(1, 3),
        "sh_rest": torch.zeros(1, 15, 3),
    }
    leaves = {name: tensor.to(device).requires_grad_() for name, tensor in leaves.items()}
    K = torch.tensor([[[16.0, 0, 8], [0, 16, 8], [0, 0, 1]]], device=device)
    cameras = Cameras(torch.eye(4, device=device)[None], K, _SIZE, _SIZE)
    settings = RasterizeSettings(depth=True)
    upstream = [
        torch.ones(1, _SIZE, _SIZE, 3, device=device),
        torch.ones(1, _SIZE, _SIZE, device=device),
    ]

    @torch.no_grad()
    def forward() -> None:
        rasterize(Splats(**leaves), cameras, settings)

    def forward_backward() -> None:
        drawn = rasterize(Splats(**leaves), cameras, settings)
        assert drawn.depth is not None
        torch.autograd.backward([drawn.image, drawn.depth], upstream)
        for leaf in leaves.values():
            leaf.grad = None

    for name, work in (("forward", forward), ("forward + backward", forward_backward)):
        print(f"{name}: {least_time(work) * 1e6:.0f} us")


def least_time(work: Callable[[], None]) -> float:
    """Seconds a call takes in the quickest of several rounds: nobody else on the machine makes it quicker."""
    times = []
    for _ in range(_ROUNDS):
        start = time.perf_counter()
        for _ in range(_CALLS):
            work()
        times.append((time.perf_counter() - start) / _CALLS)
    return min(times)


if __name__ == "__main__":
    main()
