from dataclasses import replace

import numpy as np
import pytest
import torch

from gsrecon.data.projection import project
from gsrecon.geometry.camera import Cameras
from gsrecon.geometry.rigid import se3_exp
from gsrecon.scene.rays import directions_in_cam
from gsrecon.scene.sky import Sky


def camera(width: int = 8, height: int = 6) -> Cameras:
    K = torch.tensor([[[6.0, 0, width / 2], [0, 6.0, height / 2], [0, 0, 1]]])
    return Cameras(torch.eye(4)[None], K, width, height)


def test_each_face_shows_along_its_own_axis():
    sky = Sky(torch.arange(6.0)[:, None, None, None].expand(6, 4, 4, 3).clone())
    axes = torch.cat([torch.eye(3), -torch.eye(3)])
    assert sky.look(7.5 * axes)[:, 0].tolist() == [0, 2, 4, 1, 3, 5]


def test_colours_between_texel_centres_are_blended():
    texels = torch.zeros(6, 2, 2, 3)
    texels[0, 0, 1] = 1.0
    sky = Sky(texels)
    # Along +x, columns follow y and rows follow z: texel centres lie at +-0.5.
    looks = sky.look(torch.tensor([[1.0, 0.5, -0.5], [1.0, 0.0, -0.5], [1.0, 0.0, 0.0], [1.0, 0.9, -0.9]]))
    assert looks[:, 0].tolist() == pytest.approx([1.0, 0.5, 0.25, 1.0])


def test_sky_fills_what_the_gaussians_leave():
    sky = Sky.plain(4, torch.tensor([0.2, 0.4, 0.6]))
    image, alpha = torch.full((1, 6, 8, 3), 0.1), torch.full((1, 6, 8), 0.75)
    alpha[:, 3:] = 1.0
    shown = sky.composite(image, alpha, camera())
    assert torch.allclose(shown[0, 0, 0], torch.tensor([0.15, 0.2, 0.25]))
    assert torch.equal(shown[0, 3:], image[0, 3:])


def test_gradients_of_texels_alpha_and_image_agree_with_finite_differences(generator):
    texels = torch.rand(6, 3, 3, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    image = torch.rand(1, 2, 3, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    alpha = (0.9 * torch.rand(1, 2, 3, generator=generator, dtype=torch.float64)).requires_grad_()

    def shown(texels: torch.Tensor, image: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
        cameras = camera(3, 2)
        return Sky(texels).composite(image, alpha, replace(cameras, Ks=0.5 * cameras.Ks))

    assert torch.autograd.gradcheck(shown, (texels, image, alpha))


def test_the_sky_learns_what_is_seen_through_the_gaussians(generator):
    truth = Sky(torch.rand(6, 4, 4, 3, generator=generator))
    sky = Sky.plain(4, torch.tensor([0.5, 0.5, 0.5]))
    sky.texels.requires_grad_()
    optimizer = torch.optim.Adam([sky.texels], lr=0.05)
    image, alpha = torch.zeros(1, 6, 8, 3), torch.zeros(1, 6, 8)
    wanted = truth.composite(image, alpha, camera())
    for _ in range(200):
        optimizer.zero_grad()
        (sky.composite(image, alpha, camera()) - wanted).square().mean().backward()
        optimizer.step()
    assert (sky.composite(image, alpha, camera()) - wanted).abs().max() < 0.01


def test_a_picture_shows_the_sky_along_its_pixels(generator):
    """Through a pinhole and a fisheye lens, from a turned camera."""
    sky = Sky(torch.rand(6, 16, 16, 3, generator=generator))
    turn = se3_exp(torch.tensor([[0.0, 0.0, 0.0, 0.4, -1.1, 0.3]]))
    for model in ("pinhole", "fisheye"):
        K = torch.tensor([[[20.0, 0, 20], [0, 22.0, 15], [0, 0, 1]]])
        cameras = Cameras(turn, K, 40, 30, model=model)
        y, x = torch.meshgrid(torch.arange(30) + 0.5, torch.arange(40) + 0.5, indexing="ij")
        in_world = directions_in_cam(cameras, 0, x, y).reshape(-1, 3) @ turn[0, :3, :3]
        shown = sky.composite(torch.zeros(1, 30, 40, 3), torch.zeros(1, 30, 40), cameras)[0]
        torch.testing.assert_close(shown, sky.look(in_world).reshape(30, 40, 3), atol=1e-4, rtol=0)


def test_fisheye_directions_invert_the_lens():
    cameras = Cameras(
        torch.eye(4)[None],
        torch.tensor([[[50.0, 0, 40], [0, 50.0, 30], [0, 0, 1]]]),
        80,
        60,
        model="fisheye",
        distortion=torch.tensor([[0.05, -0.01, 0.002, 0.0]]),
    )
    x, y = torch.tensor([40.0, 3.5, 70.5]), torch.tensor([30.0, 10.5, 58.5])
    directions = directions_in_cam(cameras, 0, x, y).double().numpy()
    pixels = project(directions, cameras.Ks[0].double().numpy(), "fisheye", (0.05, -0.01, 0.002, 0.0))
    assert np.allclose(pixels, np.stack([x, y], axis=1), atol=1e-3)
