"""Compressed PLY and SPZ: errors within what the formats round to, the layout others read, damaged files."""

import builtins
import gzip
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import plyfile
import pytest
import torch

from gsrecon.errors import BackendUnavailableError, DatasetError
from gsrecon.gaussians.gaussians import Gaussians
from gsrecon.gaussians.order import morton_order
from gsrecon.gaussians.packed import fractional_bits, read_packed, write_compressed_ply, write_spz
from gsrecon.gaussians.resample import Resample
from gsrecon.gaussians.splat_files import read_splats
from gsrecon.geometry.spherical_harmonics import eval_sh

gsply = pytest.importorskip(
    "gsply", reason="gsply is not installed; the splats extra brings it", exc_type=ImportError
)


def some_gaussians(count: int, degree: int, seed: int = 1) -> Gaussians:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    return Gaussians(
        means=30 * draw(count, 3),
        quats=draw(count, 4),
        log_scales=draw(count, 3) - 3,
        logit_opacities=draw(count),
        sh0=draw(count, 3).clamp(-3, 3),
        sh_rest=(0.25 * draw(count, (degree + 1) ** 2 - 1, 3)).clamp(-0.99, 0.99),
    )


def in_order(gaussians: Gaussians) -> Gaussians:
    return gaussians.resampled(Resample.keep(morton_order(gaussians.means)))


def largest(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).abs().max()) if one.numel() else 0.0


def turned_apart(one: torch.Tensor, other: torch.Tensor) -> float:
    """The largest angle between rotations [deg]."""
    cosine = (torch.nn.functional.normalize(one, dim=-1) * torch.nn.functional.normalize(other, dim=-1)).sum(
        -1
    )
    return float(torch.rad2deg(2 * torch.arccos(cosine.abs().clamp(max=1)).max()))


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
@pytest.mark.parametrize("count", [1, 300])
def test_spz_rounds_to_what_its_format_holds(tmp_path: Path, degree: int, count: int) -> None:
    made = in_order(some_gaussians(count, degree))
    write_spz(tmp_path / "a.spz", some_gaussians(count, degree))
    found = read_splats(tmp_path / "a.spz")
    assert found.sh_degree == degree
    assert largest(found.means, made.means) <= 0.5 / 4096 + 1e-5
    assert largest(found.log_scales, made.log_scales) <= 1 / 32 + 1e-5
    assert largest(found.opacities, made.opacities) <= 0.5 / 255 + 1e-5
    assert largest(found.sh0, made.sh0) <= 0.5 / (0.15 * 255) + 1e-5
    assert largest(found.sh_rest, made.sh_rest) <= 0.5 / 128 + 1e-5
    assert turned_apart(found.quats, made.quats) < 0.3


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
@pytest.mark.parametrize("count", [1, 600])
def test_compressed_ply_rounds_to_what_its_format_holds(tmp_path: Path, degree: int, count: int) -> None:
    made = in_order(some_gaussians(count, degree))
    write_compressed_ply(tmp_path / "a.ply", some_gaussians(count, degree))
    found = read_splats(tmp_path / "a.ply")
    assert found.sh_degree == degree
    for first in range(0, count, 256):
        rows = slice(first, first + 256)
        for name in ("means", "log_scales"):
            values = made.named()[name][rows]
            extent = values.amax(0) - values.amin(0)
            error = (found.named()[name][rows] - values).abs().amax(0)
            assert bool((error <= 0.5 * extent / torch.tensor([2047, 1023, 2047]) + 1e-4).all()), name
    assert largest(found.opacities, made.opacities) <= 0.5 / 255 + 1e-5
    assert largest(found.sh_rest, made.sh_rest) <= 1 / 64 + 1e-5
    assert largest(found.sh0, made.sh0) < 0.02
    assert turned_apart(found.quats, made.quats) < 0.3


def test_compressed_ply_has_its_harmonics_channel_by_channel(tmp_path: Path) -> None:
    # Read with another library: what reads a PLY's f_rest_* reads these in the same order.
    made = some_gaussians(1, 2)
    write_compressed_ply(tmp_path / "a.ply", made)
    stored = plyfile.PlyData.read(str(tmp_path / "a.ply"))["sh"].data
    for channel in range(3):
        for k in range(8):
            value = (float(stored[f"f_rest_{8 * channel + k}"][0]) + 0.5) / 32 - 4
            assert abs(value - float(made.sh_rest[0, k, channel])) <= 1 / 64 + 1e-5


def test_spz_is_turned_into_its_own_axes(tmp_path: Path) -> None:
    # Its centres follow a head of 16 bytes as 24-bit fixed point: right, up, back.
    one = some_gaussians(1, 0)
    write_spz(tmp_path / "a.spz", replace(one, means=torch.tensor([[1.0, 2.0, 3.0]])))
    content = gzip.decompress((tmp_path / "a.spz").read_bytes())
    magic, version, count, degree, bits = struct.unpack("<IIIBB", content[:14])
    assert (magic, version, count, degree, bits) == (0x5053474E, 3, 1, 0, 12)
    places = [
        int.from_bytes(content[16 + 3 * k : 19 + 3 * k], "little", signed=True) / 4096 for k in range(3)
    ]
    assert places == [1.0, -2.0, -3.0]


def test_spz_shows_the_same_light_from_each_side(tmp_path: Path) -> None:
    made = in_order(some_gaussians(40, 3))
    write_spz(tmp_path / "a.spz", made)
    stored = gsply.read_spz(tmp_path / "a.spz")
    directions = torch.nn.functional.normalize(
        torch.randn(40, 3, generator=torch.Generator().manual_seed(2)), dim=1
    )
    turned = directions * torch.tensor([1.0, -1.0, -1.0])
    ours = eval_sh(made.sh0, made.sh_rest, directions, 3)
    theirs = eval_sh(torch.from_numpy(stored.sh0), torch.from_numpy(stored.shN), turned, 3)
    assert largest(ours, theirs) < 0.06


def test_what_lies_kilometres_away_gets_fewer_bits_but_is_not_cut_off(tmp_path: Path) -> None:
    assert fractional_bits(torch.tensor([[2000.0, 0, 0]])) == 12
    assert fractional_bits(torch.tensor([[0.0, -5000.0, 0]])) == 10
    far = replace(some_gaussians(2, 0), means=torch.tensor([[0.0, 0, 0], [9000.0, 0, 0]]))
    write_spz(tmp_path / "a.spz", far)
    assert float(read_packed(tmp_path / "a.spz").means.max()) == 9000.0


def test_an_spz_of_the_newer_container_reads_the_same(tmp_path: Path) -> None:
    pytest.importorskip("zstandard", reason="zstandard is not installed: it packs the newer SPZ container")
    write_spz(tmp_path / "a.spz", some_gaussians(300, 2))
    gsply.write_spz(tmp_path / "b.spz", gsply.read_spz(tmp_path / "a.spz"), version=4)
    ours, theirs = read_packed(tmp_path / "a.spz"), read_packed(tmp_path / "b.spz")
    assert torch.equal(ours.means, theirs.means)
    assert largest(ours.sh_rest, theirs.sh_rest) < 1e-6
    assert turned_apart(ours.quats, theirs.quats) < 0.3


def test_nothing_at_all_is_an_spz_and_refused_as_compressed_ply(tmp_path: Path) -> None:
    write_spz(tmp_path / "a.spz", some_gaussians(0, 1))
    assert len(read_packed(tmp_path / "a.spz")) == 0
    with pytest.raises(DatasetError, match="there are no Gaussians to write"):
        write_compressed_ply(tmp_path / "a.ply", some_gaussians(0, 1))
    assert list(tmp_path.iterdir()) == [tmp_path / "a.spz"]


@pytest.mark.parametrize("name", ["a.ply", "a.spz"])
def test_a_truncated_file_is_named(tmp_path: Path, name: str) -> None:
    write = write_spz if name.endswith("spz") else write_compressed_ply
    write(tmp_path / name, some_gaussians(300, 1))
    content = (tmp_path / name).read_bytes()
    for kept in (len(content) - 100, len(content) // 2, 20):
        (tmp_path / name).write_bytes(content[:kept])
        with pytest.raises(DatasetError, match=f"{name}: (damaged|no element)"):
            read_splats(tmp_path / name)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"a\.spz: the file cannot be read"):
        read_splats(tmp_path / "a.spz")


def test_without_the_extra_the_error_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name, *rest):
        if name == "gsply":
            raise ImportError("No module named 'gsply'")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(BackendUnavailableError, match=r"pip install 'gsrecon\[splats\]'"):
        write_spz(tmp_path / "a.spz", some_gaussians(2, 0))


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_spz(tmp_path / "a.spz", some_gaussians(2, 0))
    before = (tmp_path / "a.spz").read_bytes()

    def torn(path, *_args, **_options):
        Path(path).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(gsply, "write_spz", torn)
    with pytest.raises(OSError, match="No space"):
        write_spz(tmp_path / "a.spz", some_gaussians(3, 0))
    assert (tmp_path / "a.spz").read_bytes() == before
    assert np.array_equal(sorted(p.name for p in tmp_path.iterdir()), ["a.spz"])
