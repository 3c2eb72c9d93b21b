"""The street of made-up Gaussians, looked at through a viewer on a free port of the loopback."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gsrecon_viewer.app import Viewer
from gsrecon_viewer.shown import Shown
from tests.labels.street import street_log
from tests.viewer.chromium_tab import CHROMIUM, FLAGS, SIZE, Tab
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


@pytest.fixture(scope="module")
def chromium() -> Iterator[object]:
    """One browser for all tests of a file."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def tab(
    chromium, viewer: Viewer, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Callable[[], Tab]]:
    """Opens tabs of the app; the first is `tab()`.

    Screenshots are kept in the folder that GSRECON_TEST_ARTIFACTS names, else beside the test's other files.
    """
    named = os.environ.get("GSRECON_TEST_ARTIFACTS")
    artifacts = tmp_path / "screenshots" if named is None else Path(named) / request.node.name
    artifacts.mkdir(parents=True, exist_ok=True)
    contexts = []

    def opened() -> Tab:
        contexts.append(chromium.new_context(viewport=SIZE))
        return Tab(contexts[-1].new_page(), viewer, artifacts)

    yield opened
    for context in contexts:
        context.close()
