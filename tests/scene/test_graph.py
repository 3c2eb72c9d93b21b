"""Nodes of a scene as one set of splats, and the scene on disk."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from gsrecon.errors import CheckpointError
from gsrecon.gaussians.gaussians import Gaussians
from gsrecon.geometry.rigid import se3_exp
from gsrecon.scene.bundle import load_scene, save_scene
from gsrecon.scene.graph import SceneGraph
from gsrecon.scene.objects import ObjectTable
from gsrecon.scene.recording import RecordedCamera, Recording
from gsrecon.scene.render import camera_at, render
from gsrecon.scene.sky import Sky
from gsrecon.scene.static import StaticGroup
from tests.tiny_drive import tiny_recording, tiny_scene


class Moving(StaticGroup):
    """A group that drives along x at 1 m/s, two metres to the left."""

    kind = "moving"

    def __init__(self, id: str, gaussians: Gaussians) -> None:
        super().__init__(id, gaussians)
        self.object_ids = (id,)

    def splats_at(self, times_s, sh_degree=None, cameras=None):
        poses = torch.eye(4).repeat(len(times_s), 1, 1, 1)
        poses[:, 0, 0, 3], poses[:, 0, 1, 3] = times_s, 2.0
        still = super().splats_at(times_s, sh_degree, cameras)
        return replace(
            still, object_index=torch.zeros(len(still), dtype=torch.int32), world_from_object=poses
        )


def ball(x: float, degree: int = 0) -> Gaussians:
    return Gaussians(
        means=torch.tensor([[x, 0.0, 1.5]]),
        quats=torch.tensor([[1.0, 0, 0, 0]]),
        log_scales=torch.full((1, 3), -1.5),
        logit_opacities=torch.tensor([3.0]),
        sh0=torch.ones(1, 3),
        sh_rest=torch.full((1, (degree + 1) ** 2 - 1, 3), 0.25),
    )


def moving_scene() -> SceneGraph:
    nodes = [
        StaticGroup("far", ball(20.0)),
        Moving("car", ball(8.0, degree=1)),
        StaticGroup("near", ball(9.0)),
    ]
    return SceneGraph(nodes, ObjectTable(["gone", "car"]), tiny_recording())


def test_nodes_are_joined_in_order_with_their_numbers_poses_and_padded_harmonics():
    graph = moving_scene()
    splats = graph.splats_at(torch.tensor([0.0, 3.0]))
    assert graph.rows() == {"far": slice(0, 1), "car": slice(1, 2), "near": slice(2, 3)}
    assert splats.means[:, 0].tolist() == [20.0, 8.0, 9.0]
    assert splats.object_index.tolist() == [0, 2, 0]
    assert splats.world_from_object.shape == (2, 3, 4, 4)
    assert torch.equal(splats.world_from_object[:, 0], torch.eye(4).double().expand(2, 4, 4))
    assert splats.world_from_object[1, 2, :3, 3].tolist() == [3.0, 2.0, 0.0]
    assert splats.sh_rest[:, 0, 0].tolist() == [0.0, 0.25, 0.0]


def test_an_object_is_drawn_where_it_is_at_the_time():
    graph = moving_scene()
    lens = graph.recording.cameras["front"]
    pose = torch.from_numpy(lens.ego_from_cam)
    for time_s in (0.0, 4.0):
        settings = replace(graph.settings, ids=True)
        ids = render(graph, camera_at(lens, pose), torch.tensor([time_s]), settings).ids[0]
        rows, columns = (ids == 2).nonzero().float().mean(dim=0) + 0.5
        # 2 m to the left at 8 m and time_s more: x = cx - f 2 / depth.
        assert columns.item() == pytest.approx(lens.K[0, 2] - lens.K[0, 0] * 2 / (8 + time_s), abs=0.6)
        assert rows.item() == pytest.approx(lens.K[1, 2], abs=0.6)


def test_a_moving_node_without_a_number_is_refused():
    graph = SceneGraph([StaticGroup("far", ball(20.0)), Moving("car", ball(8.0))])
    with pytest.raises(ValueError, match=r"expected a number for 'car'.*append it"):
        graph.splats_at(torch.tensor([0.0]))


def test_numbers_are_given_once_and_never_again():
    table = ObjectTable(["a", "b"])
    assert [table.number(id) for id in ("a", "b", "unknown")] == [1, 2, 0]
    assert table.append("c") == 3
    with pytest.raises(ValueError, match="which has number 1"):
        table.append("a")


def test_ids_are_unique_and_there_is_one_sky():
    graph = tiny_scene()
    with pytest.raises(ValueError, match="expected a new id, got 'background'"):
        graph.add(StaticGroup("background", ball(1.0)))
    with pytest.raises(ValueError, match="has a sky node already"):
        graph.add(Sky(torch.ones(6, 2, 2, 3), id="other"))
    assert graph.remove("sky").id == "sky"
    assert graph.sky is None
    with pytest.raises(KeyError, match="no node 'sky' in the scene; there are"):
        graph["sky"]


def test_a_fisheye_recording_comes_back_to_the_last_bit(tmp_path):
    recording = tiny_recording()
    pose = se3_exp(torch.tensor([0.1, 0.2, 0.3, 1 / 3, 0.2, 0.1], dtype=torch.float64)).numpy()
    lens = RecordedCamera(
        "fish", np.diag([30.1, 29.9, 1]), 40, 30, pose, "fisheye", (0.1, -0.02, 0.003, 1e-4)
    )
    frame = replace(recording.frames[0], camera="fish", world_from_cam=pose)
    recording = Recording("r", "folder", 5, pose, {"fish": lens}, (frame,))
    save_scene(SceneGraph([StaticGroup("background", ball(5.0))], recording=recording), tmp_path / "scene")
    again = load_scene(tmp_path / "scene").recording
    assert again.to_json() == recording.to_json()
    assert np.array_equal(again.cameras["fish"].ego_from_cam, pose)
    assert again.cameras["fish"].distortion == lens.distortion


def test_a_scene_of_another_format_or_of_nothing_says_so(tmp_path):
    save_scene(tiny_scene(), tmp_path / "scene")
    path = tmp_path / "scene" / "manifest.json"
    stored = json.loads(path.read_text())
    path.write_text(json.dumps({**stored, "format_version": 99}))
    with pytest.raises(
        CheckpointError, match=r"format version 99 is not the 1 .* use the gsrecon that wrote it"
    ):
        load_scene(tmp_path / "scene")
    path.write_text("{")
    with pytest.raises(CheckpointError, match="the manifest is damaged"):
        load_scene(tmp_path / "scene")
    with pytest.raises(CheckpointError, match="there is no scene in it; name a run folder"):
        load_scene(tmp_path / "none")


def test_saving_again_replaces_the_whole_bundle(tmp_path):
    save_scene(tiny_scene(), tmp_path / "scene")
    smaller = tiny_scene()
    smaller.remove("sky")
    save_scene(smaller, tmp_path / "scene")
    assert load_scene(tmp_path / "scene").sky is None
    assert [path.name for path in tmp_path.iterdir()] == ["scene"]
