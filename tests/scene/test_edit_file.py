"""Edit lists as files: read strictly, with undo and redo."""

import pytest

from gsrecon.errors import SpecError
from gsrecon.scene.assets import Asset, write_asset
from gsrecon.scene.edits import (
    EditHistory,
    Exposure,
    Hide,
    Insert,
    Move,
    Remove,
    read_edits,
    write_edits,
)
from tests.labels.street import street_log, street_scene


def test_an_asset_inside_the_lists_folder_moves_with_it(tmp_path):
    inside = tmp_path / "a" / "car"
    write_asset(Asset("car", "car", (4.0, 1.8, 1.5), street_scene(street_log())["actors"].gaussians), inside)
    write_edits(tmp_path / "a" / "edits.toml", (Insert("x", asset=inside, at=(1.0, 2.0)),))
    (tmp_path / "a").rename(tmp_path / "b")
    (edit,) = read_edits(tmp_path / "b" / "edits.toml")
    assert edit.asset == tmp_path / "b" / "car"


def test_undo_and_redo_work_on_the_file(tmp_path):
    history = EditHistory.open(tmp_path / "edits.toml")
    for edit in (Remove("near"), Move("far", (1.0, 0.0, 0.0)), Hide("walker")):
        history.add(edit)
    assert history.undo() == Hide("walker")
    assert history.undo() == Move("far", (1.0, 0.0, 0.0))
    history.save()
    assert read_edits(tmp_path / "edits.toml") == (Remove("near"),)
    again = EditHistory.open(tmp_path / "edits.toml")
    assert again.redo() == Move("far", (1.0, 0.0, 0.0))
    assert again.edits == (Remove("near"), Move("far", (1.0, 0.0, 0.0)))
    again.add(Exposure(1.5))
    assert again.redo() is None
    again.save()
    assert EditHistory.open(tmp_path / "edits.toml").undone == ()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[[edit]]\ndo = "paint"\nobject = "near"\n', "edit 1: do: expected one of remove, hide, move"),
        ('[[edit]]\ndo = "move"\n', "object: expected a word, got nothing"),
        ('[[edit]]\ndo = "move"\nobject = "near"\nby = [1, 2]\n', "by: expected three numbers, got [1, 2]"),
        ('[[edit]]\ndo = "move"\nobject = "near"\nby = [1, 2, nan]\n', "by: expected three numbers"),
        ('[[edit]]\ndo = "move"\nobject = "near"\ncolour = "red"\n', "unknown key 'colour'; move has object"),
        ('[[edit]]\ndo = "duplicate"\nobject = "near"\n', "as: expected a word, got nothing"),
        ('[[edit]]\ndo = "drive"\nobject = "near"\n', "waypoints: expected at least two places"),
        ('[[edit]]\ndo = "drive"\nobject = "near"\nwaypoints = [[0, 0], [1, 0]]\n', "speeds_mps, times_s"),
        (
            '[[edit]]\ndo = "drive"\nobject = "near"\nwaypoints = [[0, 0], [1, 0]]\ntimes_s = [2, 1]\n',
            "times_s: expected an ascending time",
        ),
        (
            '[[edit]]\ndo = "drive"\nobject = "near"\nwaypoints = [[0, 0], [1, 0]]\nspeeds_mps = [0, 0]\n',
            "no two zeros in a row",
        ),
        ('[[edit]]\ndo = "insert"\nas = "x"\nat = [0, 0]\n', "asset, scene: expected"),
        ('[[edit]]\ndo = "insert"\nas = "x"\nasset = "a"\n', "at, waypoints: expected one of them"),
        (
            '[[edit]]\ndo = "insert"\nas = "x"\nscene = "r"\nobject = "o"\nat = [0, 0]\n',
            "class: expected one",
        ),
        ('[[edit]]\ndo = "swap"\nobject = "near"\n', "with, asset: expected one of them"),
        ('[[edit]]\ndo = "retime"\nobject = "near"\nrate = 0\n', "rate: expected 0.01 to 100"),
        (
            '[[edit]]\ndo = "hide"\nobject = "near"\nfrom_s = 2\nto_s = 1\n',
            "from_s and to_s: expected the later",
        ),
        ('[[edit]]\ndo = "exposure"\ngain = -1\n', "gain: expected 0 to 20"),
        ('[[edit]]\ndo = "recolour"\nobject = "near"\ntint = [1, 1, 99]\n', "tint: expected three numbers"),
        ("[other]\n", "entries [[edit]] only"),
        ("what is this", "cannot be read"),
    ],
)
def test_a_mistake_in_a_list_is_one_clear_sentence(tmp_path, text, told):
    (tmp_path / "edits.toml").write_text(text)
    with pytest.raises(SpecError) as caught:
        read_edits(tmp_path / "edits.toml")
    assert told in str(caught.value)
    assert "\n" not in str(caught.value).replace(str(caught.value.__cause__), "")
