"""The street of made-up Gaussians, looked at through a viewer on a free port of the loopback."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gsrecon_viewer.app import Viewer
from gsrecon_viewer.shown import Shown
from tests.labels.street import street_log
from tests.viewer.painted_street import painted_street


@pytest.fixture(scope="module")
def street_shown() -> Shown:
    """The street without a server; shared, so put back what you change."""
    log = street_log()
    return Shown(painted_street(log), log)


@pytest.fixture
def viewers(tmp_path: Path) -> Iterator[Callable[..., Viewer]]:
    """Starts viewers of the street; files go to `tmp_path / "run" / "viewer"`."""
    started: list[Viewer] = []

    def start(**options: object) -> Viewer:
        log = street_log()
        options = {"log": log, "port": 0, **options}
        viewer = Viewer(
            options.pop("scene", None) or painted_street(log), tmp_path / "run" / "viewer", **options
        )
        started.append(viewer)
        return viewer

    yield start
    for viewer in started:
        viewer.stop()


@pytest.fixture
def viewer(viewers: Callable[..., Viewer]) -> Viewer:
    """A viewer that draws in a thread of its own."""
    return viewers()
