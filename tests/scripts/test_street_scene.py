"""The benchmark scene never drifts: figures measured on it stay comparable."""

import hashlib

import numpy as np
import pytest

from scripts.bench.street_scene import camera, grad_image, make_scene


def digest(*arrays: np.ndarray) -> str:
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()


@pytest.mark.parametrize(
    ("n", "seed", "expected"),
    [
        (2000, 20260, "2503527c4aa5238c8d81180c3d1dc2727e9de9c1e0f64ff7b664dff6b97fa4c8"),
        (2000, 1, "613449a75a696ed48a5d014a518ddb4cf4eb1e42db15530aaa2ea9eaa4d7f281"),
        (7777, 20260, "f1a5273c80b0df43581ddaa602ca1247f5101866ab130d988a8b0e0787dda53e"),
    ],
)
def test_the_scene_has_the_same_bits_as_ever(n: int, seed: int, expected: str):
    scene = make_scene(n, seed)
    assert digest(*(scene[name] for name in sorted(scene))) == expected


def test_camera_and_upstream_gradient_have_the_same_bits_as_ever():
    expected = "a02f228185ec82eb74566e284b8e03317c8a9a97b44efd905f0aa66be213f70f"
    assert digest(grad_image(17, 33), camera(33, 17)) == expected


def test_every_array_is_float32_with_one_row_a_gaussian():
    scene = make_scene(2000)
    assert {values.dtype for values in scene.values()} == {np.dtype(np.float32)}
    shapes = {name: values.shape for name, values in scene.items()}
    assert shapes == {
        "means": (2000, 3),
        "quats": (2000, 4),
        "scales": (2000, 3),
        "opacities": (2000,),
        "sh": (2000, 16, 3),
        "viewmat": (4, 4),
        "fx_over_w": (),
    }
