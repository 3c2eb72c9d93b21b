"""The compiled kernels a test runs on: the CPU's, CUDA's on the processor, and CUDA's on a GPU."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

import pytest
import torch

from gsrecon.ops import _native
from gsrecon.ops.rasterize import Backend, rasterize
from gsrecon.ops.settings import Rasterized
from tests.ops.random_scenes import Scene
from tests.ops.shim import cuda_on_the_processor


@dataclass(frozen=True)
class Compiled:
    """Compiled kernels, and the device whose tensors they take."""

    name: str
    device: torch.device
    backend: Backend

    def draw(self, scene: Scene) -> Rasterized:
        """The scene drawn on the device; gradients flow back to where its tensors are."""
        there = self.moved(scene)
        return rasterize(there.splats, there.cameras, there.settings, there.backgrounds, backend=self.backend)

    def moved(self, scene: Scene) -> Scene:
        """The scene on the device."""
        splats, cameras = (
            replace(holder, **{f.name: self.on_device(getattr(holder, f.name)) for f in fields(holder)})
            for holder in (scene.splats, scene.cameras)
        )
        return Scene(splats, cameras, scene.settings, self.on_device(scene.backgrounds))

    def on_device(self, value):
        """A tensor moved to the device; anything else as it is."""
        return value.to(self.device) if isinstance(value, torch.Tensor) else value


@pytest.fixture(
    scope="module",
    params=["cpu", "cuda kernels on the processor", pytest.param("gpu", marks=pytest.mark.gpu)],
)
def compiled(request: pytest.FixtureRequest) -> Iterator[Compiled]:
    """Each of the compiled backends in turn."""
    if request.param == "gpu":
        if (problem := _native.cuda_problem()) is not None:
            pytest.skip(problem)
        yield Compiled("gpu", torch.device("cuda", 0), "cuda")
    elif request.param == "cpu":
        yield Compiled("cpu", torch.device("cpu"), "cpu")
    else:
        with cuda_on_the_processor():
            yield Compiled("shim", torch.device("cpu"), "auto")
