import pytest
import torch

from gsrecon.ops.adam import AdamStep, adam_rows


def take_step(compiled, gradient, value, moments, step, rate=1e-2):
    """In place; on a GPU through copies."""
    take_steps(compiled, [AdamStep(step, rate)], [(gradient, value, *moments)])


def take_steps(compiled, steps, tensors):
    """Of many: gradient, value and moments of each."""
    there = [[compiled.on_device(t) for t in of_each] for of_each in zip(*tensors, strict=True)]
    adam_rows(steps, *there)
    for here, moved in zip(zip(*tensors, strict=True), there, strict=True):
        for tensor, stepped in zip(here, moved, strict=True):
            tensor.copy_(stepped)


def random_tensors(shape, generator):
    """A gradient that some rows lack, a value and its moments."""
    gradient, value, first, second = torch.randn(4, *shape, generator=generator)
    if len(shape) > 0:
        gradient[torch.rand(shape[0], generator=generator) < 0.5] = 0
    return gradient, value, first, second.abs()


@pytest.mark.parametrize("shape", [(1,), (37,), (300, 3), (513, 8, 3), (2000, 4), (3, 700)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_where_every_row_has_a_gradient_it_is_torchs_adam(compiled, shape, dtype, generator):
    start = torch.randn(shape, generator=generator, dtype=dtype)
    ours, moments = start.clone(), (torch.zeros_like(start), torch.zeros_like(start))
    theirs = start.clone().requires_grad_()
    adam = torch.optim.Adam([theirs], lr=1e-2, betas=(0.9, 0.999), eps=1e-15)
    for step in range(1, 6):
        gradient = torch.randn(shape, generator=generator, dtype=dtype) * 10.0**-step
        theirs.grad = gradient.clone()
        adam.step()
        take_step(compiled, gradient, ours, moments, step)
    torch.testing.assert_close(ours, theirs.detach(), rtol=1e-5, atol=1e-6)


def test_rows_without_a_gradient_are_left_alone_with_their_moments(compiled, generator):
    value = torch.randn(1000, 3, generator=generator)
    moments = (torch.randn(1000, 3, generator=generator), torch.rand(1000, 3, generator=generator))
    before = [tensor.clone() for tensor in (value, *moments)]
    gradient = torch.randn(1000, 3, generator=generator)
    seen = torch.rand(1000, generator=generator) < 0.3
    seen[256:512] = False  # a whole block
    gradient[~seen] = 0
    gradient[seen, 1] = 0  # one entry of a row may be zero
    take_step(compiled, gradient, value, moments, step=7)
    for tensor, old in zip((value, *moments), before, strict=True):
        assert torch.equal(tensor[~seen], old[~seen])
        assert bool((tensor[seen] != old[seen]).any(dim=1).all())


def test_a_row_takes_the_same_step_wherever_it_stands(compiled, generator):
    row = torch.randn(4, 1, 5, generator=generator)
    alone = [part.clone() for part in row]
    take_step(compiled, alone[0], alone[1], (alone[2], alone[3].abs_()), step=3)
    for place in (0, 1, 17, 255, 256, 299):
        rows = torch.randn(4, 300, 5, generator=generator)
        rows[0, place - 1 if place % 2 else place] = 0
        rows[:, place] = row[:, 0]
        rows[3].abs_()
        take_step(compiled, rows[0], rows[1], (rows[2], rows[3]), step=3)
        assert torch.equal(rows[1, place], alone[1][0])


def test_the_result_does_not_depend_on_the_number_of_threads(generator):
    tensors = torch.randn(4, 5000, 9, generator=generator)
    tensors[3].abs_()
    tensors[0, torch.rand(5000, generator=generator) < 0.5] = 0
    results, threads = [], torch.get_num_threads()
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            own = tensors.clone()
            adam_rows([AdamStep(2, 1e-2)] * 2, *(tensor.split([1000, 4000]) for tensor in own))
            results.append(own)
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(*results)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_schedule_takes_the_place_of_the_numbers(compiled, dtype, generator):
    start = torch.rand(4, 50, 3, generator=generator, dtype=dtype)
    plain, scheduled = compiled.on_device(start.clone()), compiled.on_device(start.clone())
    step = AdamStep(5, 1e-2)
    adam_rows([step], *([t] for t in plain))
    values = torch.tensor([step.corrected_rate, step.second_moment_scale], dtype=dtype)
    adam_rows([AdamStep(1, 7.0, schedule=compiled.on_device(values))], *([t] for t in scheduled))
    torch.testing.assert_close(scheduled, plain)


@pytest.mark.parametrize("count", [2, 13, 100])
def test_many_tensors_step_as_each_would_alone(compiled, count, generator):
    shapes = [(), (1,), (37,), (300, 3), (0, 3), (65, 8, 3), (3, 700), (4, 0), (6, 16, 16, 3), (2, 3000)]
    tensors = [random_tensors(shapes[i % len(shapes)], generator) for i in range(count)]
    steps = [AdamStep(1 + i % 7, 1e-2 / (1 + i), beta1=0.8 + 0.001 * i) for i in range(count)]
    alone = [[t.clone() for t in own] for own in tensors]
    for step, own in zip(steps, alone, strict=True):
        take_steps(compiled, [step], [own])
    take_steps(compiled, steps, tensors)
    for together, single in zip(tensors, alone, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(together, single, strict=True))


@pytest.mark.parametrize(
    ("width", "at"), [(5000, at) for at in (None, 0, 1023, 1024, 4999)] + [(20000, 19999)]
)
def test_a_long_row_steps_as_a_whole_wherever_its_gradient_is(compiled, width, at, generator):
    gradient, value, first, second = random_tensors((3, width), generator)
    gradient[:] = 0
    if at is not None:
        gradient[1, at] = 2.0
    double = [t.double() for t in (gradient, value, first, second)]
    before = second.clone()
    take_step(compiled, gradient, value, (first, second), step=3)
    adam_rows([AdamStep(3, 1e-2)], *([t] for t in double))
    torch.testing.assert_close(value, double[1].float())
    assert torch.equal(second[[0, 2]], before[[0, 2]])
    assert bool((second[1] < before[1]).sum() >= width - 1) == (at is not None)


def test_what_is_not_float32_takes_the_step_of_the_reference(compiled, generator):
    single, double = random_tensors((20, 3), generator), random_tensors((20, 3), generator)
    double = [t.double() for t in double]
    expected = [[t.double() for t in single], [t.clone() for t in double]]
    steps = [AdamStep(2, 1e-2), AdamStep(3, 1e-3)]
    take_steps(compiled, steps, [single, double])
    adam_rows(steps, *zip(*expected, strict=True))
    torch.testing.assert_close(single[1], expected[0][1].float())
    assert torch.equal(double[1], expected[1][1])


def test_a_tensor_that_cannot_be_updated_in_place_is_refused(compiled):
    strided = compiled.on_device(torch.zeros(4, 8))[:, :3]
    rows = torch.ones_like(strided)
    with pytest.raises(ValueError, match="contiguous"):
        adam_rows([AdamStep(1, 1e-2)], [rows], [strided], [rows], [rows])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_moments_of_another_shape_are_refused(compiled, dtype):
    rows, wrong = (compiled.on_device(torch.ones(4, width, dtype=dtype)) for width in (3, 2))
    with pytest.raises(ValueError, match="second_moments: expected the gradients' shapes"):
        adam_rows([AdamStep(1, 1e-2)], [rows], [rows], [rows], [wrong])


def test_fewer_values_than_steps_are_refused(compiled):
    rows = compiled.on_device(torch.ones(4, 3))
    with pytest.raises(ValueError, match="expected as many of each, got 2, 2, 1, 2, 2"):
        adam_rows([AdamStep(1, 1e-2)] * 2, [rows] * 2, [rows], [rows] * 2, [rows] * 2)


def test_no_rows_are_no_work(compiled):
    empty = torch.zeros(0, 3)
    take_step(compiled, empty, empty, (empty, empty), step=1)
    assert empty.shape == (0, 3)
    adam_rows([], [], [], [], [])
