"""The street that is exported."""

import pytest

from gsrecon.scene.bundle import save_scene
from tests.labels.street import street_log, street_scene


@pytest.fixture(scope="session")
def scene(tmp_path_factory):
    log = street_log()
    graph = street_scene(log)
    folder = tmp_path_factory.mktemp("street") / "scene"
    save_scene(graph, folder)
    return log, graph, folder
