"""Splat PLY files: the layout viewers expect, round trips, damaged files, merged scenes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import plyfile
import pytest
import torch

from gsrecon.errors import DatasetError
from gsrecon.gaussians.flatten import flatten, rotate_sh
from gsrecon.gaussians.gaussians import Gaussians
from gsrecon.gaussians.ply import read_ply, read_source_from_world, write_ply
from gsrecon.geometry.rigid import quat_to_rotmat, se3_exp
from gsrecon.geometry.spherical_harmonics import eval_sh


def some_gaussians(count: int, degree: int, generator: torch.Generator) -> Gaussians:
    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    return Gaussians(
        means=draw(count, 3),
        quats=torch.nn.functional.normalize(draw(count, 4), dim=-1),
        log_scales=draw(count, 3),
        logit_opacities=draw(count),
        sh0=draw(count, 3),
        sh_rest=draw(count, (degree + 1) ** 2 - 1, 3),
    )


@pytest.mark.parametrize("degree", [0, 1, 2, 3, 4])
def test_a_written_file_reads_back_the_same(tmp_path: Path, generator: torch.Generator, degree: int) -> None:
    gaussians = some_gaussians(7, degree, generator)
    write_ply(tmp_path / "scene.ply", gaussians)
    again = read_ply(tmp_path / "scene.ply")
    for name, value in gaussians.named().items():
        assert torch.allclose(again.named()[name], value, atol=1e-6), name


def test_no_gaussians_at_all_is_a_file_too(tmp_path: Path, generator: torch.Generator) -> None:
    write_ply(tmp_path / "scene.ply", some_gaussians(0, 3, generator))
    assert len(read_ply(tmp_path / "scene.ply")) == 0


def test_properties_stand_in_the_order_viewers_expect(tmp_path: Path, generator: torch.Generator) -> None:
    gaussians = some_gaussians(3, 1, generator)
    write_ply(tmp_path / "scene.ply", gaussians)
    vertices = plyfile.PlyData.read(str(tmp_path / "scene.ply"))["vertex"].data
    assert vertices.dtype.names == (
        *("x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2"),
        *(f"f_rest_{k}" for k in range(9)),
        *("opacity", "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"),
    )
    assert all(vertices.dtype[name] == np.dtype("<f4") for name in vertices.dtype.names)
    # Channel-major: f_rest_3 is green's first coefficient.
    assert np.allclose(vertices["f_rest_3"], gaussians.sh_rest[:, 0, 1].numpy())
    assert np.allclose(vertices["f_rest_2"], gaussians.sh_rest[:, 2, 0].numpy())
    assert np.allclose(vertices["rot_0"], gaussians.quats[:, 0].numpy())


def test_source_coordinates_are_kept_to_the_last_bit(tmp_path: Path, generator: torch.Generator) -> None:
    source_from_world = se3_exp(torch.tensor([4.5e5, 5.4e6 + 1 / 3, 100.1, 0, 0, 0], dtype=torch.float64))
    write_ply(tmp_path / "scene.ply", some_gaussians(2, 0, generator), source_from_world)
    kept = read_source_from_world(tmp_path / "scene.ply")
    assert kept is not None
    assert torch.equal(kept, source_from_world)


def test_a_file_of_another_program_has_no_source_coordinates(
    tmp_path: Path, generator: torch.Generator
) -> None:
    write_ply(tmp_path / "scene.ply", some_gaussians(2, 0, generator))
    assert read_source_from_world(tmp_path / "scene.ply") is None


def test_a_truncated_file_is_named(tmp_path: Path, generator: torch.Generator) -> None:
    path = tmp_path / "scene.ply"
    write_ply(path, some_gaussians(50, 0, generator))
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(DatasetError, match=r"scene\.ply: damaged"):
        read_ply(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"nothing\.ply: .* cannot be read"):
        read_ply(tmp_path / "nothing.ply")


def test_a_file_that_is_not_a_ply_is_named(tmp_path: Path) -> None:
    (tmp_path / "picture.ply").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    with pytest.raises(DatasetError, match=r"picture\.ply: damaged or not a PLY"):
        read_ply(tmp_path / "picture.ply")


def test_a_plain_point_cloud_is_refused(tmp_path: Path) -> None:
    points = np.zeros(4, dtype=[("x", "<f4"), ("y", "<f4"), ("z", "<f4")])
    element = plyfile.PlyElement.describe(points, "vertex")
    plyfile.PlyData([element]).write(str(tmp_path / "points.ply"))
    with pytest.raises(DatasetError, match="'f_dc_0' is missing"):
        read_ply(tmp_path / "points.ply")


def test_values_that_are_not_finite_are_refused(tmp_path: Path, generator: torch.Generator) -> None:
    gaussians = some_gaussians(5, 0, generator)
    gaussians.means[2, 1] = float("nan")
    write_ply(tmp_path / "scene.ply", gaussians)
    with pytest.raises(DatasetError, match="1 Gaussians have values that are not finite"):
        read_ply(tmp_path / "scene.ply")


def test_turned_harmonics_give_the_old_radiance_in_the_turned_direction(
    generator: torch.Generator,
) -> None:
    sh_rest = torch.randn(5, 24, 3, generator=generator, dtype=torch.float64)
    rotation = quat_to_rotmat(torch.randn(4, generator=generator, dtype=torch.float64))
    directions = torch.nn.functional.normalize(
        torch.randn(5, 3, generator=generator, dtype=torch.float64), dim=-1
    )
    zero = torch.zeros(5, 3, dtype=torch.float64)
    expected = eval_sh(zero, sh_rest, directions, 4)
    turned = eval_sh(zero, rotate_sh(sh_rest, rotation), directions @ rotation.T, 4)
    assert torch.allclose(turned, expected, atol=1e-9)


def test_objects_are_merged_into_world(generator: torch.Generator) -> None:
    gaussians = some_gaussians(6, 1, generator)
    motion = se3_exp(torch.tensor([5.0, 1.0, 0.0, 0.0, 0.0, 1.2]))
    splats = replace(
        gaussians.to_splats(),
        object_index=torch.tensor([0, 0, 0, 2, 2, 2], dtype=torch.int32),
        world_from_object=torch.stack([torch.eye(4), motion @ motion, motion])[None],
    )
    merged = flatten(splats)
    assert torch.equal(merged.means[:3], gaussians.means[:3])
    expected = gaussians.means[3:] @ motion[:3, :3].T + motion[:3, 3]
    assert torch.allclose(merged.means[3:], expected, atol=1e-5)
    turned = quat_to_rotmat(merged.quats[3:])
    assert torch.allclose(turned, motion[:3, :3] @ quat_to_rotmat(gaussians.quats[3:]), atol=1e-5)
    assert torch.allclose(merged.log_scales, gaussians.log_scales, atol=1e-5)
    assert torch.allclose(merged.opacities, gaussians.opacities, atol=1e-5)
    assert torch.equal(merged.sh_rest[:3], gaussians.sh_rest[:3])
    assert not torch.allclose(merged.sh_rest[3:], gaussians.sh_rest[3:], atol=1e-2)
