"""A street of Gaussians with depths, opacities and footprints as in a trained driving scene.

World: x forward along the street, y left, z up, metres. The size of a Gaussian goes with 1/sqrt(n), as in
trained scenes, so that the number of Gaussians a pixel sees hardly depends on n. Every comparison with other
rasterizers and every committed figure uses these very bits: the order of the random draws must not change.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32

FOCAL_OVER_WIDTH = 0.79
"""Focal length in picture widths: 64.7 degrees across."""
SEED = 20260

_SHARES = {
    "ground": 0.30,
    "facade": 0.32,
    "plants": 0.18,
    "cars": 0.10,
    "poles": 0.02,
    "sky": 0.05,
    "floaters": 0.03,
}
_SH_C0 = 0.28209479177387814

Random = np.random.Generator
Rows = Float[np.ndarray, "M 3"]
Row = Float[np.ndarray, " M"]


class _Part(NamedTuple):
    """One kind of thing: where it is, how it lies, how large, what colour, how opaque."""

    means: Rows
    normals: Rows
    scales: Rows
    rgb: Rows
    logit_mean: float
    logit_std: float


def make_scene(n: int = 100_000, seed: int = SEED) -> dict[str, np.ndarray]:
    """The scene and its camera pose.

    Args:
        n: Number of Gaussians.
        seed: Of all randomness.

    Returns:
        float32 arrays: `means` [n, 3] in world [m], `quats` [n, 4] wxyz, `scales` [n, 3] [m],
        `opacities` [n], `sh` [n, 16, 3], `viewmat` [4, 4] = cam_from_world (OpenCV axes), `fx_over_w`.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    counts = {name: round(share * n) for name, share in _SHARES.items()}
    counts["facade"] += n - sum(counts.values())
    parts = [_PARTS[name](rng, count) for name, count in counts.items()]

    means = np.concatenate([part.means for part in parts])
    quats = np.concatenate([_quats_onto(_unit(part.normals), rng) for part in parts])
    scales = np.concatenate([part.scales for part in parts])
    rgb = np.clip(np.concatenate([part.rgb for part in parts]), 0.02, 0.98)
    logits = [part.logit_mean + part.logit_std * rng.standard_normal(len(part.means)) for part in parts]
    opacities = np.clip(1 / (1 + np.exp(-np.concatenate(logits))), 0.006, 0.995)
    sh = _harmonics(rgb, rng)
    order = rng.permutation(n)  # trained scenes are not stored front to back
    scene = {"means": means, "quats": quats, "scales": scales, "opacities": opacities, "sh": sh}
    return {
        **{name: values[order].astype(np.float32) for name, values in scene.items()},
        "viewmat": _cam_from_world().astype(np.float32),
        "fx_over_w": np.asarray(FOCAL_OVER_WIDTH, dtype=np.float32),
    }


def camera(width: int, height: int) -> Float32[np.ndarray, "3 3"]:
    """Intrinsics for a picture size [px]."""
    focal = FOCAL_OVER_WIDTH * width
    return np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]], np.float32)


def grad_image(height: int, width: int, seed: int = 7) -> Float32[np.ndarray, "H W 3"]:
    """The fixed upstream gradient dL/d(image)."""
    rng = np.random.Generator(np.random.PCG64(seed))
    return rng.standard_normal((height, width, 3), dtype=np.float32) / np.float32(height * width)


def _ground(rng: Random, m: int) -> _Part:
    x = _along(rng, m, -25, 130, 1.7)
    y = rng.uniform(-13, 13, m)
    z = 0.03 * rng.standard_normal(m) + 0.004 * (y**2) / 4
    scales = _grow(_surface_scales(rng, m, area=155 * 26), x)
    mark = (np.abs(np.mod(y + 1.75, 3.5) - 1.75) < 0.1) & (np.mod(x, 9) < 4)
    rgb = np.where(mark[:, None], [0.8, 0.8, 0.78], [0.28, 0.28, 0.30]) + 0.05 * rng.standard_normal((m, 3))
    return _Part(np.stack([x, y, z], 1), np.tile([0, 0, 1.0], (m, 1)), scales, rgb, 1.2, 2.0)


def _facade(rng: Random, m: int) -> _Part:
    x = _along(rng, m, -25, 140, 1.5)
    side = np.where(rng.uniform(size=m) < 0.5, -1.0, 1.0)
    house = np.floor(x / 11.0)
    setback = 12 + 2.5 * np.abs(np.sin(house * 12.9898 + side * 3.1))
    height = 7 + 8 * np.abs(np.sin(house * 78.233 + side))
    y = side * setback + 0.08 * rng.standard_normal(m)
    z = rng.uniform(0, 1, m) * height
    scales = _grow(_surface_scales(rng, m, area=165 * 2 * 11), x)
    window = (np.mod(x, 2.6) < 1.2) & (np.mod(z, 3.0) > 1.1)
    paint = 0.5 + 0.25 * np.stack([np.sin(house * 1.7), np.sin(house * 2.9 + 1), np.sin(house * 4.1 + 2)], 1)
    rgb = np.where(window[:, None], 0.18, paint) + 0.06 * rng.standard_normal((m, 3))
    normals = np.stack([0 * side, -side, 0 * side], 1)
    return _Part(np.stack([x, y, z], 1), normals, scales, rgb, 1.0, 2.0)


def _plants(rng: Random, m: int) -> _Part:
    k = 40
    x = rng.uniform(-20, 110, k)
    y = np.where(rng.uniform(size=k) < 0.5, -1, 1) * rng.uniform(7.5, 10.5, k)
    z = rng.uniform(2.5, 5.5, k)
    radius = rng.uniform(1.0, 2.4, k)
    tree = rng.integers(0, k, m)
    outwards = rng.standard_normal((m, 3))
    outwards /= np.linalg.norm(outwards, axis=1, keepdims=True)
    distance = radius[tree] * rng.uniform(0, 1, m) ** 0.5
    means = np.stack([x[tree], y[tree], z[tree]], 1) + outwards * distance[:, None]
    size = 0.085 * np.sqrt(18000 / m) * np.exp(0.5 * rng.standard_normal(m))
    scales = _grow(size[:, None] * np.exp(0.5 * rng.standard_normal((m, 3))), means[:, 0])
    rgb = np.array([0.18, 0.36, 0.12]) + 0.08 * rng.standard_normal((m, 3))
    return _Part(means, outwards, scales, rgb, -0.6, 1.6)


def _cars(rng: Random, m: int) -> _Part:
    k = 16
    x = rng.uniform(4, 90, k)
    y = np.where(rng.uniform(size=k) < 0.5, -1, 1) * rng.choice([1.75, 5.2], k)
    paint = rng.uniform(0.05, 0.9, (k, 3))
    car = rng.integers(0, k, m)
    face = rng.integers(0, 5, m)
    on_face = rng.uniform(-1, 1, (m, 2))
    in_box, normals = np.zeros((m, 3)), np.zeros((m, 3))
    for index, (axis, sign) in enumerate([(0, 1), (0, -1), (1, 1), (1, -1), (2, 1)]):
        rows = face == index
        in_box[rows, axis] = normals[rows, axis] = sign
        for column, other in enumerate(a for a in range(3) if a != axis):
            in_box[rows, other] = on_face[rows, column]
    means = np.stack([x[car], y[car], np.full(m, 0.8)], 1) + in_box * [2.2, 0.9, 0.75]
    scales = _surface_scales(rng, m, area=k * 16.0)
    rgb = paint[car] * (0.75 + 0.3 * (in_box[:, 2:] > 0)) + 0.05 * rng.standard_normal((m, 3))
    return _Part(means, normals, scales, rgb, 1.4, 2.0)


def _poles(rng: Random, m: int) -> _Part:
    k = 24
    x = np.linspace(-15, 105, k)
    y = np.where(np.arange(k) % 2 == 0, -6.8, 6.8)
    pole = rng.integers(0, k, m)
    angle = rng.uniform(0, 2 * np.pi, m)
    normals = np.stack([np.cos(angle), np.sin(angle), 0 * angle], 1)
    means = np.stack([x[pole], y[pole], rng.uniform(0, 6.5, m)], 1) + 0.07 * normals
    size = 0.05 * np.sqrt(2000 / m)
    scales = np.stack(
        [size * np.ones(m), 4 * size * np.exp(0.3 * rng.standard_normal(m)), 0.2 * size * np.ones(m)], 1
    )
    rgb = np.full((m, 3), 0.35) + 0.04 * rng.standard_normal((m, 3))
    return _Part(means, normals, scales, rgb, 1.5, 1.5)


def _sky(rng: Random, m: int) -> _Part:
    up = rng.standard_normal((m, 3))
    up[:, 2] = np.abs(up[:, 2]) * 0.8 - 0.02
    up[:, 0] = np.abs(up[:, 0]) * np.where(rng.uniform(size=m) < 0.8, 1, -1)
    up /= np.linalg.norm(up, axis=1, keepdims=True)
    distance = rng.uniform(180, 400, m)
    size = (distance * 1.1 * np.sqrt(2 * np.pi / m))[:, None]
    scales = size * np.exp(0.35 * rng.standard_normal((m, 3))) * [1, 1, 0.3]
    t = np.clip(up[:, 2:], 0, 1)
    rgb = (1 - t) * [0.75, 0.8, 0.85] + t * [0.35, 0.55, 0.85] + 0.03 * rng.standard_normal((m, 3))
    return _Part(up * distance[:, None], -up, scales, rgb, 0.6, 1.6)


def _floaters(rng: Random, m: int) -> _Part:
    means = np.stack([rng.uniform(-5, 80, m), rng.uniform(-11, 11, m), rng.uniform(0.2, 9, m)], 1)
    scales = 0.10 * np.sqrt(3000 / m) * np.exp(0.7 * rng.standard_normal((m, 3)))
    normals = rng.standard_normal((m, 3))
    return _Part(means, normals, scales, rng.uniform(0.2, 0.8, (m, 3)), -2.6, 1.0)


_PARTS = {
    "ground": _ground,
    "facade": _facade,
    "plants": _plants,
    "cars": _cars,
    "poles": _poles,
    "sky": _sky,
    "floaters": _floaters,
}


def _along(rng: Random, m: int, low: float, high: float, power: float) -> Row:
    """Positions along the street, denser near the camera, as in trained scenes."""
    return low + (high - low) * rng.uniform(0, 1, m) ** power


def _surface_scales(rng: Random, m: int, area: float) -> Rows:
    """Flat Gaussians that cover an area [m^2] together."""
    size = 0.95 * np.sqrt(area / m) * np.exp(0.45 * rng.standard_normal(m))
    aspect = np.exp(0.5 * rng.standard_normal(m))
    thickness = size * 0.08 * np.exp(0.3 * rng.standard_normal(m))
    return np.stack([size * np.sqrt(aspect), size / np.sqrt(aspect), thickness], 1)


def _grow(scales: Rows, x: Row) -> Rows:
    """What lies far along the street is larger: fewer pictures constrain it."""
    return scales * np.clip(0.45 + np.abs(x) / 45.0, 0.45, 3.0)[:, None]


def _unit(vectors: Rows) -> Rows:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _quats_onto(normals: Rows, rng: Random) -> Float[np.ndarray, "M 4"]:
    """Rotations wxyz of z onto nearly the normals, after a random turn around z."""
    normals = normals + 0.08 * rng.standard_normal(normals.shape)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    z = np.array([0.0, 0.0, 1.0])
    w = 1.0 + normals @ z
    tilt = np.concatenate([w[:, None], np.cross(np.broadcast_to(z, normals.shape), normals)], 1)
    tilt[w < 1e-6] = [0, 1, 0, 0]
    tilt /= np.linalg.norm(tilt, axis=1, keepdims=True)
    angle = rng.uniform(0, np.pi, len(normals))
    turn = np.stack([np.cos(angle), 0 * angle, 0 * angle, np.sin(angle)], 1)
    return _quat_multiply(tilt, turn)


def _quat_multiply(a: Float[np.ndarray, "M 4"], b: Float[np.ndarray, "M 4"]) -> Float[np.ndarray, "M 4"]:
    w1, x1, y1, z1 = a.T
    w2, x2, y2, z2 = b.T
    return np.stack(
        [
            w1 * w2 - x1 * x2 - y1 * y2 - z1 * z2,
            w1 * x2 + x1 * w2 + y1 * z2 - z1 * y2,
            w1 * y2 - x1 * z2 + y1 * w2 + z1 * x2,
            w1 * z2 + x1 * y2 - y1 * x2 + z1 * w2,
        ],
        1,
    )


def _harmonics(rgb: Rows, rng: Random) -> Float[np.ndarray, "M 16 3"]:
    """The colours, and less and less of the higher degrees."""
    n = len(rgb)
    sh = np.zeros((n, 16, 3))
    sh[:, 0] = (rgb - 0.5) / _SH_C0
    sh[:, 1:4] = 0.08 * rng.standard_normal((n, 3, 3))
    sh[:, 4:9] = 0.04 * rng.standard_normal((n, 5, 3))
    sh[:, 9:16] = 0.02 * rng.standard_normal((n, 7, 3))
    return sh


def _cam_from_world() -> Float[np.ndarray, "4 4"]:
    """1.6 m above the road, turned a little to the left and down."""
    eye = np.array([0.0, -1.7, 1.6])
    yaw, pitch = np.deg2rad(2.0), np.deg2rad(-1.5)
    forward = np.array([np.cos(yaw) * np.cos(pitch), np.sin(yaw) * np.cos(pitch), np.sin(pitch)])
    right = np.cross(forward, [0, 0, 1.0])
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    pose = np.eye(4)
    pose[:3, :3] = rotation
    pose[:3, 3] = -rotation @ eye
    return pose
