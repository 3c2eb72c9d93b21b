"""Assets and splat files of a scene on a GPU that is pretended are those of the scene on the CPU."""

from dataclasses import replace
from pathlib import Path

import pytest

from gsrecon.evaluation.assets import WellSeen, extract_assets
from gsrecon.evaluation.export import export_merged, export_nodes
from gsrecon.scene.graph import SceneGraph
from tests.labels.street import street_log, street_scene
from tests.pretend_device import DEVICE, pretend_gpu

RULES = WellSeen(picture_pixels=1, pictures=1, pixels=1, sides=1, solid_share=0.0)


def written(scene: SceneGraph, folder: Path) -> dict[str, bytes]:
    """Everything that becomes files, by name."""
    assert scene.recording is not None
    scene.recording = replace(scene.recording, frames=scene.recording.frames[:1])
    extract_assets(scene, folder / "assets", street_log(), rules=RULES)
    export_merged(scene, folder / "scene.ply", "ply", 0.2)
    export_merged(scene, folder / "scene.spz", "spz", 0.2)
    export_nodes(scene, folder / "nodes", "compressed-ply", [0.0, 0.2])
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_files_written_from_a_gpu_are_those_of_the_cpu(tmp_path: Path) -> None:
    pytest.importorskip(
        "gsply", reason="gsply is not installed; the splats extra brings it", exc_type=ImportError
    )
    scene = street_scene(street_log())
    expected = written(scene, tmp_path / "cpu")
    with pretend_gpu():
        on_gpu = written(street_scene(street_log()).to(DEVICE), tmp_path / "gpu")
    assert sorted(on_gpu) == sorted(expected)
    assert len(expected) > 12
    for name, content in expected.items():
        assert on_gpu[name] == content, name
