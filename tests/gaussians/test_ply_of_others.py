"""Splat files as other programs write them, and damaged ones: read right, or refused by name."""

import contextlib
from pathlib import Path

import numpy as np
import plyfile
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gsrecon.errors import DatasetError
from gsrecon.gaussians.gaussians import Gaussians
from gsrecon.gaussians.ply import ply_bytes, read_ply, write_ply
from gsrecon.gaussians.splat_files import read_splats
from gsrecon.geometry.spherical_harmonics import rgb_to_sh0

BASE = ("x", "y", "z", "f_dc_0", "f_dc_1", "f_dc_2", "opacity", "scale_0", "scale_1", "scale_2")
TURN = ("rot_0", "rot_1", "rot_2", "rot_3")


def table(names, count=5, dtype="f4", seed=0, **fixed) -> np.ndarray:
    """Vertices with random values; `fixed` sets whole properties."""
    random = np.random.default_rng(seed)
    vertices = np.zeros(count, dtype=[(name, dtype) for name in names])
    for name in names:
        vertices[name] = random.normal(size=count)
    for name, value in fixed.items():
        vertices[name] = value
    return vertices


def written(path: Path, vertices: np.ndarray, **how) -> Path:
    plyfile.PlyData([plyfile.PlyElement.describe(vertices, "vertex")], **how).write(str(path))
    return path


def same(one: Gaussians, other: Gaussians) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.named().values(), other.named().values(), strict=True))


@pytest.mark.parametrize("how", [{"text": True}, {"byte_order": "<"}, {"byte_order": ">"}])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_text_either_byte_order_and_doubles_read_alike(tmp_path: Path, how: dict, dtype: str) -> None:
    vertices = table((*BASE, *TURN), dtype=dtype)
    found = read_ply(written(tmp_path / "a.ply", vertices, **how))
    assert found.sh_degree == 0
    assert np.allclose(found.means[:, 1], vertices["y"], atol=1e-6)
    assert np.allclose(found.quats[:, 3], vertices["rot_3"], atol=1e-6)
    assert np.allclose(found.log_scales[:, 2], vertices["scale_2"], atol=1e-6)


@pytest.mark.parametrize(("degree", "count"), [(1, 9), (2, 24), (3, 45)])
def test_harmonics_come_channel_by_channel_in_any_order_of_properties(
    tmp_path: Path, degree: int, count: int
) -> None:
    rest = tuple(f"f_rest_{k}" for k in reversed(range(count)))
    vertices = table((*TURN, *rest, "segment", *BASE))
    found = read_splats(written(tmp_path / "a.ply", vertices))
    assert found.sh_degree == degree
    per_channel = count // 3
    assert np.array_equal(found.sh_rest[:, 1, 2], vertices[f"f_rest_{2 * per_channel + 1}"])


def test_discs_become_thin_gaussians(tmp_path: Path) -> None:
    names = tuple(name for name in (*BASE, *TURN) if name != "scale_2")
    found = read_ply(written(tmp_path / "a.ply", table(names, scale_0=0.0, scale_1=-1.0)))
    assert torch.allclose(found.scales[:, 2], torch.full((5,), 0.01 * np.exp(-1)).float())


def test_infinite_log_odds_are_fully_opaque_and_no_turn_at_all_is_the_identity(tmp_path: Path) -> None:
    zero = dict.fromkeys(TURN, 0.0)
    found = read_ply(written(tmp_path / "a.ply", table((*BASE, *TURN), opacity=np.inf, **zero)))
    assert bool((found.opacities == 1).all())
    assert bool(found.logit_opacities.isfinite().all())
    assert torch.equal(found.quats, torch.tensor([1.0, 0, 0, 0]).repeat(5, 1))


def test_a_value_beyond_float32_is_refused(tmp_path: Path) -> None:
    vertices = table((*BASE, *TURN), dtype="f8")
    vertices["x"][3] = 1e300
    with pytest.raises(DatasetError, match="1 Gaussians have values that are not finite"):
        read_ply(written(tmp_path / "a.ply", vertices))


def test_a_list_where_a_number_belongs_is_refused(tmp_path: Path) -> None:
    vertices = np.zeros(2, dtype=[(name, "f4") for name in (*BASE, *TURN[:3])] + [("rot_3", "O")])
    vertices["rot_3"] = [np.zeros(2, "f4")] * 2
    path = written(tmp_path / "a.ply", vertices, text=True)
    with pytest.raises(DatasetError, match="'rot_3' is no number"):
        read_ply(path)


@pytest.mark.parametrize("kind", ["u1", "f4"])
def test_coloured_points_become_balls_as_large_as_their_distance(tmp_path: Path, kind: str) -> None:
    full = 255 if kind == "u1" else 1.0
    fields = [("x", "f4"), ("y", "f4"), ("z", "f4"), ("red", kind), ("green", kind), ("blue", kind)]
    points = np.zeros(5, dtype=fields)
    points["x"] = 0.2 * np.arange(5)
    points["green"] = full
    found = read_splats(written(tmp_path / "a.ply", points))
    assert torch.allclose(found.sh0, rgb_to_sh0(torch.tensor([0.0, 1.0, 0.0])).expand(5, 3))
    assert torch.allclose(found.scales[2], torch.full((3,), 0.5 * (0.2 + 0.2 + 0.4) / 3))
    assert bool((found.opacities > 0.9).all())


def test_points_without_colours_are_grey_and_those_that_are_not_finite_left_out(tmp_path: Path) -> None:
    points = table(("x", "y", "z"))
    points["y"][2] = np.nan
    found = read_splats(written(tmp_path / "a.ply", points))
    assert len(found) == 4
    assert torch.allclose(found.sh0, torch.zeros(4, 3), atol=1e-6)


def test_a_file_without_one_point_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="not one point"):
        read_splats(written(tmp_path / "a.ply", table(("x", "y", "z"), count=0)))


def test_half_a_splat_file_is_refused_not_taken_for_points(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="'rot_0' is missing"):
        read_splats(written(tmp_path / "a.ply", table(BASE)))


def test_a_suffix_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"expected a file \.ply or \.spz, got \.splat"):
        read_splats(tmp_path / "a.splat")


@given(
    count=st.integers(0, 9),
    degree=st.integers(0, 4),
    seed=st.integers(0, 2**31),
    spread=st.sampled_from([1e-6, 1.0, 1e6]),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_was_read_and_is_written_again_is_the_same_file(
    tmp_path: Path, count: int, degree: int, seed: int, spread: float
) -> None:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return spread * torch.randn(*shape, generator=generator)

    made = Gaussians(
        means=draw(count, 3),
        quats=draw(count, 4),
        log_scales=draw(count, 3).clamp(-20, 20),
        logit_opacities=draw(count).clamp(-20, 20),
        sh0=draw(count, 3),
        sh_rest=draw(count, (degree + 1) ** 2 - 1, 3),
    )
    write_ply(tmp_path / "a.ply", made)
    once = read_ply(tmp_path / "a.ply")
    write_ply(tmp_path / "b.ply", once)
    assert (tmp_path / "a.ply").read_bytes() == (tmp_path / "b.ply").read_bytes()
    assert torch.equal(once.means, made.means)
    assert torch.equal(once.sh_rest, made.sh_rest)
    assert same(once, read_splats(tmp_path / "b.ply"))


_WHOLE = ply_bytes(
    Gaussians(*(torch.ones(n) for n in ((3, 3), (3, 4), (3, 3), (3,), (3, 3))), torch.ones(3, 3, 3))
)


@given(
    cut=st.integers(0, len(_WHOLE)),
    places=st.lists(st.tuples(st.integers(0, len(_WHOLE) - 1), st.integers(0, 255)), max_size=4),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_file_is_read_or_refused_as_what_it_is(
    tmp_path: Path, cut: int, places: list[tuple[int, int]]
) -> None:
    content = bytearray(_WHOLE)
    for place, value in places:
        content[place] = value
    path = tmp_path / "a.ply"
    path.write_bytes(content[:cut])
    with contextlib.suppress(DatasetError):  # any other error fails
        found = read_splats(path)
        assert all(bool(tensor.isfinite().all()) for tensor in found.named().values())
