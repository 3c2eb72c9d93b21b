"""`gsrecon train --view` as a user has it: a process that trains, and a browser that looks on."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gsrecon.data.folder import write_folder
from tests.tiny_drive import tiny_log, tiny_scene
from tests.viewer.looking import far_apart
from tests.viewer.socket_client import SocketClient


@pytest.fixture
def training(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Trains the tiny drive for longer than anybody looks."""
    scene = tiny_scene()
    write_folder(tiny_log(scene), tmp_path / "tiny")
    words = ["train", f"folder:{tmp_path / 'tiny'}", "--out", str(tmp_path / "run"), "--steps", "100000"]
    watched = ["--view", "--view-port", "0", "--view-budget", "0.5"]
    process = subprocess.Popen(
        [sys.executable, "-m", "gsrecon", *words, *watched],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    yield process
    process.kill()
    process.wait()


def test_a_browser_looks_on_until_ctrl_c_which_saves(training: subprocess.Popen[str], tmp_path: Path):
    address = _address(training)
    assert address.startswith("http://127.0.0.1:")
    recording = tiny_scene().recording
    assert recording is not None
    with SocketClient(address) as client:
        client.look(recording.frames[0].world_from_cam)
        first = client.next_picture()
        client.picture_where(lambda picture: far_apart(first, picture) > 5, "what has been learned since")
        client.press("Picture (PNG)")
        client.until(lambda: any(title == "Saved" for title, _ in client.notifications), "the saved picture")
    assert len(list((tmp_path / "run/viewer/pictures").glob("*.png"))) == 1

    training.send_signal(signal.SIGINT)
    said, _ = training.communicate(timeout=60)
    assert training.returncode == 130
    assert "is saved in" in said
    assert (tmp_path / "run/checkpoints/latest").is_dir()


def _address(training: subprocess.Popen[str]) -> str:
    assert training.stdout is not None
    said = []
    for line in training.stdout:
        said.append(line)
        if line.startswith("viewer: "):
            return line.split()[1]
    raise AssertionError("training said no address: " + "".join(said))
