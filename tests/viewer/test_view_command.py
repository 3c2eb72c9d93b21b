"""`gsrecon view` from the command line: where it listens, and what it says about that."""

import io
import re
from pathlib import Path

import pytest
import viser
from rich.console import Console

from gsrecon.cli import console as console_module
from gsrecon.cli import view as view_module
from gsrecon.cli.view import View
from gsrecon.errors import SpecError
from gsrecon_viewer.live import LiveView
from tests.labels.street import street_log, street_run


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What the command prints; it is ended as by Ctrl-C once it serves."""
    words = io.StringIO()
    console = Console(file=words, width=300)
    monkeypatch.setattr(console_module, "console", lambda: console)

    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(view_module.time, "sleep", interrupted)
    return words


def test_a_run_is_served_on_this_machine_alone(tmp_path: Path, said: io.StringIO):
    run = street_run(tmp_path)
    assert View(str(run), port=0).run() == 0
    told = said.getvalue()
    assert "viewer: http://127.0.0.1:" in told
    assert "whoever reaches" not in told
    assert "ended" in told


def test_another_host_is_told_what_it_exposes(tmp_path: Path, said: io.StringIO):
    run = street_run(tmp_path)
    assert View(str(run), host="0.0.0.0", port=0).run() == 0
    told = said.getvalue()
    assert "whoever reaches 0.0.0.0 can look at this scene, edit it" in told
    assert str(run / "viewer") in told


@pytest.mark.parametrize("host", ["999.1.1.1", "192.0.2.1", "no-such-host.invalid"])
def test_a_host_on_which_this_machine_cannot_listen_is_refused(tmp_path: Path, host: str):
    with pytest.raises(SpecError, match=f"this machine cannot listen on '{host}'"):
        View(str(street_run(tmp_path)), host=host, port=0).run()
    with pytest.raises(SpecError, match=f"this machine cannot listen on '{host}'"):
        LiveView(tmp_path, street_log(), host=host)


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_that_none_is_is_refused(tmp_path: Path, port: int):
    with pytest.raises(SpecError, match=f"port: expected 0 .any. to 65535, got {port}"):
        View(str(street_run(tmp_path)), port=port).run()


def test_edits_that_do_not_fit_the_scene_are_told_with_their_file_before_anything_is_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    run = street_run(tmp_path)
    edits = run / "viewer" / "edits.toml"
    edits.parent.mkdir()
    edits.write_text('[[edit]]\ndo = "remove"\nobject = "nobody"\n')
    served: list[object] = []
    monkeypatch.setattr(viser, "ViserServer", lambda **options: served.append(options))
    with pytest.raises(SpecError, match=f"^{re.escape(str(edits))}: .*no object 'nobody'.* remove it"):
        View(str(run), port=0).run()
    assert not served
