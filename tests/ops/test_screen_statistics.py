import inspect
from dataclasses import fields

import pytest
import torch
from torch import Tensor

from gsrecon.ops.screen_statistics import ScreenStatistics, add_screen_statistics

WIDTH, HEIGHT = 621, 187


def random_pass(cameras: int, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Gradients as small as they are in training, and radii; about half of the cells are in no picture."""
    gradients = torch.rand(cameras, count, 2, generator=generator) * 1e-4
    radii = torch.randint(1, 90, (cameras, count, 2), generator=generator, dtype=torch.int32)
    seen = (torch.rand(cameras, count, 1, generator=generator) < 0.5).int()
    return gradients * seen, radii * seen


def zeros(count: int, device: torch.device, dtype: torch.dtype = torch.float32) -> ScreenStatistics:
    return ScreenStatistics(*(torch.zeros(count, device=device, dtype=dtype) for _ in range(3)))


def tensors(statistics: ScreenStatistics) -> list[Tensor]:
    return [getattr(statistics, field.name).cpu() for field in fields(statistics)]


@pytest.mark.parametrize("cameras", [1, 3])
@pytest.mark.parametrize("count", [0, 1, 700])
def test_several_passes_add_up_as_in_the_reference(compiled, cameras, count, generator):
    actual, expected = zeros(count, compiled.device), zeros(count, torch.device("cpu"), torch.float64)
    for _ in range(4):
        gradients, radii = random_pass(cameras, count, generator)
        there = compiled.on_device(gradients), compiled.on_device(radii)
        add_screen_statistics(*there, WIDTH, HEIGHT, actual)
        add_screen_statistics(gradients.double(), radii, WIDTH, HEIGHT, expected)
    for ours, truth in zip(tensors(actual), tensors(expected), strict=True):
        torch.testing.assert_close(ours.double(), truth, rtol=1e-6, atol=0)


def test_lengths_count_in_half_picture_sizes_and_in_each_camera_that_sees_the_gaussian(compiled):
    gradients = torch.tensor([[[3.0, 0.0], [0.0, 1.0]], [[3.0, 8.0], [7.0, 7.0]]])
    radii = torch.tensor([[[4, 2], [1, 3]], [[1, 9], [0, 0]]], dtype=torch.int32)
    statistics = ScreenStatistics(*(compiled.on_device(t) for t in torch.tensor([[1.0, 2], [3, 4], [5, 1]])))
    add_screen_statistics(compiled.on_device(gradients), compiled.on_device(radii), 4, 2, statistics)
    assert [t.tolist() for t in tensors(statistics)] == [[1 + 6 + 10, 2 + 1], [5, 5], [9, 3]]


def test_gradients_whose_squares_are_too_small_or_large_for_float32_keep_their_length(compiled):
    gradients = torch.tensor([[[3e-30, 4e-30], [3e30, 4e30]]])
    radii, statistics = torch.ones(1, 2, 2, dtype=torch.int32), zeros(2, compiled.device)
    add_screen_statistics(compiled.on_device(gradients), compiled.on_device(radii), 2, 2, statistics)
    torch.testing.assert_close(tensors(statistics)[0], torch.tensor([5e-30, 5e30]), rtol=1e-6, atol=0)


def test_what_is_not_in_the_picture_is_not_even_read(compiled):
    gradients, radii = torch.full((2, 9, 2), torch.nan), torch.zeros(2, 9, 2, dtype=torch.int32)
    for dtype in (torch.float32, torch.float64):
        statistics = zeros(9, compiled.device, dtype)
        there = compiled.on_device(gradients.to(dtype)), compiled.on_device(radii)
        add_screen_statistics(*there, WIDTH, HEIGHT, statistics)
        assert not any(t.any() for t in tensors(statistics))


def test_rows_of_larger_tensors_are_taken_where_they_are(compiled, generator):
    gradients, radii = (compiled.on_device(t) for t in random_pass(3, 60, generator))
    for own in (slice(0, 20), slice(20, 21), slice(21, 60)):
        count = own.stop - own.start
        actual, expected = zeros(count, compiled.device), zeros(count, compiled.device)
        add_screen_statistics(gradients[:, own], radii[:, own], WIDTH, HEIGHT, actual)
        alone = gradients[:, own].contiguous(), radii[:, own].contiguous()
        add_screen_statistics(*alone, WIDTH, HEIGHT, expected)
        for ours, theirs in zip(tensors(actual), tensors(expected), strict=True):
            assert torch.equal(ours, theirs)


def test_tensors_whose_rows_are_not_dense_are_understood(compiled, generator):
    gradients, radii = (compiled.on_device(t) for t in random_pass(2, 30, generator))
    actual, expected = zeros(30, compiled.device), zeros(30, compiled.device)
    add_screen_statistics(gradients, radii, WIDTH, HEIGHT, expected)
    turned = [t.permute(2, 1, 0).contiguous().permute(2, 1, 0) for t in (gradients, radii)]
    add_screen_statistics(*turned, WIDTH, HEIGHT, actual)
    for ours, theirs in zip(tensors(actual), tensors(expected), strict=True):
        assert torch.equal(ours, theirs)


def test_wrong_shapes_are_refused():
    add = inspect.unwrap(add_screen_statistics)  # without the tests' own check of shapes
    gradients, radii = torch.zeros(1, 5, 2), torch.zeros(1, 5, 2, dtype=torch.int32)
    cpu = torch.device("cpu")
    with pytest.raises(ValueError, match=r"expected \[C, N, 2\] both, got \[1, 5, 2\] and \[1, 3, 2\]"):
        add(gradients, radii[:, :3], 4, 4, zeros(5, cpu))
    with pytest.raises(
        ValueError, match=r"expected contiguous tensors \[5\], .* got \[\[4\], \[4\], \[4\]\]"
    ):
        add(gradients, radii, 4, 4, zeros(4, cpu))
    strided = ScreenStatistics(*(t[::2] for t in torch.zeros(3, 10)))
    with pytest.raises(ValueError, match="expected contiguous tensors"):
        add(gradients, radii, 4, 4, strided)
