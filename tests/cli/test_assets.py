"""`gsrecon assets` as a user calls it."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gsrecon.cli.main import run as command
from gsrecon.scene.assets import read_asset
from gsrecon.scene.bundle import load_scene, save_scene
from tests.labels.street import street_run

LOOSE = ("--sides", "1", "--pixels", "500", "--pictures", "3", "--device", "cpu")


@pytest.fixture(scope="module")
def extracted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with its assets."""
    run = street_run(tmp_path_factory.mktemp("street"))
    scene = load_scene(run)
    assert scene.recording is not None
    # The camera ahead alone: half of the pictures to draw.
    frames = tuple(frame for frame in scene.recording.frames if frame.camera == "front")
    object.__setattr__(scene.recording, "frames", frames)
    save_scene(scene, run / "checkpoints" / "step-1" / "scene")
    assert command(["assets", "extract", str(run), *LOOSE]) == 0
    return run


@pytest.fixture
def run(extracted: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    shutil.copytree(extracted, tmp_path / "run", symlinks=True)
    return tmp_path / "run"


def test_assets_are_written_below_the_run_and_the_rest_told(run: Path, capsys) -> None:
    assert command(["assets", "extract", str(run), *LOOSE]) == 0
    told = capsys.readouterr().out
    assert "street-near" in told
    assert "left out: hidden (car): 0 pictures show 100 pixels of it, 3 must" in told
    assert "licence: made up" in told
    names = sorted(path.name for path in (run / "assets").iterdir())
    assert names == ["street-near", "street-walker"]
    near = read_asset(run / "assets" / "street-near")
    assert near.class_name == "car"
    assert near.quality.psnr_db is not None
    with Image.open(run / "assets" / "street-near" / "preview.png") as preview:
        assert preview.size == (480, 320)


def test_the_list_is_a_table_and_a_sheet(run: Path, capsys) -> None:
    assert command(["assets", "list", str(run)]) == 0
    told = capsys.readouterr().out
    assert "street-walker   pedestrian   0.6 x 0.6 x 1.8" in told
    with Image.open(run / "assets" / "contact-sheet.png") as sheet:
        assert np.asarray(sheet).std() > 10
    assert (
        command(
            ["assets", "list", str(run / "assets" / "street-near"), "--contact-sheet", str(run / "a.png")]
        )
        == 0
    )
    assert (run / "a.png").is_file()


def test_a_damaged_asset_is_named_and_the_others_listed(run: Path, capsys) -> None:
    ply = run / "assets" / "street-near" / "gaussians.ply"
    ply.write_bytes(ply.read_bytes()[:-4])
    assert command(["assets", "list", str(run)]) == 1
    told = capsys.readouterr().out
    assert "street-walker" in told
    assert "damaged: " in told
    assert "gaussians.ply: the file is damaged or was changed" in told


def test_where_nothing_is_there_the_error_says_how_to_make_it(tmp_path: Path, capsys) -> None:
    assert command(["assets", "list", str(tmp_path)]) == 1
    assert (
        "there are no assets in it; write some with `gsrecon assets extract RUN`" in capsys.readouterr().err
    )


def test_a_run_whose_drive_is_gone_still_gives_assets(run: Path, tmp_path: Path, capsys) -> None:
    (run / "scene.toml").write_text('name = "street"\ndrive = "folder:/nowhere/at/all"\n')
    out = tmp_path / "library"
    assert command(["assets", "extract", str(run), *LOOSE, "--out", str(out)]) == 0
    assert "classes and quality are not known: the drive cannot be read" in capsys.readouterr().out
    near = read_asset(out / "street-near")
    assert (near.class_name, near.quality.psnr_db) == ("unknown", None)


def test_a_drive_that_is_named_and_cannot_be_read_is_an_error(run: Path, capsys) -> None:
    words = ["assets", "extract", str(run), *LOOSE, "--drive", "folder:/nowhere/at/all"]
    assert command(words) == 1
    assert "/nowhere/at/all" in capsys.readouterr().err


def test_a_scene_without_objects_is_told_how_to_get_some(run: Path, capsys) -> None:
    scene = load_scene(run)
    scene.remove("actors")
    save_scene(scene, run / "checkpoints" / "step-1" / "scene")
    assert command(["assets", "extract", str(run), *LOOSE, "--out", str(run / "none")]) == 1
    assert "train with dynamics:actor-dynamics" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--solid-share", "1.5"], ["--sides", "9"]])
def test_thresholds_that_nothing_can_meet_are_refused(run: Path, words: list[str], capsys) -> None:
    assert command(["assets", "extract", str(run), *words]) == 2
    assert "expected 0 to 1 and 0 to 8" in capsys.readouterr().err
