"""Objects drawn alone: against the reference, and against a picture of that object's Gaussians only."""

import numpy as np
import pytest
import torch

from gsrecon.ops.alone import Alone, draw_alone
from gsrecon.ops.rasterize import Backend, rasterize
from gsrecon.ops.splats import Splats
from tests.ops.random_scenes import Scene, SceneOptions, random_scene


def scene_of_objects(seed: int, mode: str = "classic", extremes: bool = False) -> Scene:
    return random_scene(
        SceneOptions(
            gaussians=300,
            cameras=1,
            width=83,
            height=61,
            objects=4,
            mode=mode,
            extremes=extremes,
            sh_degree=None,
            seed=seed,
        )
    )


def pictures(alone: Alone, width: int, height: int) -> np.ndarray:
    """Alpha of every object over the whole picture, [K, H, W]."""
    whole = np.zeros((len(alone.alphas), height, width))
    for picture, (left, top, right, bottom), alpha in zip(whole, alone.windows, alone.alphas, strict=True):
        picture[top:bottom, left:right] = alpha
    return whole


def drawn(scene: Scene, backend: Backend) -> np.ndarray:
    alone = draw_alone(scene.splats, scene.cameras, scene.settings, 4, backend=backend)
    return pictures(alone, scene.cameras.width, scene.cameras.height)


def only(splats: Splats, number: int) -> Splats:
    """The same Gaussians, all but one object's without opacity."""
    assert splats.object_index is not None
    return Splats(
        **{**vars(splats), "opacities": splats.opacities * (splats.object_index == number)},
    )


@pytest.mark.parametrize("mode", ["classic", "antialiased"])
@pytest.mark.parametrize("extremes", [False, True])
def test_compiled_and_reference_agree(compiled, mode, extremes):
    for seed in range(3):
        scene = scene_of_objects(seed, mode, extremes)
        found = drawn(compiled.moved(scene.to(torch.float32)), compiled.backend)
        expected = drawn(scene.to(torch.float64), "reference")
        # A Gaussian whose alpha is about 1/255 at a pixel may count in one and not in the other.
        different = np.abs(found - expected) > 1e-4
        assert different.mean() < 1e-3
        assert np.abs(found - expected).max() < 0.01


def test_alone_is_the_alpha_of_a_picture_of_that_object_only():
    scene = scene_of_objects(5).to(torch.float32)
    found = drawn(scene, "cpu")
    for number in range(1, 4):
        expected = rasterize(only(scene.splats, number), scene.cameras, scene.settings).alpha[0]
        assert (found[number] > 0.5).any()
        np.testing.assert_allclose(found[number], expected.detach().numpy(), atol=2e-4)


def test_background_is_left_out_and_objects_out_of_sight_have_no_window():
    scene = scene_of_objects(6).to(torch.float32)
    alone = draw_alone(scene.splats, scene.cameras, scene.settings, 6)
    assert len(alone.windows) == len(alone.alphas) == 6
    for number in (0, 4, 5):
        assert (alone.windows[number] == 0).all()
        assert alone.alphas[number].size == 0


def test_two_cameras_are_refused():
    scene = random_scene(SceneOptions(cameras=2, objects=2)).to(torch.float32)
    with pytest.raises(ValueError, match="expected one camera"):
        draw_alone(scene.splats, scene.cameras, scene.settings, 2)


def test_more_objects_in_the_splats_than_announced_are_refused():
    scene = scene_of_objects(7).to(torch.float32)
    with pytest.raises(ValueError, match="objects: expected more than 3, got 2"):
        draw_alone(scene.splats, scene.cameras, scene.settings, 2)
