"""Random splats, cameras and settings of every kind the rasterizer takes.

All numbers are float32 values held in float64, so that every backend starts from exactly the same scene.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import TypeVar

import torch
from torch import Tensor

from gsrecon.geometry.camera import CameraModel, Cameras
from gsrecon.geometry.rigid import inverse, se3_exp
from gsrecon.ops.settings import RasterizeMode, RasterizeSettings
from gsrecon.ops.splats import Splats

Holder = TypeVar("Holder", Splats, Cameras)


@dataclass(frozen=True)
class SceneOptions:
    """What a random scene is made of."""

    gaussians: int = 120
    cameras: int = 2
    width: int = 37
    height: int = 29
    model: CameraModel = "pinhole"
    distorted: bool = False
    """Kannala-Brandt coefficients other than zero (fisheye only)."""
    mode: RasterizeMode = "classic"
    sh_degree: int | None = 3
    """None: plain colours."""
    used_sh_degree: int | None = None
    colors_per_camera: bool = False
    features: int = 0
    objects: int = 1
    backgrounds: bool = True
    extremes: bool = False
    """Some huge, tiny, fully opaque, invisible, misplaced and undefined Gaussians among the others."""
    seed: int = 0


@dataclass(frozen=True)
class Scene:
    """Arguments of one call of `rasterize`."""

    splats: Splats
    cameras: Cameras
    settings: RasterizeSettings
    backgrounds: Tensor | None

    def to(self, dtype: torch.dtype) -> "Scene":
        """The same scene with floats of another type, as new leaves that need no gradient."""
        return Scene(
            splats=_map_floats(self.splats, dtype, requires_grad=False),
            cameras=_map_floats(self.cameras, dtype, requires_grad=False),
            settings=self.settings,
            backgrounds=None if self.backgrounds is None else self.backgrounds.detach().to(dtype),
        )

    def with_gradients(self, dtype: torch.dtype) -> tuple["Scene", dict[str, Tensor]]:
        """The scene in a float type with everything differentiable a leaf, and these leaves by name."""
        splats = _map_floats(self.splats, dtype, requires_grad=True)
        viewmats = self.cameras.viewmats.detach().to(dtype).clone().requires_grad_()
        cameras = replace(_map_floats(self.cameras, dtype, requires_grad=False), viewmats=viewmats)
        leaves = {f.name: getattr(splats, f.name) for f in fields(Splats)}
        leaves = {
            name: leaf for name, leaf in leaves.items() if leaf is not None and leaf.is_floating_point()
        }
        leaves["viewmats"] = viewmats
        backgrounds = None
        if self.backgrounds is not None:
            backgrounds = leaves["backgrounds"] = self.backgrounds.detach().to(dtype).clone().requires_grad_()
        return Scene(splats, cameras, self.settings, backgrounds), leaves


def random_scene(options: SceneOptions) -> Scene:
    """A scene of the given kind; the same options give the same scene."""
    generator = torch.Generator().manual_seed(options.seed)

    def uniform(*shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        return low + (high - low) * torch.rand(*shape, generator=generator, dtype=torch.float64)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    n, c, k = options.gaussians, options.cameras, options.objects
    cameras = _random_cameras(options, normal, uniform)

    z = uniform(n, low=1.0, high=9.0)
    sideways = uniform(n, 2, low=-1.0, high=1.0)
    in_first_camera = torch.cat([sideways * z[:, None], z[:, None]], dim=-1)
    scales = z[:, None] * torch.exp(uniform(n, 1, low=-4.0, high=-1.5)) * uniform(n, 3, low=0.25, high=1.0)
    opacities = uniform(n, low=0.05, high=1.0)
    quats = normal(n, 4)
    if options.extremes:
        kind = torch.arange(n) % 12
        scales[kind == 0] *= 20
        scales[kind == 1] *= 1e-3
        opacities[kind == 2] = 1.0
        opacities[kind == 3] = 0.0
        opacities[kind == 4] *= 0.01
        in_first_camera[kind == 5] *= -1
        in_first_camera[kind == 6, 2] = 0.02
        in_first_camera[kind == 7, :2] *= 2.5
        quats[kind == 8] *= 1e-4
        quats[(kind == 9) & (torch.arange(n) % 24 == 9)] = 0.0

    world_from_object = _float32(
        se3_exp(torch.cat([3 * normal(1, k, 3), normal(1, k, 3)], dim=-1))
        @ se3_exp(torch.cat([0.1 * normal(c, k, 3), 0.02 * normal(c, k, 3)], dim=-1))
    )
    object_index = torch.randint(k, (n,), generator=generator, dtype=torch.int32)
    has_objects = k > 1
    first_poses = world_from_object[0] if has_objects else torch.eye(4, dtype=torch.float64)[None]
    object_from_cam = (inverse(first_poses) @ inverse(cameras.viewmats[0]))[object_index.long()]
    means = (object_from_cam[:, :3, :3] @ in_first_camera[..., None])[..., 0] + object_from_cam[:, :3, 3]

    degree = options.sh_degree
    colors_shape = (c, n, 3) if options.colors_per_camera else (n, 3)
    splats = Splats(
        means=_float32(means),
        quats=_float32(quats),
        scales=_float32(scales),
        opacities=_float32(opacities),
        sh0=None if degree is None else _float32(normal(n, 3)),
        sh_rest=None if not degree else _float32(0.3 * normal(n, (degree + 1) ** 2 - 1, 3)),
        colors=_float32(uniform(*colors_shape)) if degree is None else None,
        features=_float32(normal(n, options.features)) if options.features else None,
        object_index=object_index if has_objects else None,
        world_from_object=world_from_object if has_objects else None,
    )
    return Scene(
        splats=splats,
        cameras=cameras,
        settings=RasterizeSettings(
            mode=options.mode,
            near_plane=0.125,
            far_plane=100.0,
            sh_degree=options.used_sh_degree,
            ids=True,
            median_depth=True,
            absgrad=True,
        ),
        backgrounds=_float32(uniform(c, 3)) if options.backgrounds else None,
    )


def _random_cameras(
    options: SceneOptions, normal: Callable[..., Tensor], uniform: Callable[..., Tensor]
) -> Cameras:
    c, w, h = options.cameras, options.width, options.height
    first = se3_exp(torch.cat([2 * normal(1, 3), normal(1, 3)], dim=-1))
    nearby = se3_exp(torch.cat([0.3 * normal(c, 3), 0.05 * normal(c, 3)], dim=-1))
    nearby[0] = torch.eye(4, dtype=torch.float64)
    Ks = torch.zeros(c, 3, 3, dtype=torch.float64)
    Ks[:, 0, 0] = max(w, h) * uniform(c, low=0.6, high=0.9)
    Ks[:, 1, 1] = Ks[:, 0, 0] * uniform(c, low=0.9, high=1.1)
    Ks[:, 0, 2] = w * uniform(c, low=0.4, high=0.6)
    Ks[:, 1, 2] = h * uniform(c, low=0.4, high=0.6)
    Ks[:, 2, 2] = 1
    distortion = None
    if options.distorted:
        distortion = torch.tensor([0.1, 0.03, 0.01, 0.003], dtype=torch.float64) * uniform(c, 4, low=-0.3)
    return Cameras(
        viewmats=_float32(nearby @ first),
        Ks=_float32(Ks),
        width=w,
        height=h,
        model=options.model,
        distortion=None if distortion is None else _float32(distortion),
    )


def _float32(values: Tensor) -> Tensor:
    return values.float().double()


def _map_floats(holder: Holder, dtype: torch.dtype, requires_grad: bool) -> Holder:
    changed = {}
    for field in fields(holder):
        value = getattr(holder, field.name)
        if isinstance(value, Tensor) and value.is_floating_point():
            changed[field.name] = value.detach().to(dtype).clone().requires_grad_(requires_grad)
    return replace(holder, **changed)
