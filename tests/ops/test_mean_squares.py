import pytest
import torch

from gsrecon.ops.mean_squares import weighted_mean_squares, weighted_mean_squares_reference


@pytest.mark.parametrize("rows", [[1], [3, 700], [40, 40, 2, 2], [1] * 8])
def test_the_compiled_sum_agrees_with_the_reference_in_values_and_gradients(compiled, generator, rows):
    tables = [torch.randn(count, 3 + k, generator=generator) for k, count in enumerate(rows)]
    weights = [1e2, 1e4, 0.5, 3.0, 1.0, 1.0, 1.0, 1.0][: len(rows)]
    results = []
    for total, dtype, move in (
        (weighted_mean_squares, torch.float32, compiled.on_device),
        (weighted_mean_squares_reference, torch.float64, lambda t: t),
    ):
        leaves = [move(t.detach().to(dtype, copy=True)).requires_grad_() for t in tables]
        value = total(list(zip(weights, leaves, strict=True)))
        (0.3 * value).backward()
        results.append([value.detach(), *(leaf.grad for leaf in leaves)])
    for ours, truth in zip(*results, strict=True):
        torch.testing.assert_close(ours.cpu().double(), truth, atol=0, rtol=1e-6)


def test_by_hand():
    penalties = [(2.0, torch.tensor([[1.0, 2.0]])), (10.0, torch.tensor([[3.0]]))]
    assert weighted_mean_squares(penalties).item() == 2 * 2.5 + 90
