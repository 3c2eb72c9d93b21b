"""The report is one file that holds everything."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from gsrecon.evaluation.gallery import Gallery, ScoredPicture
from gsrecon.evaluation.plots import Line, line_plot
from gsrecon.evaluation.report import RunFacts, read_history, write_report
from gsrecon.evaluation.scores import Evaluation, PictureScore

VOID = {"meta", "img", "br", "path", "use"}


class Checked(HTMLParser):
    """Follows the nesting of elements."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.sources: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag == "img":
            self.sources.append(dict(attrs)["src"] or "")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag


def some_report(path: Path) -> str:
    generator = np.random.default_rng(0)
    gallery = Gallery(expected=8)
    scores = []
    for index in range(8):
        camera = ("front", "<left>")[index % 2]
        score = PictureScore(camera, index, 100_000 * index, 25.0 + index, 0.8, psnr_near=24.0, seconds=0.02)
        image, truth = generator.integers(0, 256, (2, 30, 40, 3), np.uint8)
        depth = generator.random((30, 40), np.float32) * 50
        gallery.add(ScoredPicture(score, image, truth, np.ones((30, 40), bool), depth))
        scores.append(score)
    history = [
        {"step": k, "loss": 1 / k, "psnr": 10 + k / 10, "gaussians": 1000 + k} for k in range(1, 100, 7)
    ]
    facts = RunFacts(
        name="run <1>",
        drive="a street & more",
        history=history,
        config={"steps": 100},
        environment={"torch": "2"},
        spec='drive = "toy"',
        timings={"training": 125.0},
        stages_ms={"render": 12.5},
        peak_memory_bytes=3 * 2**29,
    )
    write_report(path, Evaluation(tuple(scores), 20.0, True, 12345), gallery, facts)
    return path.read_text(encoding="utf-8")


def test_the_report_is_well_formed_and_needs_no_other_file(tmp_path: Path) -> None:
    page = some_report(tmp_path / "report.html")
    parser = Checked()
    parser.feed(page)
    assert parser.open == []
    assert parser.sources
    assert all(source.startswith("data:image/") for source in parser.sources)
    assert not re.search(r'(?:src|href)="(?!data:|#)', page)
    assert "<script" not in page


def test_the_report_tells_what_matters(tmp_path: Path) -> None:
    page = some_report(tmp_path / "report.html")
    for told in (
        *("28.50", "12,345", "not computed", "2 min 5 s", "1.50", "moving objects masked", "12.5 ms"),
        *("Worst pictures", "Best pictures", "Held-out PSNR over the drive", "&lt;left&gt;", "run &lt;1&gt;"),
    ):
        assert told in page, told
    assert "<left>" not in page


def test_a_report_without_pictures_or_history_is_written_too(tmp_path: Path) -> None:
    write_report(
        tmp_path / "r.html", Evaluation((), 20.0, False, 0), Gallery(expected=0), RunFacts(name="empty")
    )
    assert "0 held-out pictures" in (tmp_path / "r.html").read_text()


def test_history_passes_over_a_torn_line_and_takes_the_last_of_a_repeated_step(tmp_path: Path) -> None:
    rows = [{"step": 1, "loss": 1.0}, {"step": 2, "loss": 0.9}, {"step": 2, "loss": 0.8}]
    text = "\n".join(json.dumps(row) for row in rows) + '\n{"step": 3, "lo'
    (tmp_path / "metrics.jsonl").write_text(text)
    assert read_history(tmp_path / "metrics.jsonl") == [{"step": 1, "loss": 1.0}, {"step": 2, "loss": 0.8}]
    assert read_history(tmp_path / "none.jsonl") == []


@pytest.mark.parametrize("count", [1, 2, 60])
def test_a_plot_takes_the_colour_of_the_page(count: int) -> None:
    svg = line_plot("Loss", "step", "loss", [Line("loss", range(count), range(1, count + 1), True)], log=True)
    assert svg.startswith("<svg ")
    assert "currentColor" in svg
    assert "#123456" not in svg
