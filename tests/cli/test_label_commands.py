"""export-dataset, verify, render --edits and evaluate --shifts as a user calls them."""

import json
from pathlib import Path

import pytest

from gsrecon.cli.main import run as command
from tests.labels.street import street_run


@pytest.fixture(name="street_run")
def _street_run(tmp_path: Path) -> Path:
    return street_run(tmp_path)


def export(run: Path, *words: str) -> int:
    return command(["export-dataset", str(run), *words])


def test_an_export_is_written_below_the_run_and_verified(street_run, capsys):
    assert export(street_run, "--format=coco", "--path=shift", "--shift-left=0.5") == 0
    folder = street_run / "exports" / "coco-shift"
    assert f"check it: gsrecon verify {folder}" in capsys.readouterr().out
    assert command(["verify", str(folder)]) == 0
    told = capsys.readouterr().out
    assert "everything agrees" in told
    assert (folder / "gsrecon" / "contact-sheet.png").is_file()
    report = (folder / "gsrecon" / "report.html").read_text()
    assert "Both ways from above" in report
    assert "Everything agrees" in report
    assert "made up" in report  # the licence
    content = json.loads((folder / "annotations.json").read_text())
    content["annotations"][0]["area"] += 1
    (folder / "annotations.json").write_text(json.dumps(content))
    assert command(["verify", str(folder)]) == 1
    assert "disagrees: " in capsys.readouterr().out


def test_a_path_file_and_chosen_cameras(street_run, tmp_path, capsys):
    path = tmp_path / "path.toml"
    frames = "".join(
        f"[[keyframes]]\ntime_s = {t}\nposition = [{x}, 1.0, 1.6]\nlook_at = [30.0, 0.0, 1.0]\n\n"
        for t, x in ((0.0, 0.5), (0.4, 3.0))
    )
    path.write_text(f"version = 1\npictures_per_second = 10\n\n{frames}")
    assert export(street_run, "--format=yolo", "--path=file", f"--path-file={path}", "--cameras=front") == 0
    labels = sorted((street_run / "exports" / "yolo-file" / "labels").iterdir())
    assert len(labels) == 5
    assert any(label.read_text() for label in labels)


def test_edits_reach_render_and_export(street_run, tmp_path):
    edits = tmp_path / "edits.toml"
    edits.write_text('[[edit]]\ndo = "remove"\nobject = "near"\n')
    out = street_run / "exports" / "coco-recorded"
    assert export(street_run, "--format=coco", f"--edits={edits}") == 0
    assert json.loads((out / "gsrecon" / "card.json").read_text())["edits"] == [
        {"do": "remove", "object": "near"}
    ]
    words = ["render", str(street_run), "--no-film"]
    assert command([*words, "--out", str(tmp_path / "plain")]) == 0
    assert command([*words, "--out", str(tmp_path / "edited"), "--edits", str(edits)]) == 0
    plain, edited = ((tmp_path / name / "00000.png").read_bytes() for name in ("plain", "edited"))
    assert plain != edited


def test_labels_of_another_recording_are_carried_into_the_scene(street_run, tmp_path, capsys):
    words = ("--format=coco", f"--labels=folder:{tmp_path / 'drive'}")
    assert export(street_run, *words) == 0
    assert "6 frames of street laid onto street" in capsys.readouterr().out
    card = json.loads((street_run / "exports" / "coco-recorded" / "gsrecon" / "card.json").read_text())
    assert card["adaptor"]["frames beyond the tolerance"] == 0
    assert card["adaptor"]["scale"] == pytest.approx(1.0)
    assert card["labels"] > 10


def test_quality_beside_the_way_goes_into_metrics_and_report(street_run, capsys):
    assert command(["evaluate", str(street_run), "--shifts", "0.5,1", "--shift-views", "4"]) == 0
    scores = json.loads((street_run / "metrics.json").read_text())["shifts"]
    assert [score["shift_m"] for score in scores] == [0.0, 0.5, 1.0]
    assert scores[0]["trust"] > scores[2]["trust"]
    assert scores[0]["carried"] == 1.0
    assert scores[1]["carried"] > 0.9
    assert scores[0]["psnr"] is None  # nobody knows the truth beside a recorded way
    assert "Beside the recorded way" in (street_run / "report.html").read_text()
    assert "unseen" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("--path=file",), 2, "--path file needs --path-file"),
        (("--workers=0",), 2, "--workers: expected at least 1"),
        (("--cameras=rear",), 1, "camera 'rear' is not in the scene; it has front, front_left"),
        (("--edits=nowhere.toml",), 1, "the edit list cannot be read"),
        (("--visible-fraction=2",), 2, "visible_fraction: expected 0 to 1"),
        (("--labels=folder:nowhere",), 1, "nowhere"),
    ],
)
def test_mistakes_are_one_sentence_and_write_nothing(street_run, capsys, words, code, told):
    assert export(street_run, "--format=coco", *words) == code
    error = capsys.readouterr().err
    assert told in error
    assert len(error.strip().splitlines()) == 1
    assert not (street_run / "exports").exists() or not any((street_run / "exports").iterdir())


def test_verify_of_something_else_is_one_sentence(tmp_path, capsys):
    assert command(["verify", str(tmp_path)]) == 1
    assert "name a folder that `gsrecon export-dataset` wrote" in capsys.readouterr().err


def test_a_path_that_leaves_what_was_reconstructed_is_told(street_run, capsys):
    assert export(street_run, "--format=coco", "--path=shift", "--shift-left=20") == 0
    assert "pictures show much that was hardly recorded" in capsys.readouterr().out
    words = ("--format=yolo", "--path=shift", "--shift-left=20", "--view-trust=0.3")
    assert export(street_run, *words) == 0
    card = json.loads((street_run / "exports" / "yolo-shift" / "gsrecon" / "card.json").read_text())
    assert card["left out"]["pictures not trusted"] > 0
