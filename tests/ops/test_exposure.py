import pytest
import torch

from gsrecon.ops.exposure import exposed, exposed_reference


def tables(generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    return 0.2 * torch.randn(3, 6, generator=generator), 0.2 * torch.randn(70, 6, generator=generator)


@pytest.mark.parametrize("shape", [(1, 1), (5, 7), (37, 53), (2, 90, 121)])
@pytest.mark.parametrize("pictures", [None, (4, 5, 0.3), (69, 69, 0.0), (0, 1, 1.0)])
def test_the_compiled_pass_agrees_with_the_reference_in_values_and_gradients(
    compiled, generator, shape, pictures
):
    image, upstream = (torch.rand(*shape, 3, generator=generator) for _ in range(2))
    results = []
    for expose, dtype, move in (
        (exposed, torch.float32, compiled.on_device),
        (exposed_reference, torch.float64, lambda t: t),
    ):
        leaves = [
            move(t.detach().to(dtype, copy=True)).requires_grad_()
            for t in (image, *tables(generator.manual_seed(3)))
        ]
        shown = expose(*leaves, 1, pictures)
        (shown * move(upstream.to(dtype))).sum().backward()
        wanted = leaves if pictures is not None else leaves[:2]
        results.append([shown.detach(), *(leaf.grad for leaf in wanted)])
    for ours, truth in zip(*results, strict=True):
        torch.testing.assert_close(ours.cpu().double(), truth, atol=2e-6, rtol=2e-6)


def test_a_cameras_own_exposure_leaves_the_pictures_without_gradient(compiled, generator):
    values = [compiled.on_device(t).requires_grad_() for t in tables(generator)]
    image = compiled.on_device(torch.rand(4, 4, 3, generator=generator))
    exposed(image, *values, 2, None).sum().backward()
    assert values[0].grad.abs().sum(dim=1).nonzero()[:, 0].tolist() == [2]
    assert not values[1].grad.any()


def test_parts_of_wider_pictures_are_exposed_as_they_are(compiled, generator):
    values = [compiled.on_device(t) for t in tables(generator)]
    image = torch.rand(9, 10, 5, generator=generator)[:, 2:, :3]
    shown = exposed(compiled.on_device(image), *values, 0, (1, 2, 0.5)).cpu()
    torch.testing.assert_close(
        shown, exposed_reference(image, *(v.cpu() for v in values), 0, (1, 2, 0.5)), atol=1e-6, rtol=1e-6
    )


@pytest.mark.parametrize(("camera", "pictures"), [(3, None), (0, (69, 70, 0.5)), (-1, None)])
def test_rows_that_the_tables_lack_are_refused(compiled, generator, camera, pictures):
    values = [compiled.on_device(t) for t in tables(generator)]
    with pytest.raises(ValueError, match="no such row"):
        exposed(compiled.on_device(torch.zeros(2, 2, 3)), *values, camera, pictures)


def test_gradients_do_not_depend_on_the_number_of_threads(generator):
    image, upstream = (torch.rand(120, 150, 3, generator=generator) for _ in range(2))
    results, threads = [], torch.get_num_threads()
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            leaves = [t.clone().requires_grad_() for t in (image, *tables(generator.manual_seed(3)))]
            shown = exposed(*leaves, 1, (4, 5, 0.3))
            results.append(torch.autograd.grad(shown, leaves, upstream))
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(one, two) for one, two in zip(*results, strict=True))
