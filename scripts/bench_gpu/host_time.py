"""How long a call keeps the processor, whatever the kernels do (`host_time.py [cuda]`).

One Gaussian in a picture of one tile, and training steps on tiny pictures of the toy drive: their kernels
take a microsecond or two, the rest is Python, torch's autograd and allocations. A GPU that is faster than
this waits for the processor. Without a GPU the CPU's kernels stand in: the way to them is the same, but that
a GPU's sizes are read back. For a training step torch's own operators are counted as well: on a GPU each is a
kernel to start.
"""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

sys.path.insert(0, str(Path(__file__).parents[2]))

from gsrecon.data.spec import find_spec, open_drive
from gsrecon.geometry.camera import Cameras
from gsrecon.ops.rasterize import rasterize
from gsrecon.ops.settings import RasterizeSettings
from gsrecon.ops.splats import Splats
from gsrecon.train.config import InitialPoints, TrainConfig
from gsrecon.train.dynamics import ActorAndDeformationDynamics, ActorsConfig, DynamicsConfig, NoDynamics
from gsrecon.train.initialise import start_scene
from gsrecon.train.loop import fit_step
from gsrecon.train.split import Split
from gsrecon.train.state import TrainState
from gsrecon.train.stopwatch import Stopwatch
from gsrecon.train.views import Views

_SIZE = 16
_ROUNDS, _CALLS = 20, 100
_WARM_UP = 20
_VIEWS = {"detach", "view", "select", "slice", "expand", "unsqueeze", "squeeze", "t", "transpose", "permute",
          "unbind", "split", "alias", "as_strided", "_unsafe_view", "lift_fresh", "empty", "empty_like",
          "empty_strided", "new_empty", "new_empty_strided", "_reshape_alias"}  # fmt: skip
"""Operators that start no kernel: views, and memory."""


def main() -> None:
    """Prints the least time of a round, per call."""
    torch.set_num_threads(1)
    device = torch.device(sys.argv[1] if len(sys.argv) > 1 else "cpu")
    time_drawing(device)
    dynamics: dict[str, DynamicsConfig] = {
        "standing scene": NoDynamics(),
        "objects and deformation": ActorAndDeformationDynamics(
            ActorsConfig(most_points=20, shell_points=10, shade_points=5)
        ),
    }
    for name, model in dynamics.items():
        time_training(name, model, device)


def time_drawing(device: torch.device) -> None:
    """Prints how long drawing takes."""
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


def time_training(name: str, dynamics: DynamicsConfig, device: torch.device) -> None:
    """Prints how long a training step takes, by stage, and what it starts."""
    spec = replace(find_spec("toy"), image_scale=0.05, stop=12)
    log, spec = open_drive(spec)
    config = TrainConfig(
        initial=InitialPoints(lidar=300, beyond_lidar=50), sky_resolution=16, dynamics=dynamics
    )
    split = Split.of(log, spec)
    views = Views.of(split, split.fitted, spec, config)
    generator = torch.Generator().manual_seed(0)
    graph = start_scene(split, views, config, generator).to(device)
    state, watch = TrainState.start(graph, len(views), config, generator), Stopwatch()

    def step() -> None:
        fit_step(state, views, config, watch)

    for _ in range(_WARM_UP):
        step()
    with _Counted() as counted:
        step()
    watch.means()
    print(f"training step, {name}: {least_time(step) * 1e6:.0f} us, {counted.operators} operators of torch")
    print("  " + ", ".join(f"{stage} {seconds * 1e6:.0f}" for stage, seconds in watch.means().items()))


class _Counted(TorchDispatchMode):
    """Counts operators that start a kernel on a GPU."""

    operators = 0

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        self.operators += func.overloadpacket.__name__ not in _VIEWS
        return func(*args, **(kwargs or {}))


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
