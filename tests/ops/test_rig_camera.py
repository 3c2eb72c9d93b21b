from dataclasses import replace

import pytest
import torch
from torch import Tensor

from gsrecon.geometry.rigid import inverse, se3_exp
from gsrecon.ops.rig_camera import (
    RigCamera,
    RigCorrections,
    corrected_pose,
    corrected_viewmats,
    corrected_viewmats_reference,
)


def corrections(generator: torch.Generator, size: float = 0.1) -> RigCorrections:
    return RigCorrections(*(size * torch.randn(rows, 3, generator=generator) for rows in (7, 7, 3, 3)))


def camera(generator: torch.Generator, knots=(2, 3, 0.3), number: int = 1) -> RigCamera:
    tangents = torch.randn(2, 6, generator=generator, dtype=torch.float64)
    tangents[1, :3] *= 1000  # metres from the world's origin
    mounting, pose = se3_exp(tangents).numpy()
    return RigCamera(number, knots, mounting, pose)


def changed(tables: RigCorrections, change) -> RigCorrections:
    return RigCorrections(*(change(table.detach().clone()) for table in tables.tensors()))


def gradients(view, tables: RigCorrections, upstream: Tensor) -> tuple[Tensor, list[Tensor]]:
    viewmats = view(tables)
    (viewmats * upstream.to(viewmats)).sum().backward()
    return viewmats.detach().cpu().double(), [t.grad.cpu().double() for t in tables.tensors()]


@pytest.mark.parametrize("knots", [(2, 3, 0.3), (0, 0, 0.0), (5, 6, 1.0), (6, 6, 0.0)])
@pytest.mark.parametrize("size", [0.0, 1e-4, 0.1, 3.0])
def test_the_compiled_camera_agrees_with_the_reference_in_values_and_gradients(
    compiled, generator, knots, size
):
    tables, seen = corrections(generator, size), camera(generator, knots)
    upstream = torch.randn(1, 4, 4, generator=generator)
    ours = gradients(
        lambda t: corrected_viewmats(t, seen),
        changed(tables, lambda t: compiled.on_device(t).requires_grad_()),
        upstream,
    )
    truth = gradients(
        lambda t: corrected_viewmats_reference(t, seen),
        changed(tables, lambda t: t.double().requires_grad_()),
        upstream,
    )
    torch.testing.assert_close(ours[0], truth[0], atol=1e-6, rtol=1e-7)
    for own, expected in zip(ours[1], truth[1], strict=True):
        torch.testing.assert_close(own, expected, atol=1e-7 * expected.abs().max().item(), rtol=1e-6)


def test_gradients_reach_the_knots_around_and_the_camera_alone(compiled, generator):
    tables = changed(corrections(generator), lambda t: compiled.on_device(t).requires_grad_())
    corrected_viewmats(tables, camera(generator, (2, 3, 0.25), number=2)).square().sum().backward()
    for table, rows in zip(tables.tensors(), ([2, 3], [2, 3], [2], [2]), strict=True):
        assert table.grad is not None
        assert table.grad.abs().sum(dim=1).nonzero()[:, 0].tolist() == rows


def test_the_viewmat_is_the_inverse_of_the_corrected_pose(compiled, generator):
    tables, seen = corrections(generator), camera(generator)
    here = changed(tables, compiled.on_device)
    pose = corrected_pose(
        tables,
        seen.number,
        seen.knots,
        torch.from_numpy(seen.ego_from_cam),
        torch.from_numpy(seen.world_from_cam),
    )
    assert pose.dtype == torch.float64
    viewmats = corrected_viewmats(here, seen)
    assert viewmats.dtype == torch.float32
    # The pose's own knots are interpolated in float32.
    torch.testing.assert_close(viewmats.cpu(), inverse(pose)[None].float(), atol=2e-4, rtol=1e-6)


@pytest.mark.parametrize("wrong", [{"number": 3}, {"number": -1}, {"knots": (6, 7, 0.5)}])
def test_rows_that_the_tables_lack_are_refused(compiled, generator, wrong):
    tables = changed(corrections(generator), compiled.on_device)
    with pytest.raises(ValueError, match="no such row"):
        corrected_viewmats(tables, replace(camera(generator), **wrong))
