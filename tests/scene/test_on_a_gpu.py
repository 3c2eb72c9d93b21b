"""Parts of scenes that a training run of a few steps does not reach, on a GPU that is pretended."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from gsrecon.geometry.camera import Cameras
from gsrecon.geometry.paths import look_at
from gsrecon.geometry.rigid import inverse
from gsrecon.ops.splats import Splats
from gsrecon.scene.deformation import Deformation
from gsrecon.scene.deformation_config import DeformationConfig, Extent
from gsrecon.scene.halo import AFAR_M, Halo
from gsrecon.scene.node import node_on
from gsrecon.scene.rays import picture_directions
from gsrecon.scene.recording import RecordedCamera
from gsrecon.scene.render import camera_at
from gsrecon.scene.static import StaticGroup
from gsrecon.train.losses import needle_loss
from tests.pretend_device import DEVICE, pretend_gpu
from tests.tiny_drive import tiny_scene


def same_on_both(compute: Callable[[torch.device], torch.Tensor]) -> None:
    """Runs something on the CPU and on the GPU."""
    expected = compute(torch.device("cpu"))
    with pretend_gpu():
        found = compute(DEVICE)
        assert found.device == DEVICE
        assert torch.equal(found.cpu(), expected)


def background(device: torch.device) -> StaticGroup:
    node = node_on(tiny_scene()["background"], device)
    assert isinstance(node, StaticGroup)
    return node


def looking_along_x(from_x: float, device: torch.device) -> Cameras:
    position = torch.tensor([from_x, 0.0, 1.5], dtype=torch.float64, device=device)
    pose = look_at(position, position + position.new_tensor([1.0, 0.0, 0.0]))
    K = torch.tensor([[30.0, 0, 24], [0, 30, 16], [0, 0, 1]], device=device)
    return Cameras(inverse(pose).float()[None], K[None], 48, 33)


@pytest.mark.parametrize(
    ("from_x", "drawn"),
    [(0.0, "all"), (-3 * AFAR_M, "merged"), (60.0, "nothing")],
    ids=["near", "afar", "behind"],
)
def test_a_halo_is_drawn_as_on_the_cpu(from_x, drawn):
    def means(device: torch.device) -> torch.Tensor:
        gaussians = background(device).gaussians
        halo = Halo("halo", gaussians, focal_px=3.0)
        splats: Splats = halo.splats_at(torch.zeros(1), cameras=looking_along_x(from_x, device))
        counts = {"all": len(gaussians), "nothing": 0}
        assert len(splats) == counts.get(drawn, len(splats))
        assert (0 < len(splats) < len(gaussians)) == (drawn == "merged")
        return splats.means

    same_on_both(means)


def test_evidence_of_where_things_went_stays_on_the_cpu_and_is_compared_on_the_gpu(generator):
    evidence = torch.rand(60, 8, generator=generator)
    evidence[:, 4] = evidence[:, 4].round()
    evidence[:30, 5:] = torch.nan
    extent = Extent((0.0, 0.0, 0.0), 1.0, 0.0, 1.0, 0.1)

    def error(device: torch.device) -> torch.Tensor:
        drawn = torch.Generator().manual_seed(4)
        field = Deformation.start(DeformationConfig(), extent, torch.full((8,), 0.5), drawn)
        field.networks["deformation.bias"] += 0.3
        tensors = {name: tensor.to(device) for name, tensor in field.named().items()}
        moved = Deformation.restored(field.settings(), {**tensors, "evidence": evidence.to(device)})
        assert moved.evidence.device == torch.device("cpu")
        moved.begin_step(0.9, drawn)
        found = moved.evidence_error(20)
        assert found is not None
        return found

    same_on_both(error)


def test_needles_and_the_sky_are_looked_up(generator):
    directions = torch.randn(20, 3, generator=generator)

    def both(device: torch.device) -> torch.Tensor:
        graph = tiny_scene().to(device)
        assert graph.sky is not None
        return graph.sky.look(directions) + needle_loss(background(device).gaussians)

    same_on_both(both)


def test_a_scene_that_is_there_already_is_not_copied():
    graph = tiny_scene()
    assert graph.to("cpu") is graph
    with pretend_gpu():
        there = graph.to(DEVICE)
        assert there is not graph
        assert there.to(DEVICE) is there
        back = there.to("cpu")
    for name, tensor in graph.parameters().items():
        assert torch.equal(tensor, back.parameters()[name])


def test_what_learns_learns_there():
    graph = tiny_scene()
    graph.trainable()
    graph["sky"].texels.requires_grad_(False)
    with pretend_gpu():
        learning = {name: t.requires_grad and t.is_leaf for name, t in graph.to(DEVICE).parameters().items()}
    assert learning == {name: not name.startswith("sky") for name in graph.parameters()}


@pytest.mark.parametrize("model", ["pinhole", "fisheye"])
def test_a_recorded_lens_is_read_from_a_gpu_once_however_many_pictures_it_draws(model):
    K = np.array([[31.0, 0, 24], [0, 30, 16], [0, 0, 1]])
    lens = RecordedCamera(
        "front", K, 48, 33, np.eye(4), model, None if model == "pinhole" else (0.1, 0.0, 0.0, 0.0)
    )
    pose = torch.eye(4, dtype=torch.float64)
    expected = picture_directions(camera_at(lens, pose), 0)
    with pretend_gpu() as reads:
        for shift in range(3):
            directions = picture_directions(camera_at(lens, (pose + shift).to(DEVICE)), 0)
            assert len(reads) == (1 if model == "pinhole" else 2)
        assert torch.equal(directions.cpu(), expected)


def test_a_lens_that_is_written_to_is_read_again():
    with pretend_gpu():
        cameras = looking_along_x(0.0, DEVICE)
        before = picture_directions(cameras, 0).cpu()
        cameras.Ks[0, 0, 0] *= 2
        after = picture_directions(cameras, 0).cpu()
    assert torch.allclose(2 * after[..., 0], before[..., 0])
    assert torch.equal(after[..., 1], before[..., 1])


def test_lenses_are_read_in_inference_too():
    with torch.inference_mode():
        cameras = looking_along_x(0.0, torch.device("cpu"))
        assert picture_directions(cameras, 0).shape == (33, 48, 3)
