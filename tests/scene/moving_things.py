"""Small nodes with things in them that move."""

import torch

from gsrecon.gaussians.gaussians import Gaussians
from gsrecon.scene.actors import RigidActors
from gsrecon.scene.deformable_field import DeformableField
from gsrecon.scene.deformation import Deformation
from gsrecon.scene.deformation_config import DeformationConfig, Extent
from gsrecon.scene.trajectories import Trajectories

EXTENT = Extent((10.0, 0.0, 1.0), 10.0, 0.0, 4.0, 0.1)


def some_gaussians(count: int, generator: torch.Generator) -> Gaussians:
    """In front of a camera that looks along x."""

    def draw(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=generator)

    return Gaussians(
        means=draw(count, 3) * torch.tensor([12.0, 6.0, 3.0]) + torch.tensor([4.0, -3.0, 0.0]),
        quats=draw(count, 4) + 0.1,
        log_scales=draw(count, 3) - 2,
        logit_opacities=draw(count),
        sh0=draw(count, 3),
        sh_rest=draw(count, 3, 3) - 0.5,
    )


def some_field(count: int, generator: torch.Generator, **config) -> DeformableField:
    """Every second Gaussian is dynamic; nothing moves as yet."""
    chosen = DeformationConfig(**config)
    state = torch.tensor([0.0, 0.8]).repeat(count)[:count]
    deformation = Deformation.start(chosen, EXTENT, state, generator)
    return DeformableField("background", some_gaussians(count, generator), deformation)


def stir(deformation: Deformation, generator: torch.Generator) -> None:
    """Heads that do something."""
    for name, weights in deformation.networks.items():
        if name.endswith("weight"):
            weights.copy_(0.1 * torch.randn(weights.shape, generator=generator))


def two_cars(generator: torch.Generator, deforming: bool = False) -> RigidActors:
    """One drives from x = 6 m to 12 m in 2 s, one is there from 3 s on, 2 m to the right."""
    times = [torch.tensor([0.0, 2.0], dtype=torch.float64), torch.tensor([3.0], dtype=torch.float64)]
    poses = torch.eye(4, dtype=torch.float64).repeat(3, 1, 1)
    poses[:, :3, 3] = torch.tensor([[6.0, 0, 1], [12.0, 0, 1], [8.0, -2, 1]])
    track = Trajectories.start(times, [poses[:2], poses[2:]], [(0.0, 2.0), (3.0, torch.inf)], 1.0)
    gaussians = some_gaussians(9, generator)
    gaussians.means[:] = (torch.rand(9, 3, generator=generator) - 0.5) * torch.tensor([1.0, 1.0, 1.5])
    labels = torch.tensor([0, 1, 0, 0, 1, 1, 0, 1, 0], dtype=torch.int32)
    deformation = None
    if deforming:
        state = torch.full((9,), 0.8)
        deformation = Deformation.start(DeformationConfig(), EXTENT, state, generator, objects=2)
    return RigidActors(
        ["car", "walker"],
        gaussians,
        labels,
        torch.tensor([[4.0, 1.8, 1.5], [1.0, 1.0, 2.0]]),
        track,
        deformation,
        torch.tensor([False, True]) if deforming else None,
    )
