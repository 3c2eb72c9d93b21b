from itertools import pairwise

import pytest
import torch

from gsrecon.ops.perceptron import perceptron, perceptron_reference


def some_layers(widths, generator):
    return [
        (torch.randn(o, i, generator=generator) / i**0.5, 0.1 * torch.randn(o, generator=generator))
        for i, o in pairwise(widths)
    ]


@pytest.mark.parametrize("rows", [0, 1, 31, 32, 257, 1000])
@pytest.mark.parametrize("widths", [[3, 2], [59, 96, 96, 96, 12], [53, 48, 48, 1], [7, 1, 13, 5]])
def test_the_compiled_pass_agrees_with_the_reference_in_values_and_gradients(rows, widths, generator):
    inputs, layers = torch.randn(rows, widths[0], generator=generator), some_layers(widths, generator)
    upstream = torch.randn(rows, widths[-1], generator=generator)
    results = []
    for run, dtype in ((perceptron, torch.float32), (perceptron_reference, torch.float64)):
        x, *flat = [
            t.to(dtype, copy=True).requires_grad_() for t in (inputs, *(t for layer in layers for t in layer))
        ]
        out = run(x, list(zip(flat[::2], flat[1::2], strict=True)))
        (out * upstream).sum().backward()
        results.append([out.detach(), x.grad, *(t.grad for t in flat)])
    for ours, truth in zip(*results, strict=True):
        scale = max(1.0, float(truth.abs().max())) if truth.numel() else 1.0
        torch.testing.assert_close(ours.double(), truth, atol=2e-5 * scale, rtol=1e-4)


def test_inputs_without_gradient_leave_that_of_the_parameters_as_it_is(generator):
    inputs, layers = torch.randn(300, 20, generator=generator), some_layers([20, 30, 4], generator)
    for weight, bias in layers:
        weight.requires_grad_()
        bias.requires_grad_()
    gradients = []
    for needed in (False, True):
        out = perceptron(inputs.clone().requires_grad_(needed), layers)
        gradients.append(torch.autograd.grad(out.square().sum(), [t for layer in layers for t in layer]))
    for one, other in zip(*gradients, strict=True):
        assert torch.equal(one, other)


def test_the_result_does_not_depend_on_the_number_of_threads(generator):
    inputs, layers = torch.randn(5000, 20, generator=generator), some_layers([20, 40, 40, 3], generator)
    inputs.requires_grad_()
    layers[0][0].requires_grad_()
    results, threads = [], torch.get_num_threads()
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            out = perceptron(inputs, layers)
            results.append([out, *torch.autograd.grad(out.square().sum(), [inputs, layers[0][0]])])
    finally:
        torch.set_num_threads(threads)
    for one, other in zip(*results, strict=True):
        assert torch.equal(one, other)
