"""`gsrecon edit` as a user calls it."""

import json
from pathlib import Path

import pytest

from gsrecon.cli.main import run as command
from gsrecon.scene.edits import Drive, Duplicate, Move, Recolour, Remove, read_edits, write_edits
from tests.labels.street import street_run
from tests.scene.street_in_groups import grouped_street_run


@pytest.fixture(name="street", scope="module")
def _street(tmp_path_factory) -> Path:
    return street_run(tmp_path_factory.mktemp("street"))


def edit(street: Path, list_: Path, *words: str) -> int:
    return command(["edit", str(street), f"--list={list_}", *words])


def test_a_list_is_made_shown_undone_redone_and_checked(street, tmp_path, capsys):
    edits = tmp_path / "edits.toml"
    assert edit(street, edits, "show") == 0
    assert "nothing is edited" in capsys.readouterr().out
    assert edit(street, edits, "add", "move", "near", "--by", "1", "0", "0", "--turn-deg", "5") == 0
    assert edit(street, edits, "add", "recolour", "far", "1", "0.2", "0.2") == 0
    way = ("--waypoints", "20", "-1", "30", "-1", "--speeds-mps", "8")
    assert edit(street, edits, "add", "drive", "hidden", *way) == 0
    assert read_edits(edits) == (
        Move("near", (1.0, 0.0, 0.0), 5.0),
        Recolour("far", (1.0, 0.2, 0.2)),
        Drive("hidden", waypoints=((20.0, -1.0), (30.0, -1.0)), speeds_mps=(8.0,)),
    )
    assert edit(street, edits, "undo") == 0
    assert edit(street, edits, "show") == 0
    told = capsys.readouterr().out
    assert "1. move near by [1.0, 0.0, 0.0] turn_deg 5.0\n2. recolour far" in told
    assert told.rstrip().splitlines()[-1].startswith("undone: drive hidden")
    assert edit(street, edits, "redo") == 0
    capsys.readouterr()
    assert edit(street, edits, "check") == 0
    assert capsys.readouterr().out.count(": fine\n") == 3


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("add", "remove", "tank"), "the scene has no object 'tank'; it has near, far, hidden, walker"),
        (("add", "move", "far", "--by", "-9", "-1.6", "0"), "far is in near at 0.0 s; choose another place"),
        (
            ("add", "drive", "near", "--waypoints", "10", "0", "20", "-20", "--speeds-mps", "5"),
            "its way leaves the road at",
        ),
        (
            ("add", "insert", "x", "--asset", "nowhere", "--at", "10", "-4"),
            "nowhere: there is no such folder",
        ),
        (("undo",), "there is nothing to undo"),
        (("redo",), "nothing was undone"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_not_added(street, tmp_path, capsys, words, told):
    assert edit(street, tmp_path / "edits.toml", *words) == 1
    error = capsys.readouterr().err
    assert told in error
    assert len(error.strip().splitlines()) == 1
    assert not (tmp_path / "edits.toml").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("add", "retime", "near", "--rate", "0"), "rate: expected 0.01 to 100"),
        (("add", "drive", "near"), "waypoints: expected at least two places"),
        (("add", "hide", "near", "--from-s", "2", "--to-s", "1"), "from_s and to_s"),
    ],
)
def test_a_value_out_of_range_is_wrong_usage(street, tmp_path, capsys, words, told):
    try:
        code = edit(street, tmp_path / "edits.toml", *words)
    except SystemExit as stopped:
        code = stopped.code
    assert code == 2
    captured = capsys.readouterr()
    assert told in captured.err + captured.out


def test_check_tells_of_every_entry_and_fails_where_the_list_cannot_be_applied(street, tmp_path, capsys):
    edits = tmp_path / "edits.toml"
    edits.write_text(
        '[[edit]]\ndo = "move"\nobject = "far"\nby = [-9.0, -1.6, 0.0]\n\n'
        '[[edit]]\ndo = "remove"\nobject = "tank"\n\n[[edit]]\ndo = "exposure"\ngain = 1.2\n'
    )
    assert edit(street, edits, "check") == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("beware: edit 1 (move far): far is in near")
    assert lines[1].startswith("refused: edit 2 (remove tank): the scene has no object")
    assert lines[2] == "3. exposure gain 1.2: fine"


def test_sides_that_nobody_recorded_are_told_but_keep_no_entry_out(street, tmp_path, capsys):
    edits = tmp_path / "edits.toml"
    assert edit(street, edits, "add", "move", "near", "--turn-deg", "180") == 0
    told = "edit 1 (move near): near would be looked at from front, where nobody recorded it"
    assert f"\nbeware: {told}" in capsys.readouterr().out
    assert read_edits(edits) == (Move("near", turn_deg=180.0),)
    assert edit(street, edits, "check") == 0
    assert capsys.readouterr().out.startswith(f"beware: {told}")
    put = ("--by", "-9", "-1.6", "0", "--turn-deg", "180", "--allow-collisions")
    assert edit(street, edits, "add", "move", "far", *put) == 0
    capsys.readouterr()
    assert edit(street, edits, "check") == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_a_run_in_groups_is_edited_and_drawn_like_any_other(tmp_path, capsys):
    run = grouped_street_run(tmp_path)
    edits = tmp_path / "edits.toml"
    assert edit(run, edits, "add", "move", "walker", "--by", "0", "0.5", "0") == 0
    assert edit(run, edits, "add", "remove", "near") == 0
    assert edit(run, edits, "add", "duplicate", "far", "far too", "--by", "0", "4", "0") == 0
    assert edit(run, edits, "check") == 0
    assert edit(run, edits, "add", "remove", "tank") == 1
    assert "it has far, hidden, walker, far too" in capsys.readouterr().err
    plain, changed = tmp_path / "plain", tmp_path / "changed"
    drawn = ("render", str(run), "--no-film", "--device=cpu")
    assert command([*drawn, f"--out={plain}"]) == 0
    assert command([*drawn, f"--edits={edits}", f"--out={changed}"]) == 0
    names = sorted(path.name for path in plain.glob("*.png"))
    assert names == sorted(path.name for path in changed.glob("*.png"))
    assert names
    assert all((plain / name).read_bytes() != (changed / name).read_bytes() for name in names)


def test_a_dataset_of_a_run_in_groups_has_the_labels_of_the_edited_scene(tmp_path):
    run = grouped_street_run(tmp_path)
    edits = (Move("walker", (0.0, 0.5, 0.0)), Remove("near"), Duplicate("far", "far too", (0.0, -4.0, 0.0)))
    write_edits(tmp_path / "edits.toml", edits)
    out = tmp_path / "dataset"
    options = ("--format=coco", f"--edits={tmp_path / 'edits.toml'}", f"--out={out}", "--every=5")
    assert command(["export-dataset", str(run), *options, "--device=cpu", "--workers=1"]) == 0
    coco = json.loads((out / "annotations.json").read_text())
    found = {label["track_id"]: label for label in coco["annotations"] if label["image_id"] == 1}
    # The walker's home is the last group, the first picture is the first group's.
    assert set(found) == {"far", "far too", "hidden", "walker"}
    walker, unmoved = found["walker"], _labels(run, tmp_path / "plain")
    assert "near" in unmoved
    assert walker["bbox"][0] < unmoved["far"]["bbox"][0] < found["far too"]["bbox"][0]


def _labels(run: Path, out: Path) -> dict[str, dict]:
    assert command(["export-dataset", str(run), "--format=coco", f"--out={out}", "--every=5"]) == 0
    coco = json.loads((out / "annotations.json").read_text())
    return {label["track_id"]: label for label in coco["annotations"] if label["image_id"] == 1}
