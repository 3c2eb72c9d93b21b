"""Scenes as splat files: merged, by node, by time; opened again as a scene they look the same."""

import json
from pathlib import Path

import pytest
import torch

from gsrecon.evaluation.export import export_merged, export_nodes, export_ply, export_sequence
from gsrecon.gaussians.ply import read_ply, write_ply
from gsrecon.gaussians.splat_files import read_splats
from gsrecon.geometry.rigid import quat_to_rotmat
from gsrecon.ops.settings import RasterizeSettings
from gsrecon.scene.graph import SceneGraph
from gsrecon.scene.objects import ObjectTable
from gsrecon.scene.render import render_frame
from gsrecon.scene.splat_file import open_splat_file
from gsrecon.scene.static import StaticGroup
from tests.scene.moving_things import some_gaussians, stir, two_cars
from tests.tiny_drive import tiny_scene


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(4)


def street(generator: torch.Generator, deforming: bool = False) -> SceneGraph:
    """Seven Gaussians that stand still and two objects: a car from 0 to 2 s, a walker from 3 s on."""
    still = StaticGroup("background", some_gaussians(7, generator))
    return SceneGraph([still, two_cars(generator, deforming)], ObjectTable(["car", "walker"]))


def test_what_stands_still_is_exported_to_the_last_bit(tmp_path: Path, generator: torch.Generator) -> None:
    scene = street(generator)
    export_ply(scene, tmp_path / "a.ply", 1.0)
    exported = read_ply(tmp_path / "a.ply")
    still = scene["background"].gaussians
    for name in ("means", "log_scales", "logit_opacities", "sh0"):
        assert torch.equal(exported.named()[name][:7], still.named()[name]), name
    assert torch.equal(exported.sh_rest[:7, :3], still.sh_rest)


@pytest.mark.parametrize(("time_s", "x", "count"), [(0.0, 6.0, 5), (1.0, 9.0, 5), (2.5, 0.0, 0)])
def test_objects_are_where_they_are_at_that_time_and_left_out_when_they_are_gone(
    tmp_path: Path, generator: torch.Generator, time_s: float, x: float, count: int
) -> None:
    scene = street(generator)
    export_ply(scene, tmp_path / "a.ply", time_s)
    moving = read_ply(tmp_path / "a.ply").means[7:]
    assert len(moving) == count
    own = scene["actors"].gaussians.means[scene["actors"].rows_of("car")]
    assert torch.allclose(moving, own[:count] + torch.tensor([x, 0.0, 1.0]), atol=1e-5)


def test_a_node_a_file_with_the_poses_beside_them(tmp_path: Path, generator: torch.Generator) -> None:
    scene = street(generator)
    written = export_nodes(scene, tmp_path / "nodes", times_s=[0.0, 1.0, 3.5])
    assert [path.name for path in written.files] == ["background.ply", "car.ply", "walker.ply"]
    assert written.gaussians == len(scene)
    node = scene["actors"]
    for id in ("car", "walker"):
        stored = read_ply(tmp_path / "nodes" / f"{id}.ply")
        for name in ("means", "log_scales", "logit_opacities", "sh0"):
            assert torch.equal(stored.named()[name], node.gaussians.named()[name][node.rows_of(id)]), name
        turned = quat_to_rotmat(stored.quats) - quat_to_rotmat(node.gaussians.quats[node.rows_of(id)])
        assert float(turned.abs().max()) < 1e-6
    told = json.loads((tmp_path / "nodes" / "nodes.json").read_text())
    still, car, walker = told["nodes"]
    assert (still["frame"], car["frame"], car["object"]) == ("world", "object", "car")
    assert car["world_from_object"][1][0][3] == pytest.approx(9.0)
    assert car["world_from_object"][2] is None
    assert walker["world_from_object"][:2] == [None, None]
    assert walker["size_lwh"] == [1.0, 1.0, 2.0]


def test_an_id_that_can_be_no_file_name_gets_another_that_nobody_has(
    tmp_path: Path, generator: torch.Generator
) -> None:
    node = two_cars(generator)
    node.object_ids = ("../car 1", "Background")
    scene = SceneGraph(
        [StaticGroup("background", some_gaussians(3, generator)), node], ObjectTable(node.object_ids)
    )
    written = export_nodes(scene, tmp_path / "nodes")
    assert [path.name for path in written.files] == ["background.ply", "car-1.ply", "Background-2.ply"]
    assert [path.name for path in tmp_path.iterdir()] == ["nodes"]


def test_what_deforms_is_exported_as_it_is_at_that_time(tmp_path: Path, generator: torch.Generator) -> None:
    scene = street(generator, deforming=True)
    node = scene["actors"]
    stir(node.deformation, generator)
    export_nodes(scene, tmp_path / "nodes", times_s=[3.5])
    with torch.no_grad():
        splats = node.splats_at(torch.tensor([3.5]))
    rows = node.rows_of("walker")
    stored = read_ply(tmp_path / "nodes" / "walker.ply")
    assert torch.allclose(stored.means, splats.means[rows], atol=1e-6)
    assert not torch.allclose(stored.means, node.gaussians.means[rows], atol=1e-4)
    # The car is rigid: its own Gaussians, also at a time at which it is not there.
    car = read_ply(tmp_path / "nodes" / "car.ply")
    assert torch.equal(car.means, node.gaussians.means[node.rows_of("car")])
    assert torch.equal(car.logit_opacities, node.gaussians.logit_opacities[node.rows_of("car")])


def test_a_sequence_is_the_merged_scene_at_each_time(tmp_path: Path, generator: torch.Generator) -> None:
    scene = street(generator)
    told: list[str] = []
    times = [0.0, 1.0, 2.5]
    export_sequence(scene, tmp_path / "all", times, done=lambda path: told.append(path.name))
    assert told == ["frame-00000.ply", "frame-00001.ply", "frame-00002.ply"]
    listed = json.loads((tmp_path / "all" / "sequence.json").read_text())["frames"]
    assert [frame["time_s"] for frame in listed] == times
    for frame in listed:
        export_ply(scene, tmp_path / "one.ply", frame["time_s"])
        assert (tmp_path / "all" / frame["file"]).read_bytes() == (tmp_path / "one.ply").read_bytes()


def test_a_sequence_that_was_broken_off_has_no_list(tmp_path: Path, generator: torch.Generator) -> None:
    scene = street(generator)
    export_sequence(scene, tmp_path / "all", [0.0, 1.0])

    def stop(path: Path) -> None:
        if path.name == "frame-00001.ply":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_sequence(scene, tmp_path / "all", [0.0, 0.5, 1.0], done=stop)
    assert {path.name for path in (tmp_path / "all").iterdir()} == {"frame-00000.ply", "frame-00001.ply"}


@pytest.mark.parametrize("format", ["compressed-ply", "spz"])
def test_small_formats_hold_the_same_scene(tmp_path: Path, generator: torch.Generator, format) -> None:
    pytest.importorskip(
        "gsply", reason="gsply is not installed; the splats extra brings it", exc_type=ImportError
    )
    written = export_merged(
        street(generator), tmp_path / "a.spz" if format == "spz" else tmp_path / "a.ply", format
    )
    found = read_splats(written.files[0])
    assert len(found) == written.gaussians == 12
    assert found.sh_degree == 3


def test_a_file_opened_as_a_scene_gives_the_same_picture(tmp_path: Path) -> None:
    scene = tiny_scene()
    scene.remove("sky")
    scene.settings = RasterizeSettings(mode="antialiased", eps2d=0.1)
    export_ply(scene, tmp_path / "a.ply")
    again = open_splat_file(tmp_path / "a.ply")
    assert again.settings == scene.settings
    assert (again.recording, again.sky, len(again.gaussian_nodes)) == (None, None, 1)
    recording = scene.recording
    assert recording is not None
    ours = render_frame(scene, recording, recording.frames[0]).image
    theirs = render_frame(again, recording, recording.frames[0]).image
    assert torch.allclose(ours, theirs, atol=1e-5)


def test_a_file_of_another_program_is_drawn_as_3d_gaussian_splatting_draws(
    tmp_path: Path, generator: torch.Generator
) -> None:
    write_ply(tmp_path / "a.ply", some_gaussians(4, generator), comments=["rasterize mode=odd eps2d=none"])
    assert open_splat_file(tmp_path / "a.ply").settings == RasterizeSettings()
