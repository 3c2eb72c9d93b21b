"""Assets on disk: what goes in comes out, and what is damaged is refused in one sentence."""

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gsrecon.errors import SpecError
from gsrecon.gaussians.ply import read_ply
from gsrecon.ops.settings import RasterizeSettings
from gsrecon.scene import sealed
from gsrecon.scene.assets import Asset, Quality, Seen, clear_leftovers, find_assets, read_asset, write_asset
from gsrecon.scene.sides import SIDES, azimuth, side_of
from tests.scene.moving_things import some_gaussians


def an_asset(seed: int = 1, count: int = 6, **changes) -> Asset:
    made = Asset(
        name="toy-car-1",
        class_name="car",
        size_lwh=(4.2, 1.8, 1.5),
        gaussians=some_gaussians(count, torch.Generator().manual_seed(seed)),
        seen=Seen(7, 4321, 900, ("front", "left")),
        quality=Quality(27.5, "400 pixels of 2 held-out pictures", 0.8),
        source="toy toy-0",
        object_id="car-1",
        licence="Free to use.",
        settings=RasterizeSettings(mode="antialiased", eps2d=0.1),
    )
    return replace(made, **changes)


def same(one: Asset, other: Asset) -> bool:
    """Everything but the folder."""
    tensors = zip(one.gaussians.named().values(), other.gaussians.named().values(), strict=True)
    plain = replace(one, gaussians=other.gaussians, folder=other.folder)
    return plain == other and all(torch.equal(a, b) for a, b in tensors)


_TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=20)


@given(
    name=_TEXT,
    licence=_TEXT,
    size=st.tuples(*[st.floats(1e-3, 100)] * 3),
    sides=st.sets(st.sampled_from(SIDES)),
    psnr=st.none() | st.floats(0, 100),
    count=st.integers(0, 5),
)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_was_read_and_is_written_again_is_the_same(
    tmp_path: Path, name: str, licence: str, size, sides, psnr, count: int
) -> None:
    made = an_asset(
        count=count,
        name=name,
        licence=licence,
        size_lwh=size,
        seen=Seen(3, 5, 2, tuple(sorted(sides))),
        quality=Quality(psnr, licence, 0.5),
    )
    write_asset(made, tmp_path / "a", b"picture")
    once = read_asset(tmp_path / "a")
    assert once.folder == tmp_path / "a"
    # Quaternions are made unit ones when they are first written; all else is kept to the bit.
    assert same(replace(made, gaussians=replace(made.gaussians, quats=once.gaussians.quats)), once)
    write_asset(once, tmp_path / "b", b"picture")
    for file in ("asset.toml", "gaussians.ply", "preview.png"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_the_gaussians_are_a_splat_ply_that_every_viewer_reads(tmp_path: Path) -> None:
    write_asset(an_asset(), tmp_path / "a")
    assert len(read_ply(tmp_path / "a" / "gaussians.ply")) == 6


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("format_version = 1", "format_version = 2", r"asset\.toml: format_version: expected 1, got 2"),
        ('class = "car"', 'klass = "car"', r"asset\.toml: unknown key 'klass'; there are"),
        ('class = "car"', "", r"asset\.toml: a value is missing or of another kind \('class'\)"),
        ("pictures = 7", "pictures = 7\nfotos = 1", r"\[seen\] unknown key 'fotos'"),
        ("pictures = 7", 'pictures = "many"', r"asset\.toml: a value is missing or of another kind"),
        ("1.8", "-1.8", "expected lengths above 0"),
        (
            'mode = "antialiased"',
            'mode = "odd"',
            r"mode: expected one of \('classic', 'antialiased'\), got 'odd'",
        ),
        ("[quality]", "[quantity]", "unknown key 'quantity'"),
        ('"left"', '"below"', "sides: expected some of"),
        ('"gaussians.ply" = ', '"../../elsewhere" = ', r"\[files\] unknown key '../../elsewhere'"),
        ("name", "= name", r"asset\.toml: cannot be read"),
    ],
)
def test_a_wrong_asset_file_is_refused_in_one_sentence(tmp_path: Path, old: str, new: str, told: str) -> None:
    write_asset(an_asset(), tmp_path / "a")
    path = tmp_path / "a" / "asset.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(SpecError, match=told) as raised:
        read_asset(tmp_path / "a")
    assert "\n" not in str(raised.value)


def test_a_folder_that_is_no_asset_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="no such file, so .* is no asset"):
        read_asset(tmp_path / "nothing")


@pytest.mark.parametrize("file", ["gaussians.ply", "preview.png"])
def test_a_missing_file_is_named(tmp_path: Path, file: str) -> None:
    write_asset(an_asset(), tmp_path / "a", b"picture")
    (tmp_path / "a" / file).unlink()
    with pytest.raises(SpecError, match=f"{file}: the file is missing .* extract the asset again"):
        read_asset(tmp_path / "a")


@pytest.mark.parametrize("file", ["gaussians.ply", "preview.png"])
@pytest.mark.parametrize("how", ["truncated", "one bit"])
def test_a_changed_file_is_named_with_the_remedy(tmp_path: Path, file: str, how: str) -> None:
    write_asset(an_asset(), tmp_path / "a", b"picture")
    path = tmp_path / "a" / file
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content[:-1] if how == "truncated" else content)
    with pytest.raises(SpecError, match=f"{file}: the file is damaged or was changed .* extract the asset"):
        read_asset(tmp_path / "a")


@pytest.mark.parametrize("moment", [0, 1, 2])
@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_a_write_that_is_stopped_leaves_the_old_asset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: int, error
) -> None:
    write_asset(an_asset(1), tmp_path / "a", b"picture")
    before = read_asset(tmp_path / "a")
    real, calls = sealed._write_flushed, []

    def torn(path: Path, content: bytes) -> None:
        real(path, content[: len(content) // 2] if len(calls) == moment else content)
        calls.append(path)
        if len(calls) > moment:
            raise error

    monkeypatch.setattr(sealed, "_write_flushed", torn)
    with pytest.raises((KeyboardInterrupt, OSError)):
        write_asset(an_asset(2), tmp_path / "a", b"other")
    assert same(read_asset(tmp_path / "a"), before)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_what_a_killed_process_left_is_no_asset(tmp_path: Path) -> None:
    write_asset(an_asset(), tmp_path / "assets" / "b")
    write_asset(an_asset(), tmp_path / "assets" / "a")
    shutil.copytree(tmp_path / "assets" / "a", tmp_path / "assets" / f".a.{os.getpid()}.partial")
    found = [tmp_path / "assets" / name for name in ("a", "b")]
    assert find_assets(tmp_path) == find_assets(tmp_path / "assets") == found
    assert find_assets(found[0]) == [found[0]]
    assert find_assets(tmp_path / "nothing") == []


@pytest.mark.parametrize("when", ["while it writes", "while it swaps"])
def test_what_a_killed_process_left_is_cleared_and_no_asset_is_lost(tmp_path: Path, when: str) -> None:
    """The process is killed for real: with its new folder half written, or with the old one moved aside."""
    write_asset(an_asset(1), tmp_path / "a", b"picture")
    before = read_asset(tmp_path / "a")
    stopped = {"while it writes": "sealed._write_flushed", "while it swaps": "sealed.os.rename"}[when]
    program = f"""
import os, signal
from pathlib import Path
from gsrecon.scene import sealed
from gsrecon.scene.assets import write_asset
from tests.scene.test_assets import an_asset
real = {stopped}
def killed(*arguments):
    real(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)
{stopped} = killed
write_asset(an_asset(2), Path({str(tmp_path / "a")!r}), b"other")
"""
    ended = subprocess.run([sys.executable, "-c", program], cwd=Path(__file__).parents[2], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert len(list(tmp_path.glob(".a.*.*"))) == (1 if when == "while it writes" else 2)
    mine = tmp_path / f".b.{os.getpid()}.partial"
    strange = tmp_path / ".c.99999999.partial"
    for folder in (mine, strange):
        folder.mkdir()
        (folder / ("gaussians.ply" if folder == mine else "letter.txt")).write_bytes(b"1")
    clear_leftovers(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"a", mine.name, strange.name}
    assert same(read_asset(tmp_path / "a"), before)


def test_sides_go_round_from_the_front_to_the_left() -> None:
    for side in SIDES:
        angle = azimuth(side)
        for aside in (-0.39, 0.39):
            offset = np.array([np.cos(angle + aside), np.sin(angle + aside), 2.0])
            assert side_of(5 * offset) == side
    assert side_of(np.array([-3.0, 0.1, 0])) == "rear"
    assert side_of(np.array([0.0, 3.0, 0])) == "left"
