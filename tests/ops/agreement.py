"""How far two runs of the rasterizer lie apart, and which Gaussians and pixels rounding alone may decide."""

from collections.abc import Callable
from dataclasses import fields, replace

import numpy as np
import torch
from torch import Tensor

from gsrecon.ops.reference import Projected, colors_seen, compose_poses, project
from gsrecon.ops.settings import Rasterized
from tests.ops.front_to_back import Painted, paint
from tests.ops.random_scenes import Scene

Rasterizer = Callable[[Scene], Rasterized]
WOBBLE = 1e-4


def project_scene(scene: Scene) -> Projected:
    """The reference's projection of a scene."""
    splats, cameras = scene.splats, scene.cameras
    with torch.no_grad():
        return project(
            splats.means,
            splats.quats,
            splats.scales,
            splats.opacities,
            compose_poses(cameras.viewmats, splats.world_from_object),
            splats.object_index,
            cameras.Ks,
            cameras.width,
            cameras.height,
            scene.settings,
            cameras.model,
            cameras.distortion,
        )


def settled(scene: Scene) -> Scene:
    """The scene without Gaussians that a hair's breadth would cull, reorder or clamp in colour."""
    here = project_scene(scene)
    shaky = torch.zeros(len(scene.splats), dtype=torch.bool)
    for sign in (-1, 1):
        factor = 1 + sign * WOBBLE
        splats, settings = scene.splats, scene.settings
        wobbled = replace(
            scene,
            splats=replace(splats, scales=splats.scales * factor, opacities=splats.opacities * factor),
            settings=replace(
                settings,
                near_plane=settings.near_plane * factor,
                far_plane=settings.far_plane * factor,
            ),
        )
        shaky |= ((project_scene(wobbled).radii > 0) != (here.radii > 0)).any(-1).any(0)
    if scene.splats.sh0 is not None:
        sh0 = scene.splats.sh0
        low, high = (
            colors_seen(replace(scene.splats, sh0=sh0 + nudge), here.directions, scene.settings.sh_degree) > 0
            for nudge in (-WOBBLE, WOBBLE)
        )
        shaky |= (low != high).any(-1).any(0)
    for depths in here.depths:
        order = depths.argsort()
        gaps = depths[order].diff()
        close = order[1:][(gaps < 0.1 * WOBBLE) & (depths[order[1:]] > 0)]
        shaky[close] = True
    opacities = torch.where(shaky, 0.0, scene.splats.opacities)
    return replace(scene, splats=replace(scene.splats, opacities=opacities))


def painted(scene: Scene) -> list[Painted]:
    """The plain loop's pictures of every camera, for their fragile pixels."""
    projected = project_scene(scene)
    objects = scene.splats.object_index
    names = np.zeros(len(scene.splats), int) if objects is None else objects.numpy()
    nothing = np.zeros((len(scene.splats), 1))
    cameras = scene.cameras
    return [paint(projected, c, nothing, names, cameras.width, cameras.height) for c in range(len(cameras))]


def relative_error(actual: Tensor, expected: Tensor, typical: float = 1e-6) -> float:
    """Norm of the difference over the norm of what is expected, at least that of typical values."""
    actual, expected = actual.detach().double(), expected.detach().double()
    assert actual.shape == expected.shape
    assert actual.isfinite().all()
    least = typical * max(1, expected.numel()) ** 0.5
    return ((actual - expected).norm() / expected.norm().clamp(min=least)).item()


def on_se3(gradient: Tensor, poses: Tensor) -> Tensor:
    """Gradients [..., 6] along the rigid motions exp(xi) T of poses T, from those of their entries."""
    generators = torch.zeros(6, 4, 4, dtype=torch.float64)
    for axis in range(3):
        generators[axis, axis, 3] = 1
        i, j = (axis + 1) % 3, (axis + 2) % 3
        generators[3 + axis, j, i], generators[3 + axis, i, j] = 1, -1
    moved = generators @ poses.detach().double()[..., None, :, :]
    return (gradient.double()[..., None, :, :] * moved).sum(dim=(-1, -2))


def gradients(
    rasterizer: Rasterizer, scene: Scene, dtype: torch.dtype, weights: dict[str, Tensor]
) -> tuple[Rasterized, dict[str, Tensor]]:
    """Pictures, and gradients of their weighted sum by name; poses' on se(3), centres' in the picture too."""
    scene, leaves = scene.with_gradients(dtype)
    result = rasterizer(scene)
    result.info.means2d.retain_grad()
    loss = sum((getattr(result, name).cpu() * weight.to(dtype)).sum() for name, weight in weights.items())
    assert isinstance(loss, Tensor)
    loss.backward()
    found = {}
    for name, leaf in leaves.items():
        gradient = torch.zeros_like(leaf) if leaf.grad is None else leaf.grad
        found[name] = on_se3(gradient, leaf) if name in ("viewmats", "world_from_object") else gradient
    means2d, probe = result.info.means2d, result.info.absgrad_probe
    found["means2d"] = torch.zeros_like(means2d) if means2d.grad is None else means2d.grad
    if probe is not None:
        found["absgrad"] = torch.zeros_like(probe) if probe.grad is None else probe.grad
    return on_cpu(result), {name: gradient.cpu() for name, gradient in found.items()}


def on_cpu(result: Rasterized) -> Rasterized:
    """The same values in the CPU's memory, without gradients."""
    values = {f.name: _on_cpu(getattr(result, f.name)) for f in fields(result) if f.name != "info"}
    info = replace(
        result.info, **{f.name: _on_cpu(getattr(result.info, f.name)) for f in fields(result.info)}
    )
    return replace(result, **values, info=info)


def _on_cpu(value: Tensor | None) -> Tensor | None:
    return None if value is None else value.detach().cpu()
