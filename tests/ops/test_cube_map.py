import pytest
import torch

from gsrecon.ops.cube_map import over_cube_map, over_cube_map_reference
from tests.ops.operators import Operators


@pytest.mark.parametrize("size", [1, 2, 5, 32])
@pytest.mark.parametrize("neighbours_share_texels", [False, True])
def test_the_compiled_pass_agrees_with_the_reference_in_values_and_gradients(
    compiled, size, neighbours_share_texels, generator
):
    height, width = 37, 53
    image = torch.rand(height, width, 3, generator=generator)
    alpha = torch.rand(height, width, generator=generator)
    alpha[:10] = 0.9995  # shows nothing
    texels = torch.rand(6, size, size, 3, generator=generator)
    directions = torch.randn(height, width, 3, generator=generator)
    if neighbours_share_texels:  # as in a picture, with holes in its sky
        x, y = torch.arange(width) / width - 0.5, torch.arange(height) / height - 0.5
        directions = torch.stack([*torch.meshgrid(x, y, indexing="xy"), torch.ones(height, width)], dim=-1)
        alpha[20:, ::7] = 1.0
    rotation = torch.linalg.qr(torch.randn(3, 3, generator=generator)).Q
    upstream = torch.randn(height, width, 3, generator=generator)

    def on_device(*tensors):
        return over_cube_map(*(compiled.on_device(t) for t in tensors)).cpu()

    results = []
    for draw, dtype in ((on_device, torch.float32), (over_cube_map_reference, torch.float64)):
        leaves = [t.detach().clone().to(dtype).requires_grad_() for t in (image, alpha, texels)]
        shown = draw(*leaves, directions.to(dtype), rotation.to(dtype))
        (shown * upstream).sum().backward()
        results.append([shown.detach(), *(leaf.grad for leaf in leaves)])
    for ours, truth in zip(*results, strict=True):
        torch.testing.assert_close(ours.double(), truth, atol=2e-4, rtol=1e-4)


def test_the_result_does_not_depend_on_the_number_of_threads(generator):
    image, alpha = torch.rand(90, 120, 3, generator=generator), torch.rand(90, 120, generator=generator)
    texels = torch.rand(6, 8, 8, 3, generator=generator).requires_grad_()
    directions = torch.randn(90, 120, 3, generator=generator)
    results, threads = [], torch.get_num_threads()
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            shown = over_cube_map(image, alpha, texels, directions, torch.eye(3))
            (gradient,) = torch.autograd.grad(shown.square().sum(), texels)
            results.append((shown.detach(), gradient))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])


def test_the_reference_has_no_matrix_product_which_a_gpu_would_not_do_deterministically(generator):
    image, alpha = torch.rand(9, 12, 3, generator=generator), torch.rand(9, 12, generator=generator)
    texels = torch.rand(6, 8, 8, 3, generator=generator).requires_grad_()
    directions = torch.randn(9, 12, 3, generator=generator)
    with Operators() as seen:
        over_cube_map_reference(image, alpha, texels, directions, torch.eye(3)).sum().backward()
    assert "index" in seen.names
    assert not seen.matrix_products
