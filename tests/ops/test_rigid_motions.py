import pytest
import torch

from gsrecon.geometry.rigid import se3_exp
from gsrecon.ops.rigid_motions import se3_exps


@pytest.mark.parametrize("angle", [0.0, 1e-9, 1e-3, 0.316, 0.3163, 1.0, 3.1, 7.0])
def test_compiled_motions_agree_with_the_reference_to_the_last_digits(compiled, generator, angle):
    tangents, upstream = (torch.randn(70, n, generator=generator, dtype=torch.float64) for n in (6, 16))
    tangents[:, 3:] *= angle / tangents[:, 3:].norm(dim=1, keepdim=True)
    results = []
    for exp, move in ((se3_exps, compiled.on_device), (se3_exp, lambda t: t)):
        leaf = move(tangents.clone()).requires_grad_()
        motions = exp(leaf)
        motions.backward(move(upstream.view(70, 4, 4)))
        assert leaf.grad is not None
        results.append((motions.detach().cpu(), leaf.grad.cpu()))
    for ours, truth in zip(*results, strict=True):
        torch.testing.assert_close(ours, truth, atol=1e-14, rtol=1e-13)


def test_no_motions_are_none(compiled):
    tangents = compiled.on_device(torch.zeros(0, 6, dtype=torch.float64))
    assert se3_exps(tangents).shape == (0, 4, 4)
